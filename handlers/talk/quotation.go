package talk

import (
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/handlers/hall"
)

const quotedMost = 8 << 10 // bytes of a message that another refers to

// around is what a message refers to, for the model: what it answers or quotes, and whose
// words it passes on. Empty: nothing.
func around(m *models.Message) string {
	var parts []string
	if words, whose, part := referred(m); words != "" {
		what := "this message"
		if part {
			what = "this part of a message"
		}
		parts = append(parts, "In reply to "+what+by(whose)+":\n"+fenced(hall.Clip(words, quotedMost)))
	}
	if m.ForwardOrigin != nil {
		parts = append(parts, "Forwarded message"+by(origin(m.ForwardOrigin))+":")
	}
	return strings.Join(parts, "\n\n")
}

// referred is what a message answers: the part that was marked, or all of it.
func referred(m *models.Message) (words, whose string, part bool) {
	reply := m.ReplyToMessage
	if reply != nil {
		words, whose = WordsOf(reply), author(reply)
	} else if m.ExternalReply != nil {
		whose = origin(&m.ExternalReply.Origin)
	}
	if m.Quote != nil && strings.TrimSpace(m.Quote.Text) != "" {
		return m.Quote.Text, whose, true
	}
	return strings.TrimSpace(words), whose, false
}

// author is who wrote a message, as people see it.
func author(m *models.Message) string {
	switch {
	case m.ForwardOrigin != nil:
		return origin(m.ForwardOrigin)
	case m.SenderChat != nil:
		return m.SenderChat.Title
	case m.From != nil && m.From.IsBot:
		return "you"
	case m.From != nil:
		return strings.TrimSpace(m.From.FirstName + " " + m.From.LastName)
	}
	return ""
}

// origin is where a forwarded message is from, as people see it; it may be hidden.
func origin(o *models.MessageOrigin) string {
	switch {
	case o.MessageOriginUser != nil:
		u := o.MessageOriginUser.SenderUser
		return strings.TrimSpace(u.FirstName + " " + u.LastName)
	case o.MessageOriginHiddenUser != nil:
		return o.MessageOriginHiddenUser.SenderUserName
	case o.MessageOriginChat != nil:
		return o.MessageOriginChat.SenderChat.Title
	case o.MessageOriginChannel != nil:
		return o.MessageOriginChannel.Chat.Title
	}
	return ""
}

func by(whose string) string {
	if whose == "" {
		return ""
	}
	return " by " + hall.Clip(whose, 128)
}

// fenced sets words off from what stands around them.
func fenced(words string) string { return `"""` + "\n" + words + "\n" + `"""` }
