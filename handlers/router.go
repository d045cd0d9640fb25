package handlers

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
)

// Handle implements [bot.Handler]. Update types that ask nothing of us are done at once.
func (r *Router) Handle(ctx context.Context, u *bot.Update) error {
	var err error
	switch {
	case u.PreCheckoutQuery != nil:
		err = r.Till.PreCheckout(ctx, u.PreCheckoutQuery)
	case u.Message != nil && u.Message.SuccessfulPayment != nil:
		err = r.Till.Paid(ctx, u.Message)
	case u.Message != nil && u.Message.RefundedPayment != nil:
		err = r.Till.Refunded(ctx, u.Message)
	case u.Message != nil && u.Message.MigrateToChatID != 0:
		err = errors.Join(r.Talk.Move(ctx, u.Message.Chat.ID, u.Message.MigrateToChatID),
			r.Till.MovePayer(ctx, u.Message.Chat.ID, u.Message.MigrateToChatID))
	case u.Message != nil && u.Message.MigrateFromChatID != 0: // the same, in the new chat's order
		err = r.Till.MovePayer(ctx, u.Message.MigrateFromChatID, u.Message.Chat.ID)
	case u.Message != nil && u.Message.LeftChatMember != nil:
		err = r.Till.Left(ctx, u.Message)
	case u.Subscription != nil:
		err = r.Till.Subscription(ctx, u.Subscription)
	case u.Message != nil:
		err = r.message(ctx, u)
	case u.CallbackQuery != nil:
		err = r.press(ctx, u)
	case u.InlineQuery != nil:
		err = r.Talk.InlineQuery(ctx, u)
	case u.ChosenInlineResult != nil:
		err = r.Talk.InlineChosen(ctx, u)
	case u.MyChatMember != nil:
		err = r.membership(ctx, u.MyChatMember)
	case u.EditedMessage != nil:
		err = r.Talk.Edited(ctx, u)
	case u.StoppedMessageGeneration != nil:
		err = r.Talk.Stopped(ctx, u.StoppedMessageGeneration)
	}
	return settle(ctx, err)
}

// settle decides what an error means for the update: a chat that cannot be reached
// is done, a dependency that is away is worth waiting for, the rest counts as a try.
// What ran into the handler's own deadline is no dependency's fault.
func settle(ctx context.Context, err error) error {
	switch {
	case err == nil, errors.Is(err, bot.ErrBlocked):
		return nil
	case ctx.Err() != nil:
		return err
	case errors.Is(err, bot.ErrTryLater):
		return err
	case errors.Is(err, billing.ErrClosed), isAway(err):
		return fmt.Errorf("%w: %w", bot.ErrTryLater, err)
	default:
		return err
	}
}

func (r *Router) message(ctx context.Context, u *bot.Update) error {
	m := u.Message
	if m.From == nil || m.From.IsBot {
		return nil
	}
	r.Sender.Heard(m.Chat.ID)
	if r.Talk.IsInlineMessage(m) {
		return nil // its question is asked when Telegram tells that it was chosen
	}
	q := hall.Request{Update: u.ID, Chat: m.Chat, Thread: m.MessageThreadID, From: *m.From}
	if name, _, isCommand := hall.Command(m.Text, r.Username); isCommand && name == talk.CommandStop {
		return r.Talk.StopCommand(ctx, q) // which waits for nothing and passes every limit
	}
	if !q.Private() {
		if !r.isCalled(m) {
			return nil
		}
		q.ReplyTo = m.ID
	}
	q, do, free := r.meant(r.Addressed(ctx, q), u)
	if do == nil {
		return nil
	}
	var err error
	if free {
		err = do(ctx, q)
	} else {
		err = r.Limited(ctx, q, do)
	}
	if err == nil {
		r.Acquaint(ctx, q)
	}
	return err
}

// meant finds what a message asks for; nil is nothing. What is free of the limit of
// commands has another: a message to the model is limited on the
// metered path, with the account's calls.
func (r *Router) meant(q hall.Request, u *bot.Update) (_ hall.Request, do func(context.Context, hall.Request) error, free bool) {
	m := u.Message
	name, args, isCommand := hall.Command(m.Text, r.Username)
	saying := func(key string, fill ...any) func(context.Context, hall.Request) error {
		return func(ctx context.Context, q hall.Request) error { return r.Say(ctx, q, q.Voice.Say(key, fill...)) }
	}
	switch {
	case talk.IsAsk(m, r.Username):
		do, free = r.Talk.Asking(u)
	case !q.Private():
		q.Args = args
		do, free = r.meantInGroup(u, name, isCommand)
	case isCommand && r.IsAdmin(q.From.ID) && r.People.AdminCommand(name) != nil:
		q.Args = args
		do = func(ctx context.Context, q hall.Request) error {
			return r.People.AdminCommand(name)(ctx, people.Asked{Request: q, Message: m})
		}
	case isCommand:
		q.Args = args
		if do = r.commands[name]; do == nil {
			do = saying("command.unknown", "name", hall.Clip(name, 32))
		}
	case strings.HasPrefix(m.Text, "/"): // a command for another bot
	case r.Till.IsAmountReply(m):
		q.Args, do = m.Text, r.Till.TopUp
	case r.People.IsFeedbackReply(m):
		q.Args, do = m.Text, r.People.Feedback
	case r.Talk.IsQuestion(m), m.MediaGroupID != "" && talk.IsUnreadable(m):
		do, free = func(ctx context.Context, q hall.Request) error { return r.Talk.Chat(ctx, q, u) }, true
	case talk.IsUnreadable(m):
		do = saying("input.unreadable")
	}
	return q, do, free
}
