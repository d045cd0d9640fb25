package billing

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Bounds of a card payment, in cents.
const (
	CardLeast = 1_00
	CardMost  = 1000_00

	nanoPerCent  = NanoPerUSD / 100
	checkoutMark = "co_" // of our ids
	// A checkout that was not paid is kept longer than any page or payment can last.
	checkoutLife  = 90 * 24 * time.Hour
	checkoutPrune = 10_000 // at once
)

// What Checkouts and callers can tell apart.
var (
	ErrPaymentUnavailable = errors.New("billing: payments of this kind are not taken here")
	ErrPaymentProvider    = errors.New("billing: the payment provider could not answer")
	ErrPaymentSignature   = errors.New("billing: the event is not signed by the payment provider")
	ErrPaymentEvent       = errors.New("billing: the payment provider's event cannot be read")
)

// cardProvider takes card payments on pages of its own. Stripe is one.
type cardProvider interface {
	// begin opens a page for the order and returns its address. Begun again with the same
	// attempt, while that lasts at the provider, it is the same page.
	begin(ctx context.Context, o cardOrder) (url string, err error)
	// read checks that the provider signed an event, lately, and says what it tells.
	read(body []byte, signature string) (cardEvent, error)
	// refund gives back all that is left of a payment. Repeated, it is no error.
	refund(ctx context.Context, payment string) error
	// list hands over what happened between two times.
	list(ctx context.Context, from, until time.Time, each func(cardEvent)) error
}

// cardOrder is what a page is opened for.
type cardOrder struct {
	checkout string
	attempt  int
	cents    int64 // of a US dollar
}

// spentAttemptError says that the provider would answer this attempt the same again.
type spentAttemptError struct{ error }

func (e *spentAttemptError) Unwrap() error { return e.error }

// Checkouts begins payments that are made elsewhere, each once by its idempotency key,
// and takes in what the card provider tells of them.
type Checkouts struct {
	postgres *pgxpool.Pool
	payments *Payments
	jobs     *Jobs
	log      *slog.Logger
	events   *prometheus.CounterVec // result
	cards    cardProvider           // nil: none are taken
}

func newCheckouts(c Config, payments *Payments, jobs *Jobs) *Checkouts {
	checkouts := &Checkouts{postgres: c.Postgres, payments: payments, jobs: jobs, log: c.Log,
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "card_events_total", Help: "Events of the card provider, by what became of them.",
		}, []string{"result"})}
	if c.Stripe != nil {
		checkouts.cards = newStripe(*c.Stripe)
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(checkouts.events)
	}
	return checkouts
}

// CheckoutRequest asks for a payment.
type CheckoutRequest struct {
	AccountID      int64
	Amount         int64  // of a card payment in cents, CardLeast … CardMost; or Stars, StarsLeast … StarsMost
	WorthNano      int64  // in place of Amount: as many Stars as are credited with so much at least
	IdempotencyKey string // 1 … 200 characters, the account's own; "": none
	// Admit is asked before a new checkout is begun, and not where the key's is there
	// already: its error ends the request. Nil: nobody is asked.
	Admit func(ctx context.Context) error
}

// Checkout is a payment that was begun.
type Checkout struct {
	ID         string
	URL        string // where the customer pays
	Amount     int64  // in cents, or in Stars
	CreditNano int64  // what the account will be given
}

// begun is a checkout as Postgres holds it.
type begun struct {
	Checkout
	account  int64
	provider string
	attempt  int
}

// Card begins a card payment. The same key with the same amount is the same checkout,
// whenever it is asked for; with another amount it is ErrIdempotencyConflict.
// Errors: ErrPaymentUnavailable, ErrAmount, ErrIdempotencyKey, ErrAccountInactive,
// ErrAccountUnknown, ErrPaymentProvider (ask again with the same key), ErrClosed.
func (c *Checkouts) Card(ctx context.Context, r CheckoutRequest) (Checkout, error) {
	if c.cards == nil {
		return Checkout{}, ErrPaymentUnavailable
	}
	if r.Amount < CardLeast || r.Amount > CardMost || r.WorthNano != 0 {
		return Checkout{}, ErrAmount
	}
	return c.begin(ctx, r, Checkout{Amount: r.Amount, CreditNano: r.Amount * nanoPerCent}, ProviderCard, func(row begun) (string, error) {
		return c.cards.begin(ctx, cardOrder{checkout: row.ID, attempt: row.attempt, cents: row.Amount})
	})
}

// Stars begins a payment in Telegram Stars, as Card does one by card; link makes the
// address where the account's owner pays.
func (c *Checkouts) Stars(ctx context.Context, r CheckoutRequest, link func(ctx context.Context, accountID, stars int64) (string, error)) (Checkout, error) {
	stars := r.Amount
	switch {
	case c.payments.starNano <= 0:
		return Checkout{}, ErrPaymentUnavailable
	case r.WorthNano < 0 || r.WorthNano > MaxCredit || r.WorthNano != 0 && stars != 0:
		return Checkout{}, ErrAmount
	case r.WorthNano > 0:
		stars = (r.WorthNano + c.payments.starNano - 1) / c.payments.starNano
	}
	if stars < StarsLeast || stars > StarsMost {
		return Checkout{}, ErrAmount
	}
	return c.begin(ctx, r, Checkout{Amount: stars, CreditNano: c.payments.worth(stars)}, ProviderStars, func(row begun) (string, error) {
		url, err := link(ctx, row.account, row.Amount)
		if err != nil {
			return "", fmt.Errorf("%w: %w", ErrPaymentProvider, err)
		}
		return url, nil
	})
}

