package talk

import (
	"context"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// CommandAsk asks the model in a group.
const CommandAsk = "ask"

// Asking asks the model what a message says; one that says nothing is told how to ask.
func (r *Room) Asking(u *bot.Update) (do func(context.Context, hall.Request) error, free bool) {
	m := u.Message
	about, _, _ := referred(m)
	carries, _ := carried(m)
	switch {
	case r.spoken(m) != "", about != "", carries.kind != kindNone, m.MediaGroupID != "" && IsUnreadable(m):
		return func(ctx context.Context, q hall.Request) error { return r.Chat(ctx, q, u) }, true
	case IsUnreadable(m):
		return func(ctx context.Context, q hall.Request) error { return r.Say(ctx, q, q.Voice.Say("input.unreadable")) }, false
	default:
		return func(ctx context.Context, q hall.Request) error { return r.Say(ctx, q, q.Voice.Say("group.ask_what")) }, false
	}
}

// IsAsk tells whether a message, or what stands under its file, begins with /ask.
func IsAsk(m *models.Message, username string) bool {
	name, _, isCommand := hall.Command(WordsOf(m), username)
	return isCommand && name == CommandAsk
}

// spoken are the words of a message without what only calls the bot.
func (r *Room) spoken(m *models.Message) string {
	words := WordsOf(m)
	if name, args, isCommand := hall.Command(words, r.Username); isCommand && name == CommandAsk {
		words = args
	}
	if m.Chat.Type == models.ChatTypePrivate {
		return words
	}
	return r.withoutName(words)
}

// withoutName leaves the bot's name out where it begins or ends a text.
func (r *Room) withoutName(text string) string {
	const around = " \t\n,:"
	text = strings.TrimSpace(text)
	name := "@" + r.Username
	if r.Username == "" || len(text) < len(name) {
		return text
	}
	if rest := text[len(name):]; strings.EqualFold(text[:len(name)], name) && (rest == "" || strings.ContainsRune(around, rune(rest[0]))) {
		return strings.TrimLeft(rest, around)
	}
	if end := len(text) - len(name); strings.EqualFold(text[end:], name) && strings.ContainsRune(around, rune(text[end-1])) {
		return strings.TrimRight(text[:end], around)
	}
	return text
}
