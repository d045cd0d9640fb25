package people

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// Asked is a command with the message that it came in.
type Asked struct {
	hall.Request
	Message *models.Message
}

// AdminCommand is what an admin's command does; nil: it is none.
func (r *Room) AdminCommand(name string) func(context.Context, Asked) error {
	switch name {
	case "stats":
		return r.stats
	case "ban":
		return r.ban
	case "unban":
		return r.unban
	case "broadcast":
		return r.broadcast
	}
	return nil
}

// actorOf is the admin for the audit log.
func actorOf(q hall.Request) billing.Actor {
	return billing.Operator("telegram-" + strconv.FormatInt(q.From.ID, 10))
}

func (r *Room) stats(ctx context.Context, q Asked) error {
	c, err := r.Accounts.Census(ctx)
	if err != nil {
		return err
	}
	waiting, err := r.Outbox.Waiting(ctx)
	if err != nil {
		return err
	}
	return r.Say(ctx, q.Request, q.Voice.Say("admin.stats",
		"people", c.People, "day", c.NewDay, "week", c.NewWeek, "banned", c.Banned,
		"active_day", c.ActiveDay, "active_week", c.ActiveWeek, "calls", c.CallsDay, "spent", texts.Dollars(c.SpentDay),
		"payments", c.PaidDay, "paid", texts.Dollars(c.PaidNano), "balances", texts.Dollars(c.Balances), "waiting", waiting))
}

func (r *Room) ban(ctx context.Context, q Asked) error {
	person, ok := whom(q)
	if !ok {
		return r.Say(ctx, q.Request, q.Voice.Say("admin.whom", "command", "ban"))
	}
	if r.IsAdmin(person) {
		return r.Say(ctx, q.Request, q.Voice.Say("admin.colleague"))
	}
	_, err := r.Accounts.Ban(ctx, person, actorOf(q.Request))
	return r.stood(ctx, q.Request, q.Voice.Say("admin.banned", "id", texts.Plain(person)), err)
}

func (r *Room) unban(ctx context.Context, q Asked) error {
	person, ok := whom(q)
	if !ok {
		return r.Say(ctx, q.Request, q.Voice.Say("admin.whom", "command", "unban"))
	}
	_, err := r.Accounts.Unban(ctx, person, actorOf(q.Request))
	return r.stood(ctx, q.Request, q.Voice.Say("admin.unbanned", "id", texts.Plain(person)), err)
}

// stood says what a change of somebody's standing came to.
func (r *Room) stood(ctx context.Context, q hall.Request, done string, err error) error {
	switch {
	case errors.Is(err, billing.ErrClosed):
		done += "\n" + q.Voice.Say("admin.soon")
	case err != nil:
		return fmt.Errorf("change somebody's standing: %w", err)
	}
	return r.Say(ctx, q, done)
}

// whom is the person that a command is about: the one named by their id, or whose
// forwarded message it answers.
func whom(q Asked) (person int64, ok bool) {
	if q.Args == "" {
		reply := q.Message.ReplyToMessage
		if reply == nil || reply.ForwardOrigin == nil || reply.ForwardOrigin.MessageOriginUser == nil {
			return 0, false
		}
		return reply.ForwardOrigin.MessageOriginUser.SenderUser.ID, true
	}
	person, err := strconv.ParseInt(strings.TrimSpace(q.Args), 10, 64)
	return person, err == nil && person > 0 && person <= telegramIDMost
}

// telegramIDMost is the largest id that Telegram gives: they have 52 bits.
const telegramIDMost = 1<<52 - 1
