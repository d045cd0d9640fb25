package people

import (
	"context"
	"slices"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// buttonHelp begins a topic of help; alone it is the overview.
const buttonHelp = "help:"

const helpColumns = 2 // of topics

// helpTopic is a page of help.
type helpTopic struct {
	name  string // in buttons and behind /help
	title string // key
	text  string // key
}

func helpTopics() []helpTopic {
	return []helpTopic{
		{"chat", "help.chat_title", "help.chat"},
		{"models", "help.models_title", "help.models"},
		{"money", "help.money_title", "help.money"},
		{"keys", "help.keys_title", "help.keys"},
		{"data", "help.data_title", "help.data"},
	}
}

// Help shows the overview, or the topic that is named.
func (r *Room) Help(ctx context.Context, q hall.Request) error {
	_, err := r.Sender.Send(ctx, r.helpPage(ctx, q, strings.ToLower(strings.TrimSpace(q.Args))))
	return err
}

// pressHelp turns to a topic in the message whose button was pressed.
func (r *Room) pressHelp(ctx context.Context, p hall.Press) error {
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	page := r.helpPage(ctx, p.Request, p.Data)
	if p.Shown == nil {
		_, err := r.Sender.Send(ctx, page)
		return err
	}
	return r.Sender.Edit(ctx, p.Shown.ID, page)
}

// helpPage is a topic, or the overview where there is none of that name.
func (r *Room) helpPage(ctx context.Context, q hall.Request, name string) bot.Message {
	m := bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread}
	topics := helpTopics()
	at := slices.IndexFunc(topics, func(t helpTopic) bool { return t.name == name })
	if at < 0 {
		m.Text = q.Voice.Say("help.text", "model", r.Model) + r.helpTiers(ctx, q)
	} else {
		m.Text = q.Voice.Say(topics[at].title) + "\n\n" + q.Voice.Say(topics[at].text)
	}
	var buttons []models.InlineKeyboardButton
	for i, t := range topics {
		if i != at {
			buttons = append(buttons, models.InlineKeyboardButton{Text: q.Voice.Say(t.title), CallbackData: buttonHelp + t.name})
		}
	}
	if at >= 0 {
		buttons = append(buttons, models.InlineKeyboardButton{Text: backSign + q.Voice.Say("help.back"), CallbackData: buttonHelp})
	}
	m.Keyboard = &models.InlineKeyboardMarkup{InlineKeyboard: slices.Collect(slices.Chunk(buttons, helpColumns))}
	return m
}

// helpTiers are the tiers of accounts, where there are some.
func (r *Room) helpTiers(ctx context.Context, q hall.Request) string {
	if r.Tiers == nil {
		return ""
	}
	tiers, err := r.TierList(ctx)
	if err != nil {
		r.Log.DebugContext(ctx, "tiers left out", "error", err)
	}
	if len(tiers) == 0 {
		return ""
	}
	lines := make([]string, len(tiers))
	for i, t := range tiers {
		lines[i] = t.Name + ": " + limitWords(q.Voice, t.Limits)
	}
	return q.Voice.Say("help.tiers") + strings.Join(lines, "\n• ")
}
