package people

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

const (
	buttonBroadcast = "cast:" // what is to become of it, a colon, its id
	castSend        = "send"
	castResume      = "resume" // castSend in other words
	castPause       = "pause"
	castCancel      = "cancel"
	broadcastsPace  = 25 // messages a second
	daysMost        = 365
)

var (
	daysShape     = regexp.MustCompile(`^[1-9][0-9]{0,2}d$`)
	languageShape = regexp.MustCompile(`^[a-z]{2,3}(-[a-z0-9]{2,8})?$`)
)

// broadcast shows an admin what would be sent and to how many, with a button that sends
// it. It is named after the update, so that one command is one broadcast.
func (r *Room) broadcast(ctx context.Context, q Asked) error {
	audience, message, ok := broadcastOf(q, r.Now())
	if !ok {
		return r.Say(ctx, q.Request, q.Voice.Say("broadcast.how"))
	}
	people, err := r.Accounts.CountReach(ctx, reachOf(audience))
	if err != nil {
		return err
	}
	if people == 0 {
		return r.Say(ctx, q.Request, q.Voice.Say("broadcast.nobody"))
	}
	b, _, err := r.Outbox.Start(ctx, outbox.Broadcast{
		Name: "telegram:" + strconv.FormatInt(q.Update, 10), State: outbox.Paused,
		Message: message, Audience: audience, StartedBy: string(actorOf(q.Request)),
	})
	if errors.Is(err, outbox.ErrPost) {
		return r.Say(ctx, q.Request, q.Voice.Say("broadcast.how"))
	}
	if err != nil {
		return err
	}
	message.ChatID, message.ThreadID = q.Chat.ID, q.Thread
	if _, err := r.Sender.Send(ctx, message); err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{
		ChatID: q.Chat.ID, ThreadID: q.Thread,
		Text: q.Voice.Count("broadcast.ready", people, "whom", audienceWords(q.Voice, audience),
			"time", hall.InWords(q.Voice, time.Duration(people/broadcastsPace+1)*time.Second)),
		Keyboard: castButtons(q.Voice, b.ID, castSend, castCancel),
	})
	return err
}

// broadcastOf reads a command: on its first line whom it is for, and below it what is
// sent, unless it answers the message that is.
func broadcastOf(q Asked, now time.Time) (a outbox.Audience, m bot.Message, ok bool) {
	head, below, _ := strings.Cut(q.Message.Text, "\n")
	for _, word := range strings.Fields(head)[1:] {
		word = strings.ToLower(word)
		switch {
		case daysShape.MatchString(word):
			days, _ := strconv.Atoi(strings.TrimSuffix(word, "d")) // the shape has seen to it
			a.Since = now.Add(-time.Duration(min(days, daysMost)) * 24 * time.Hour).UTC().Truncate(time.Second)
		case languageShape.MatchString(word):
			a.Language = word
		default:
			return a, m, false
		}
	}
	if reply := q.Message.ReplyToMessage; strings.TrimSpace(below) == "" && reply != nil {
		return a, bot.Message{Text: reply.Text, Entities: reply.Entities}, strings.TrimSpace(reply.Text) != ""
	}
	trimmed := strings.TrimLeft(below, " \n")
	before := hall.UTF16Len(q.Message.Text[:len(q.Message.Text)-len(trimmed)])
	m.Text = trimmed
	for _, e := range q.Message.Entities {
		if e.Offset >= before {
			e.Offset -= before
			m.Entities = append(m.Entities, e)
		}
	}
	return a, m, strings.TrimSpace(trimmed) != ""
}

func reachOf(a outbox.Audience) billing.Reach {
	return billing.Reach{Language: a.Language, Since: a.Since}
}

func audienceWords(voice texts.Voice, a outbox.Audience) string {
	var words []string
	if a.Language != "" {
		words = append(words, voice.Say("broadcast.language", "language", a.Language))
	}
	if !a.Since.IsZero() {
		words = append(words, voice.Say("broadcast.since", "day", voice.Day(a.Since)))
	}
	if words == nil {
		return voice.Say("broadcast.everybody")
	}
	return strings.Join(words, ", ")
}

// castButtons are what can be done with a broadcast.
func castButtons(voice texts.Voice, id int64, actions ...string) *models.InlineKeyboardMarkup {
	var row []models.InlineKeyboardButton
	for _, action := range actions {
		text := voice.Say("broadcast.button_resume")
		switch action {
		case castSend:
			text = voice.Say("broadcast.button_send")
		case castPause:
			text = voice.Say("broadcast.button_pause")
		case castCancel:
			text = voice.Say("broadcast.button_cancel")
		}
		row = append(row, models.InlineKeyboardButton{
			Text: text, CallbackData: buttonBroadcast + action + ":" + strconv.FormatInt(id, 10),
		})
	}
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{row}}
}

