package hall

import (
	"context"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/handlers/texts"
)

// Options are what all rooms need.
type Options struct {
	Accounts *billing.Accounts
	Keys     *billing.Keys
	Settings *billing.SettingsStore
	Tiers    *billing.Tiers // nil: none are told of
	Texts    *texts.Book
	Sender   *bot.Sender
	Outbox   *outbox.Outbox // what nobody waits for
	Redis    redis.Cmdable
	Cache    *cache.Cache  // nil: nothing is kept
	CacheTTL time.Duration // of people's profiles; 0: 5 min
	// Answers forgets the answers kept for an account whose owner leaves; nil: none are kept.
	Answers  func(ctx context.Context, account int64) error
	Commands guard // of commands and buttons, by the person's id; nil: they are not limited
	TopUps   guard // of top-ups begun, by the account's id; nil: they are not limited
	Log      *slog.Logger
	Username string           // the bot's own name without @, to tell its commands from others'
	BotID    int64            // the bot's own id
	Admins   []int64          // people's ids at Telegram
	Support  string           // whom to write to about payments; may be empty
	Model    string           // model of plain messages
	BaseURL  string           // what key holders put into their SDK
	Now      func() time.Time // nil: time.Now
}

// Hall is what all rooms share: who is speaking, in which voice they are spoken to, and
// how often they may ask.
type Hall struct {
	Options
	told *remembered[toldKey] // who was told to wait
	owed *remembered[int64]   // updates that were admitted and failed
	kept *kept                // nil: nothing is kept
}

// New opens the hall.
func New(o Options) *Hall {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Hall{
		Options: o, told: newRemembered[toldKey](toldMost), owed: newRemembered[int64](owedMost),
		kept: newKept(o.Cache, o.CacheTTL),
	}
}
