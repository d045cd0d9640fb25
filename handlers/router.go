package handlers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/internal/llm"
)

// completer is the metered path to a model.
type completer interface {
	Complete(ctx context.Context, call llm.ChatCall, onText func(string) error) (llm.ChatAnswer, error)
}

// Options are what the handlers need.
type Options struct {
	Accounts  *billing.Accounts
	Keys      *billing.Keys
	Payments  *billing.Payments
	Ledger    *billing.Ledger
	Notices   *billing.Notices
	Jobs      *billing.Jobs
	Tiers     *billing.Tiers // nil: none are told of
	Sender    *bot.Sender
	Completer completer
	Redis     redis.Cmdable // conversations
	Cache     *cache.Cache  // nil: nothing is kept
	CacheTTL  time.Duration // of people's profiles; 0: 5 min
	// Answers forgets the answers kept for an account whose owner leaves; nil: none are kept.
	Answers    func(ctx context.Context, account int64) error
	Commands   guard // of commands and buttons, by the person's id; nil: they are not limited
	TopUps     guard // of top-ups begun, by the account's id; nil: they are not limited
	Log        *slog.Logger
	Registerer prometheus.Registerer
	Username   string           // the bot's own name without @, to tell its commands from others'
	BotID      int64            // the bot's own id
	Support    string           // whom to write to about payments; may be empty
	Model      string           // model of plain messages
	MaxOutput  int64            // tokens of an answer, at most
	BaseURL    string           // what key holders put into their SDK
	Now        func() time.Time // nil: time.Now
}

// Router sends each update to the handler it is meant for. It implements [bot.Handler].
type Router struct {
	Options
	turns     conversations
	commands  map[string]func(context.Context, request) error
	now       func() time.Time
	told      *remembered[toldKey]   // who was told to wait
	owed      *remembered[int64]     // updates that were admitted and failed
	kept      *kept                  // nil: nothing is kept
	checkouts *prometheus.CounterVec // answer
	compared  *prometheus.CounterVec // result
}

// New wires the router.
func New(o Options) *Router {
	metrics := promauto.With(o.Registerer)
	r := &Router{
		Options: o, turns: conversations{redis: o.Redis}, now: o.Now,
		told: newRemembered[toldKey](toldMost), owed: newRemembered[int64](owedMost),
		kept: newKept(o.Cache, o.CacheTTL),
		checkouts: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_checkouts_total", Help: "Pre-checkout queries by answer: accepted, or why not.",
		}, []string{"answer"}),
		compared: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_stars_compared_total", Help: "Telegram's Star transactions held against the books, by result.",
		}, []string{"result"}),
	}
	if r.now == nil {
		r.now = time.Now
	}
	r.commands = map[string]func(context.Context, request) error{
		"start":         r.start,
		"help":          r.help,
		"balance":       r.balance,
		"newkey":        r.newKey,
		"keys":          r.keys,
		"new":           r.forget,
		"topup":         r.topUp,
		"usage":         r.usage,
		"terms":         r.terms,
		"privacy":       r.privacy,
		"paysupport":    r.paySupport,
		"deleteaccount": r.deleteAccount,
	}
	return r
}

// Commands is the bot's menu, in the order it is shown.
func Commands() []models.BotCommand {
	return []models.BotCommand{
		{Command: "balance", Description: "What is left"},
		{Command: "topup", Description: "Add money with Telegram Stars"},
		{Command: "usage", Description: "What was spent, day by day"},
		{Command: "newkey", Description: "Make an API key"},
		{Command: "keys", Description: "See and revoke API keys"},
		{Command: "new", Description: "Forget this conversation"},
		{Command: "paysupport", Description: "Help with a payment"},
		{Command: "terms", Description: "Terms"},
		{Command: "privacy", Description: "What is kept, and what is not"},
		{Command: "deleteaccount", Description: "Leave for good"},
		{Command: "help", Description: "What I can do"},
	}
}