// pressBroadcast lets a broadcast run, pauses or cancels it, and shows its progress in
// the message with the button.
func (r *Room) pressBroadcast(ctx context.Context, p hall.Press) error {
	action, number, _ := strings.Cut(p.Data, ":")
	id, err := strconv.ParseInt(number, 10, 64)
	state, known := map[string]string{
		castSend: outbox.Running, castResume: outbox.Running, castPause: outbox.Paused, castCancel: outbox.Cancelled,
	}[action]
	if err != nil || !known || !r.IsAdmin(p.From.ID) {
		return r.Sender.AnswerCallback(ctx, p.Query.ID, "")
	}
	answer := ""
	switch err := r.Outbox.Set(ctx, id, state); {
	case errors.Is(err, outbox.ErrBroadcastEnded), errors.Is(err, outbox.ErrBroadcastUnknown):
		answer = p.Voice.Say("broadcast.ended")
	case err != nil:
		return err
	}
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, answer); err != nil {
		return err
	}
	if p.Shown == nil {
		return nil // too old for Telegram to say what it was
	}
	if err := r.Outbox.Show(ctx, id, p.Chat.ID, p.Shown.ID); err != nil {
		return err
	}
	progress, err := r.Outbox.Progress(ctx, id)
	if errors.Is(err, outbox.ErrBroadcastUnknown) {
		return nil
	}
	if err != nil {
		return err
	}
	return r.showBroadcast(ctx, p.Voice, progress)
}

// TendBroadcasts puts messages of running broadcasts into the outbox, ends those that
// are done, and shows how far they have come.
func (r *Room) TendBroadcasts(ctx context.Context) error {
	err := r.Outbox.Tend(ctx, func(ctx context.Context, a outbox.Audience, after int64, most int) ([]outbox.Reader, error) {
		people, err := r.Accounts.Reach(ctx, reachOf(a), after, most)
		readers := make([]outbox.Reader, len(people))
		for i, p := range people {
			readers[i] = outbox.Reader{Number: p.AccountID, Chat: p.TelegramID}
		}
		return readers, err
	})
	if err != nil {
		return err
	}
	list, err := r.Outbox.ToShow(ctx)
	for _, p := range list {
		voice := r.Addressed(ctx, hall.Request{From: models.User{ID: p.ReportChat}}).Voice
		err = errors.Join(err, r.showBroadcast(ctx, voice, p))
	}
	return err
}

// showBroadcast writes a broadcast's progress where it is shown, unless it stands there
// already. That the message is gone is no reason to try again.
func (r *Room) showBroadcast(ctx context.Context, voice texts.Voice, p outbox.Progress) error {
	text := progressText(voice, p)
	if p.ReportChat == 0 || text == p.Reported {
		return nil
	}
	m := bot.Message{ChatID: p.ReportChat, Text: text}
	switch p.State {
	case outbox.Running:
		m.Keyboard = castButtons(voice, p.ID, castPause, castCancel)
	case outbox.Paused:
		m.Keyboard = castButtons(voice, p.ID, castResume, castCancel)
	}
	err := r.Sender.Edit(ctx, p.ReportMessage, m)
	if err != nil && !errors.Is(err, bot.ErrBlocked) && !hall.Refused(err) {
		return fmt.Errorf("show a broadcast: %w", err)
	}
	return r.Outbox.Shown(ctx, p.ID, text)
}

func progressText(voice texts.Voice, p outbox.Progress) string {
	state := voice.Say("broadcast.running")
	switch {
	case p.State == outbox.Paused:
		state = voice.Say("broadcast.paused")
	case p.State == outbox.Cancelled:
		state = voice.Say("broadcast.cancelled")
	case p.State == outbox.Done:
		state = voice.Say("broadcast.done")
	case !p.Filled:
		state = voice.Say("broadcast.counting")
	}
	done := p.Total - p.Waiting - p.Cancelled
	return voice.Say("broadcast.progress", "id", p.ID, "state", state, "done", done, "total", p.Total,
		"percent", 100*done/max(p.Total, 1), "sent", p.Sent, "blocked", p.Blocked, "failed", p.Failed, "repeated", p.Repeated)
}
