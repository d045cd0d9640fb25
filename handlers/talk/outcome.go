package talk

import (
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/handlers/hall"
)

// ending is how an answer ended.
type ending string

const (
	endWhole   ending = ""
	endStopped ending = "stopped" // by the person
	endCut     ending = "cut"     // by the model's or our own failure
)

// outcome is what a turn came to, as it is remembered under its updates.
type outcome struct {
	Turn      int64  `json:"turn"`           // its first update
	Text      string `json:"text,omitempty"` // of the answer, in the model's Markdown
	Quote     string `json:"quote,omitempty"`
	End       ending `json:"end,omitempty"`
	Cost      int64  `json:"cost,omitempty"`      // nano-USD, all in all
	Available int64  `json:"available,omitempty"` // nano-USD left afterwards
}

// final is the message that an answer ends as: what was written, how it ended, its cost.
func (r *Room) final(t *turn, o outcome) bot.Message {
	shown, note := format.Markdown(o.Text), ""
	switch {
	case shown.Blank() && o.End == endStopped:
		shown = format.Plain(t.Voice.Say("chat.stopped"))
	case shown.Blank():
		shown = format.Plain(t.Voice.Say("chat.empty"))
	case o.End == endStopped:
		note = t.Voice.Say("chat.stopped_short")
	case o.End == endCut:
		note = t.Voice.Say("chat.cut_short")
	}
	if (o.Text != "" || o.Cost > 0) && !t.Settings.HideCost {
		if t.Private() {
			note += t.Voice.Say("chat.footer", "cost", hall.Dollars(o.Cost), "balance", hall.Dollars(o.Available))
		} else if t.sponsor.None() { // what somebody owns is not for all to read
			note += t.Voice.Say("group.footer", "cost", hall.Dollars(o.Cost))
		} else {
			note += t.Voice.Say("group.footer_paid", "cost", hall.Dollars(o.Cost))
		}
	}
	m := bot.Message{ChatID: t.Chat.ID, ThreadID: t.Thread, ReplyTo: t.answers()}
	if t.Settings.Rich && t.Private() && o.Text != "" {
		m.Rich = richOf(o, note)
	}
	switch {
	case o.Text == "" || m.Rich != "" || !long(shown):
	case t.Settings.LongAsFile:
		m.Document, shown = document(o.Text), excerpt(t.Request, shown)
	default:
		m.Keyboard = fileButton(t.Request, t.Update)
	}
	if o.Quote != "" {
		shown = format.Quote(o.Quote).Append(shown)
	}
	shown = shown.Append(format.Text{String: note})
	m.Text, m.Entities = shown.String, shown.Entities
	return m
}

// richOf is an answer as a rich message; "" where it is too much for one, or nothing.
func richOf(o outcome, note string) string {
	if page, fits := format.Rich(o.Quote, o.Text, note); fits {
		return page
	}
	return ""
}
