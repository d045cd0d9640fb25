package hall

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
)

func sponsorKey(chat int64) string { return strconv.FormatInt(chat, 10) }

// ForgetSponsor has all instances look again who pays for a group.
func (h *Hall) ForgetSponsor(ctx context.Context, chat int64) error {
	if h.kept == nil {
		return nil
	}
	if err := h.kept.sponsors.Invalidate(ctx, sponsorKey(chat)); !errors.Is(err, cache.ErrUnshared) {
		return err
	}
	return nil
}

// Sponsor is an account that pays for what a group asks; the zero value is none. How much
// it pays is not in it: that is decided with each call.
type Sponsor struct {
	Account int64  `json:"account,omitempty"`
	Key     int64  `json:"key,omitempty"`
	Name    string `json:"name,omitempty"` // of the account's owner
}

// None tells that the asker pays.
func (s Sponsor) None() bool { return s.Key == 0 }

// SponsorOf is who pays for a group. Where that cannot be read, and nobody remembers it,
// it is an error, since nobody may pay what another has offered to; groups whose payer is
// remembered go on without Postgres.
func (h *Hall) SponsorOf(ctx context.Context, chat int64) (s Sponsor, err error) {
	ctx, cancel := context.WithTimeout(ctx, settingsIn)
	defer cancel()
	read := func(ctx context.Context) (Sponsor, error) {
		p, err := h.Keys.GroupPayer(ctx, chat)
		if errors.Is(err, billing.ErrGroupUnpaid) {
			return Sponsor{}, nil
		}
		return Sponsor{Account: p.AccountID, Key: p.KeyID, Name: p.Name}, err
	}
	if h.kept == nil {
		s, err = read(ctx)
	} else {
		s, err = h.kept.sponsors.Fetch(ctx, sponsorKey(chat), read)
	}
	if err != nil {
		return Sponsor{}, fmt.Errorf("who pays for a group: %w", err)
	}
	return s, nil
}

// SponsorName is what a group is told of who pays.
func SponsorName(q Request, name string) string {
	if name = Clip(name, NameMost); name == "" {
		return q.Voice.Say("group.pay.somebody")
	}
	return name
}
