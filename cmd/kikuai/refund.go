package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/till"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// postedIn is how long a command waits for the servers to take a refund off the balance.
const postedIn = 5 * time.Second

type adminRefund struct {
	asJSON     `embed:""`
	ChargeID   string `required:"" placeholder:"C" help:"The payment's id, as /paysupport shows it."`
	TelegramID int64  `placeholder:"N" help:"Who paid it; needed only where they deleted their account."`
}

type refundAnswer struct {
	ChargeID          string `json:"charge_id"`
	AccountID         int64  `json:"account_id"`
	Stars             int64  `json:"stars,omitempty"`
	USD               string `json:"usd,omitempty"` // of a card payment
	CreditNanoUSD     int64  `json:"credit_nano_usd"`
	CapturedNanoUSD   int64  `json:"captured_nano_usd"`
	WrittenOffNanoUSD int64  `json:"written_off_nano_usd"`
	State             string `json:"state"` // given_back: the balance follows; refunded: it has
}

// Run gives the payment back. Run again, it goes on where it stopped, and does nothing twice.
func (c adminRefund) Run(t *terminal) error {
	return t.inOffice(func(o *office) error {
		p, err := o.Payments.Find(t.ctx, c.ChargeID)
		if err != nil {
			return err
		}
		through, err := c.refunder(t, o, p.Provider)
		if err != nil {
			return err
		}
		p, err = o.Payments.Refund(t.ctx, c.ChargeID, operator(), through)
		switch {
		case errors.Is(err, billing.ErrRefundRefused):
			return err
		case err != nil:
			return fmt.Errorf("a server will go on with it; the command may be repeated: %w", err)
		}
		if p, err = o.posted(t.ctx, p); err != nil {
			return err
		}
		answer := refundAnswer{ChargeID: p.ChargeID, AccountID: p.AccountID, CreditNanoUSD: p.CreditNano,
			CapturedNanoUSD: p.Captured, WrittenOffNanoUSD: p.WrittenOff, State: p.State()}
		amount := [2]string{"stars", decimal(p.Amount)}
		if answer.Stars = p.Amount; p.Provider == billing.ProviderCard {
			answer.Stars, answer.USD = 0, billing.FormatUSD(p.Amount*billing.NanoPerUSD/100)
			amount = [2]string{"paid", "$" + answer.USD}
		}
		return c.print(t.out, answer,
			[2]string{"charge", p.ChargeID},
			[2]string{"account", decimal(p.AccountID)},
			amount,
			[2]string{"taken off", "$" + billing.FormatUSD(p.Captured)},
			[2]string{"written off", "$" + billing.FormatUSD(p.WrittenOff)},
			[2]string{"state", p.State()})
	})
}

// refunder is who gives the payments of a provider back.
func (c adminRefund) refunder(t *terminal, o *office, provider string) (billing.Refunder, error) {
	if provider == billing.ProviderCard {
		if !o.config.StripeSecretKey.IsSet() {
			return nil, errors.New("STRIPE_SECRET_KEY is not set, and the charge was paid by card: set it, or refund the charge in Stripe's dashboard")
		}
		return o.Checkouts, nil
	}
	_, client, err := t.telegram(config.NeedNothing)
	if err != nil {
		return nil, err
	}
	log := telemetry.NewTextLogger(t.errs, slog.LevelWarn)
	sender := bot.NewSender(bot.SenderOptions{Client: client, Log: log, Registerer: prometheus.NewRegistry()})
	return till.StarRefunds{Sender: sender, Payer: c.TelegramID}, nil
}

// posted waits for a moment until the refund is in the ledger.
func (o *office) posted(ctx context.Context, p billing.Payment) (billing.Payment, error) {
	var err error
	for deadline := time.Now().Add(postedIn); err == nil && !p.Posted && time.Now().Before(deadline); {
		select {
		case <-ctx.Done():
			return p, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
		p, err = o.Payments.Find(ctx, p.ChargeID)
	}
	return p, err
}
