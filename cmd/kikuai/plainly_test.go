package main

import (
	"errors"
	"fmt"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
)

// TestPlainly: an operator reads no names of packages, and what helps.
func TestPlainly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{billing.ErrChargeUnknown, "there is no payment of that id: /paysupport shows people those of theirs"},
		{fmt.Errorf("Telegram user 5: %w", billing.ErrAccountUnknown), "Telegram user 5: there is no such account: admin user opens one for a person who has none"},
		{fmt.Errorf("after 0 dropped: %w: 3/1 is gone", bot.ErrNotReplayable),
			"after 0 dropped: there is no such dead letter, or it has no form of an update: admin dead-letters list shows those there are: 3/1 is gone"},
		{errors.Join(outbox.ErrBroadcastUnknown, errors.New("close: no")), "there is no such broadcast: admin broadcast list shows those there are\nclose: no"},
		{fmt.Errorf("credit account 1: %w", billing.ErrRefundRefused), "credit account 1: the provider does not give this charge back"},
		{exitError{1, errors.New("2 faults")}, "2 faults"},
		{errors.New("reach the database: failed:\n\t127.0.0.1:1: refused\n\t127.0.0.1:1: refused"),
			"DATABASE_URL: reach the database: failed: 127.0.0.1:1: refused"},
		{errors.New("the bot: it sleeps"), "the bot: it sleeps"},
	} {
		if got := plainly(c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}