// TakesCards says whether card payments can be begun.
func (c *Checkouts) TakesCards() bool { return c.cards != nil }

// begin finds the checkout of the request's key or makes it, and opens its page unless
// that was done.
func (c *Checkouts) begin(ctx context.Context, r CheckoutRequest, wish Checkout, provider string, open func(begun) (string, error)) (Checkout, error) {
	// The row comes first: whatever the provider tells of the payment, it is known here.
	row, err := c.record(ctx, r, begun{Checkout: wish, account: r.AccountID, provider: provider})
	if err != nil || row.URL != "" {
		return row.Checkout, err
	}
	failpoint.Here("checkout.recorded")
	if row.URL, err = open(row); err != nil {
		return Checkout{}, c.failed(ctx, row, err)
	}
	failpoint.Here("checkout.begun")
	// Of two attempts at once the first one's page counts, for both.
	err = c.postgres.QueryRow(ctx, `update checkouts set url = case when url = '' then $2 else url end
		where id = $1 returning url`, row.ID, row.URL).Scan(&row.URL)
	return row.Checkout, databaseError("note a checkout", err)
}

// record finds the checkout of this key or makes it as wished.
func (c *Checkouts) record(ctx context.Context, r CheckoutRequest, wish begun) (row begun, err error) {
	if r.IdempotencyKey == "" {
		r.IdempotencyKey = "none:" + rand.Text()
	}
	if cleanText(r.IdempotencyKey, maxIdempotencyKey) != r.IdempotencyKey {
		return row, ErrIdempotencyKey
	}
	if err := c.admit(ctx, r); err != nil {
		return row, err
	}
	// What was asked for, not what it comes to: the worth of a Star may change.
	hash := sha256.Sum256(fmt.Appendf(nil, "%s %d %d", wish.provider, r.Amount, r.WorthNano))
	err = postgres.InTx(ctx, c.postgres, func(tx pgx.Tx) error {
		var status string
		err := tx.QueryRow(ctx, `select status from accounts where id = $1`, r.AccountID).Scan(&status)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrAccountUnknown
		case err != nil:
			return err
		case status != StatusActive:
			return ErrAccountInactive
		}
		_, err = tx.Exec(ctx, `insert into checkouts (id, account_id, idempotency_key, request_hash, provider, amount, credit_nano)
			values ($1, $2, $3, $4, $5, $6, $7) on conflict (account_id, idempotency_key) do nothing`,
			checkoutMark+rand.Text(), r.AccountID, r.IdempotencyKey, hash[:], wish.provider, wish.Amount, wish.CreditNano)
		if err != nil {
			return err
		}
		var before []byte
		err = tx.QueryRow(ctx, `select id, account_id, provider, attempt, amount, credit_nano, url, request_hash from checkouts
			where account_id = $1 and idempotency_key = $2`, r.AccountID, r.IdempotencyKey,
		).Scan(&row.ID, &row.account, &row.provider, &row.attempt, &row.Amount, &row.CreditNano, &row.URL, &before)
		if err == nil && string(before) != string(hash[:]) {
			err = ErrIdempotencyConflict
		}
		return err
	})
	return row, databaseError("record a checkout", err)
}

// admit asks whether a checkout may be begun that is not there yet.
func (c *Checkouts) admit(ctx context.Context, r CheckoutRequest) error {
	if r.Admit == nil {
		return nil
	}
	var known bool
	err := c.postgres.QueryRow(ctx, `select exists (select from checkouts where account_id = $1 and idempotency_key = $2)`,
		r.AccountID, r.IdempotencyKey).Scan(&known)
	if err != nil || known {
		return databaseError("find a checkout", err)
	}
	return r.Admit(ctx)
}

// failed makes way for another attempt with the same key.
func (c *Checkouts) failed(ctx context.Context, row begun, err error) error {
	var spent *spentAttemptError
	if errors.As(err, &spent) {
		// Without this, repetitions would hear the same fault until the provider forgets it.
		_, fault := c.postgres.Exec(ctx, `update checkouts set attempt = attempt + 1 where id = $1 and attempt = $2`, row.ID, row.attempt)
		err = errors.Join(err, databaseError("note a failed attempt", fault))
	}
	return fmt.Errorf("begin checkout %s: %w", row.ID, err)
}

// Prune forgets checkouts that nobody paid in all the time there was for it.
func (c *Checkouts) Prune(ctx context.Context) error {
	for {
		tag, err := c.postgres.Exec(ctx, `delete from checkouts where id in (select id from checkouts
			where charge_id is null and refused = '{}' and created_at < now() - $1::interval limit $2)`, checkoutLife, checkoutPrune)
		if err != nil {
			return databaseError("forget checkouts", err)
		}
		if tag.RowsAffected() < checkoutPrune {
			return nil
		}
	}
}
