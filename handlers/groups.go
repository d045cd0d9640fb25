package handlers

import (
	"context"
	"strings"
	"unicode/utf16"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/till"
)

// isCalled tells whether a message in a group is for the bot: a command of its own, one
// that mentions it, or an answer to what it wrote. People's talk is not, and who speaks
// in a chat's name could not be asked to pay.
func (r *Router) isCalled(m *models.Message) bool {
	if m.SenderChat != nil || m.ViaBot != nil {
		return false
	}
	if words := talk.WordsOf(m); strings.HasPrefix(words, "/") {
		name, _, ours := hall.Command(words, r.Username)
		return ours && (m.Text != "" || name == talk.CommandAsk)
	}
	return r.isAnswered(m) || r.isMentioned(m.Text, m.Entities) || r.isMentioned(m.Caption, m.CaptionEntities)
}

// isAnswered tells whether a message answers one of the bot's. What begins a topic is a
// message, too, and everything written in the topic answers it.
func (r *Router) isAnswered(m *models.Message) bool {
	to := m.ReplyToMessage
	return to != nil && to.From != nil && to.From.ID == r.BotID && to.ForumTopicCreated == nil
}

func (r *Router) isMentioned(text string, entities []models.MessageEntity) bool {
	for _, e := range entities {
		switch e.Type {
		case models.MessageEntityTypeMention:
			if r.Username != "" && strings.EqualFold(unitsAt(text, e.Offset, e.Length), "@"+r.Username) {
				return true
			}
		case models.MessageEntityTypeTextMention:
			if e.User != nil && e.User.ID == r.BotID {
				return true
			}
		}
	}
	return false
}

// unitsAt cuts a part out of a text by UTF-16 units; "" where the text has none there.
func unitsAt(text string, offset, length int) string {
	units := utf16.Encode([]rune(text))
	if offset < 0 || length < 0 || offset > len(units) || length > len(units)-offset {
		return ""
	}
	return string(utf16.Decode(units[offset : offset+length]))
}

// meantInGroup finds what a message asks for in a group, where it is for the bot.
func (r *Router) meantInGroup(u *bot.Update, name string, isCommand bool) (do func(context.Context, hall.Request) error, free bool) {
	if isCommand {
		switch name {
		case "new", "retry", "model":
			return r.commands[name], false
		case "help", "start":
			return r.helpInGroup, false
		case till.CommandPay:
			return r.Till.Pay, false
		}
		if r.commands[name] != nil {
			return func(ctx context.Context, q hall.Request) error {
				return r.SayInGroup(ctx, q, q.Voice.Say("command.private_only"), q.Voice.Say("group.open"))
			}, false
		}
		return nil, false
	}
	return r.Talk.Asking(u)
}

// helpInGroup says how to ask in a group, and who pays.
func (r *Router) helpInGroup(ctx context.Context, q hall.Request) error {
	return r.SayInGroup(ctx, q, q.Voice.Say("group.help", "name", r.Username), q.Voice.Say("group.open"))
}
