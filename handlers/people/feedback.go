package people

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/stream"
)

// feedbackMost bounds what is passed on, in bytes, so that it fits a message with its head.
const feedbackMost = 3000

const (
	feedbackADay  = 20 // from one person, tries of an update counted
	feedbackCount = 24 * time.Hour
)

// feedbacks counts one more feedback of a person, and returns how many there were in a day.
func (r *Room) feedbacks(ctx context.Context, person int64) (int64, error) {
	key := stream.ShardOfChat(person).Key("feedback", strconv.FormatInt(person, 10))
	var n *redis.IntCmd
	_, err := r.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		n = p.Incr(ctx, key)
		p.ExpireNX(ctx, key, feedbackCount)
		return nil
	})
	if err != nil {
		return 0, hall.Away("count feedback", err)
	}
	return n.Val(), nil
}

// Feedback passes what a person writes on to the house's admins, or asks for it.
func (r *Room) Feedback(ctx context.Context, q hall.Request) error {
	words := strings.TrimSpace(q.Args)
	switch {
	case len(r.Admins) == 0 && r.Support == "":
		return r.Say(ctx, q, q.Voice.Say("feedback.nobody"))
	case len(r.Admins) == 0:
		return r.Say(ctx, q, q.Voice.Say("feedback.support", "contact", r.Support))
	case words == "":
		_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread,
			AskReply: q.Voice.Say("feedback.placeholder"), Text: q.Voice.Say("feedback.ask")})
		return err
	}
	n, err := r.feedbacks(ctx, q.From.ID)
	if err != nil {
		return err
	}
	if n > feedbackADay {
		return r.Say(ctx, q, q.Voice.Say("feedback.enough"))
	}
	// An admin reads the words of a stranger: the head is ours, and stands above them.
	name := hall.Clip(strings.TrimSpace(q.From.FirstName+" "+q.From.LastName), 64)
	posts := make([]outbox.Post, len(r.Admins))
	for i, admin := range r.Admins {
		head := r.Texts.Voice(r.SettingsOf(ctx, admin).Language).Say("feedback.head",
			"name", name, "id", strconv.FormatInt(q.From.ID, 10), "language", q.Voice.Language())
		posts[i] = outbox.Post{
			Name:    "feedback:" + strconv.FormatInt(q.Update, 10) + ":" + strconv.FormatInt(admin, 10),
			Message: bot.Message{ChatID: admin, Text: head + "\n\n" + hall.Clip(words, feedbackMost)},
		}
	}
	if _, err := r.Outbox.Put(ctx, posts...); err != nil {
		return err
	}
	return r.Say(ctx, q, q.Voice.Say("feedback.thanks"))
}

// IsFeedbackReply tells whether a message answers the question for feedback.
func (r *Room) IsFeedbackReply(m *models.Message) bool {
	asked := m.ReplyToMessage
	return asked != nil && asked.From != nil && asked.From.IsBot && strings.TrimSpace(m.Text) != "" && r.Texts.Is(asked.Text, "feedback.ask")
}