// commandStop passes the chat's queue by, and every limit.
const commandStop = "stop"

// request is one message or button press, with whom it is from.
type request struct {
	update int64
	chat   models.Chat
	thread int
	from   models.User
	args   string
}

func (q request) private() bool { return q.chat.Type == models.ChatTypePrivate }

// Handle implements [bot.Handler]. Update types that ask nothing of us are done at once.
func (r *Router) Handle(ctx context.Context, u *bot.Update) error {
	var err error
	switch {
	case u.PreCheckoutQuery != nil:
		err = r.preCheckout(ctx, u.PreCheckoutQuery)
	case u.Message != nil && u.Message.SuccessfulPayment != nil:
		err = r.paid(ctx, u.Message)
	case u.Message != nil && u.Message.RefundedPayment != nil:
		err = r.refunded(ctx, u.Message)
	case u.Subscription != nil:
		err = r.subscription(ctx, u.Subscription)
	case u.Message != nil:
		err = r.message(ctx, u)
	case u.CallbackQuery != nil:
		err = r.press(ctx, u)
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
	q := request{update: u.ID, chat: m.Chat, thread: m.MessageThreadID, from: *m.From}
	q, do, free := r.meant(q, m)
	if do == nil {
		return nil
	}
	var err error
	if free {
		err = do(ctx, q)
	} else {
		err = r.limited(ctx, q, do)
	}
	if err == nil {
		r.acquaint(ctx, q)
	}
	return err
}

// meant finds what a message asks for; nil is nothing. What is free of the limit of
// commands has another, or must always pass: a message to the model is limited on the
// metered path, with the account's calls, and a Stop never.
func (r *Router) meant(q request, m *models.Message) (_ request, do func(context.Context, request) error, free bool) {
	name, args, isCommand := command(m.Text, r.Username)
	saying := func(text string) func(context.Context, request) error {
		return func(ctx context.Context, q request) error { return r.say(ctx, q, text) }
	}
	switch {
	case !q.private():
		if isCommand && r.commands[name] != nil {
			do = saying(textPrivateOnly)
		}
	case isCommand:
		q.args = args
		if do = r.commands[name]; do == nil {
			do = saying(fmt.Sprintf(textUnknown, clip(name, 32)))
		}
		free = name == commandStop
	case strings.HasPrefix(m.Text, "/"): // a command for another bot
	case isAmountReply(m):
		q.args, do = m.Text, r.topUp
	case strings.TrimSpace(m.Text) != "":
		do, free = func(ctx context.Context, q request) error { return r.chat(ctx, q, m.Text) }, true
	case !isService(m):
		do = saying(textTextOnly)
	}
	return q, do, free
}

// isService tells whether a message without text is a notice of the chat itself
// rather than something a person sent.
func isService(m *models.Message) bool {
	sent := m.Photo != nil || m.Voice != nil || m.Audio != nil || m.Document != nil || m.Video != nil ||
		m.VideoNote != nil || m.Sticker != nil || m.Animation != nil || m.Location != nil || m.Contact != nil ||
		m.Poll != nil || m.Dice != nil || m.Venue != nil
	return !sent
}

// account returns the sender's account, opening it on first contact.
func (r *Router) account(ctx context.Context, q request) (billing.Account, error) {
	account, err := r.Accounts.ByTelegram(ctx, q.from.ID)
	if errors.Is(err, billing.ErrAccountUnknown) {
		account, _, err = r.open(ctx, q)
	}
	return account, err
}

func (r *Router) open(ctx context.Context, q request) (billing.Account, bool, error) {
	profile := profileOf(q)
	account, created, err := r.Accounts.Open(ctx, profile)
	if err == nil {
		r.met(ctx, profile)
	}
	return account, created, err
}

// say sends one message of ours into the request's chat.
func (r *Router) say(ctx context.Context, q request, text string) error {
	_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text})
	return err
}
