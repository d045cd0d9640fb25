package till

import (
	"context"
	"errors"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/handlers/hall"
)

// usageFileLife is how long a file waits for a chat that cannot be reached.
const usageFileLife = 24 * time.Hour

// UsageFile is a file with what an account used, for its owner.
type UsageFile struct {
	AccountID int64
	Name      string // of the wish, the account's own: at most 200 characters
	Wish      []byte // SHA-256 of what was asked for
	File      string // its name
	Content   []byte
	From, To  time.Time // that it covers, in the owner's zone; To is in it
	Nano      int64     // nano-USD that it sums up to
}

// SendUsage puts a file on its way to an account's owner, once for each name; fresh: it was
// not before. billing.ErrAccountUnknown, billing.ErrClosed; billing.ErrIdempotencyConflict
// where the name stands for another wish.
func (r *Room) SendUsage(ctx context.Context, f UsageFile) (fresh bool, err error) {
	owner, err := r.Accounts.Owner(ctx, f.AccountID)
	if err != nil {
		return false, err
	}
	voice := r.VoiceOf(ctx, f.AccountID)
	n, err := r.Outbox.Put(ctx, outbox.Post{
		Name: f.Name, Wish: f.Wish, Expires: r.Now().Add(usageFileLife),
		Message: bot.Message{
			ChatID:   owner,
			Text:     voice.Say("spent.file", "from", voice.Day(f.From), "to", voice.Day(f.To), "cost", hall.Dollars(f.Nano)),
			Document: &bot.File{Name: f.File, Data: f.Content},
		},
	})
	if errors.Is(err, outbox.ErrWish) {
		err = billing.ErrIdempotencyConflict
	}
	return n > 0, err
}
