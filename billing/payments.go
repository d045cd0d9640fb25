package billing

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// Providers of payments; each is the kind of its credits and the book that they are
// written against, too.
const (
	ProviderStars = CreditStars
	ProviderCard  = CreditCard
)

const (
	maxCharge  = 190       // characters of a charge's id, so that what is named after it fits
	maxCharged = 1_000_000 // of the currency's smallest unit; with it no credit passes MaxCredit
)

// Payments takes customers' money in and gives it back, each charge once.
type Payments struct {
	postgres *pgxpool.Pool
	accounts *Accounts
	log      *slog.Logger
	now      func() time.Time
	peppers  []*pepper
	starNano int64                  // nano-USD that one Star is credited with
	outcomes *prometheus.CounterVec // provider, outcome
	taken    *prometheus.CounterVec // provider

	referralMost int // invitations of an account that are rewarded in a month
}

func newPayments(c Config, a *Accounts, ring []*pepper) *Payments {
	p := &Payments{postgres: c.Postgres, accounts: a, log: c.Log, now: c.Now, peppers: ring, starNano: c.StarNano, referralMost: c.ReferralMost,
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_total", Help: "Charges by provider and what became of them: credited, repeated, refunded.",
		}, []string{"provider", "outcome"}),
		taken: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_nano_usd_total", Help: "What payments added to their accounts, in nano-USD; refunds are not taken off.",
		}, []string{"provider"})}
	for _, provider := range []string{ProviderStars, ProviderCard} { // a rate needs a zero to begin at
		p.taken.WithLabelValues(provider)
	}
	if c.Registerer != nil {
		c.Registerer.MustRegister(p.outcomes, p.taken)
	}
	return p
}

// Charge is a payment that was made.
type Charge struct {
	ID       string // Telegram's telegram_payment_charge_id, or the card provider's payment
	Provider string
	Amount   int64 // in the currency's smallest unit, as the provider told it
	Currency string
	// Stars go to the account of the person who paid, which is opened if need be; the
	// payload says what was promised for them.
	TelegramID int64
	Payload    string
	// A card payment goes to the account that began it, with what was promised then.
	AccountID  int64
	CreditNano int64
	// Until when a monthly top-up is paid by this; zero: it is none.
	Until time.Time
	First bool // the first payment of a monthly top-up
	Found bool // not told by an update, but found in the provider's books
}

// Receipt is what a payment came to.
type Receipt struct {
	AccountID  int64
	ChargeID   string
	Amount     int64
	Currency   string
	CreditNano int64
	Replayed   bool   // the charge had been credited before
	Notice     string // unique key of the notice that tells the account's owner
}

// Paid are the details of the notices NoticeToppedUp and NoticeSubscriptionRenewed.
type Paid struct {
	ChargeID   string    `json:"charge_id"`
	Amount     int64     `json:"amount"`
	Currency   string    `json:"currency"`
	CreditNano int64     `json:"credit_nano"`
	Until      time.Time `json:"until,omitzero"`
}

// Paid credits a charge, once, however often and from wherever it is told: the money
// came, so it is never refused. ErrCharge, ErrAmount, ErrAccountUnknown.
func (p *Payments) Paid(ctx context.Context, c Charge) (Receipt, error) {
	if err := c.check(); err != nil {
		return Receipt{}, err
	}
	var t taken
	try := func() error {
		return postgres.InTx(ctx, p.postgres, func(tx pgx.Tx) (err error) {
			t, err = p.take(ctx, tx, c)
			return err
		})
	}
	err := try()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		err = try() // another took the charge meanwhile: now it is seen
	}
	if err != nil {
		return Receipt{}, fmt.Errorf("take charge %s: %w", c.ID, err)
	}
	failpoint.Here("payments.credited")
	p.show(ctx, c, t)
	return t.Receipt, nil
}

func (c Charge) check() error {
	if c.ID == "" || cleanText(c.ID, maxCharge) != c.ID {
		return ErrCharge
	}
	if c.Amount <= 0 || c.Amount > maxCharged {
		return ErrAmount
	}
	switch {
	case c.Provider == ProviderStars && c.Currency == CurrencyStars && validTelegramID(c.TelegramID):
	case c.Provider == ProviderCard && c.Currency == "USD" && c.AccountID > 0:
	default:
		return ErrCharge
	}
	return nil
}

// taken is a charge as Postgres holds it, and what Redis is to be told.
type taken struct {
	Receipt
	seq     int64
	rewards []reward // for an invitation
	opened  *accountFound
	note    string // what was odd about it
}

// take credits the charge inside tx, with its row, its notice and its subscription.
func (p *Payments) take(ctx context.Context, tx pgx.Tx, c Charge) (taken, error) {
	t := taken{Receipt: Receipt{ChargeID: c.ID, Amount: c.Amount, Currency: c.Currency, Notice: "paid:" + c.ID}}
	err := tx.QueryRow(ctx, `select account_id, amount, currency, credit_nano from payments where charge_id = $1`,
		c.ID).Scan(&t.AccountID, &t.Amount, &t.Currency, &t.CreditNano)
	if t.Replayed = err == nil; t.Replayed || !errors.Is(err, pgx.ErrNoRows) {
		return t, err
	}
	if t.AccountID, t.CreditNano = c.AccountID, c.CreditNano; c.Provider == ProviderStars {
		if err := p.takeStars(ctx, tx, c, &t); err != nil {
			return t, err
		}
	}
	ref, err := invited(ctx, tx, t.AccountID)
	if err != nil {
		return t, err
	}
	g, err := grant(ctx, tx, Credit{AccountID: t.AccountID, AmountNano: t.CreditNano, Kind: c.Provider,
		IdempotencyKey: c.Provider + ":" + c.ID, Memo: map[string]string{"charge": c.ID}})
	if err != nil {
		return t, err
	}
	t.seq = g.seq
	_, err = tx.Exec(ctx, `insert into payments
			(charge_id, provider, account_id, amount, currency, credit_nano, transaction_id, subscription_until)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		c.ID, c.Provider, t.AccountID, c.Amount, c.Currency, t.CreditNano, g.transaction, nullTime(c.Until))
	if err != nil {
		return t, fmt.Errorf("write the payment: %w", err)
	}
	if t.rewards, err = p.settle(ctx, tx, ref, c.ID, t.CreditNano); err != nil {
		return t, err
	}
	kind := NoticeToppedUp
	if !c.Until.IsZero() {
		if err := subscribe(ctx, tx, t.AccountID, c); err != nil {
			return t, err
		}
		if !c.First {
			kind = NoticeSubscriptionRenewed
		}
	}
	return t, notice(ctx, tx, Notice{AccountID: t.AccountID, Kind: kind, UniqueKey: t.Notice, Details: Paid{
		ChargeID: c.ID, Amount: c.Amount, Currency: c.Currency, CreditNano: t.CreditNano, Until: c.Until}})
}

// takeStars finds whose the Stars are and what was promised for them.
func (p *Payments) takeStars(ctx context.Context, tx pgx.Tx, c Charge, t *taken) error {
	found, created, err := findOrInsert(ctx, tx, c.TelegramID)
	if err != nil {
		return err
	}
	t.AccountID, t.CreditNano = found.ID, p.worth(c.Amount)
	if created {
		t.opened = &found
		if err := audit(ctx, tx, Entry{Actor: House, Action: actionRegistered, AccountID: found.ID}); err != nil {
			return err
		}
	}
	switch offer, ok := p.read(c.Payload); {
	case !ok:
		t.note = "a payment without a promise of ours, credited at today's rate"
	case offer.Stars != c.Amount:
		t.note = "a payment of another amount than promised, credited at today's rate"
	default:
		t.CreditNano = offer.CreditNano
		if offer.AccountID != found.ID {
			t.note = "a payment for another account, credited to who paid"
		}
	}
	return nil
}

// show tells Redis, the log and the metrics of what was taken.
func (p *Payments) show(ctx context.Context, c Charge, t taken) {
	if t.Replayed {
		p.outcomes.WithLabelValues(c.Provider, "repeated").Inc()
		return
	}
	p.outcomes.WithLabelValues(c.Provider, "credited").Inc()
	p.taken.WithLabelValues(c.Provider).Add(float64(t.CreditNano))
	if t.note != "" {
		p.log.WarnContext(ctx, t.note, "account_id", t.AccountID, "charge", t.ChargeID, "amount", t.Amount)
	}
	if c.Found {
		p.log.WarnContext(ctx, "a payment that no update told of was credited", "account_id", t.AccountID, "charge", t.ChargeID)
	}
	if t.opened != nil {
		row := t.opened.accountRow
		row.Balance, row.CreditSeq = t.CreditNano, t.seq
		p.accounts.project(ctx, row, c.TelegramID)
		return
	}
	p.accounts.projectCredit(ctx, t.AccountID, t.seq, t.CreditNano)
	for _, r := range t.rewards {
		p.accounts.projectCredit(ctx, r.account, r.seq, r.nano)
	}
}

func nullTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Payment is a charge as the books have it.
type Payment struct {
	ChargeID      string
	Provider      string
	AccountID     int64
	TelegramID    int64 // of the account's owner; 0: they left
	Amount        int64
	Currency      string
	CreditNano    int64
	PaidAt        time.Time
	RefundAskedAt time.Time // zero: never
	Refunded      int64     // of Amount, given back by the provider so far
	RefundedAt    time.Time // all of it was; zero: it was not
	Posted        bool      // what was given back is in the ledger:
	Captured      int64     // what the account had left of it
	WrittenOff    int64     // what was spent already
}

// States of a payment.
const (
	PaymentPaid      = "paid"
	PaymentAsked     = "asked"      // its refund was asked for
	PaymentGivenBack = "given_back" // … the provider gave it back, and it is being taken off the balance
	PaymentRefunded  = "refunded"   // … and it was
	PaymentReduced   = "reduced"    // a part of it was given back and taken off
)

// State says in a word how far a payment and its refund are.
func (p Payment) State() string {
	switch {
	case p.Refunded > 0 && !p.Posted:
		return PaymentGivenBack
	case !p.RefundedAt.IsZero():
		return PaymentRefunded
	case p.Refunded > 0:
		return PaymentReduced
	case !p.RefundAskedAt.IsZero():
		return PaymentAsked
	}
	return PaymentPaid
}

const selectPayments = `
	select p.charge_id, p.provider, p.account_id, coalesce(a.telegram_id, 0), p.amount, p.currency, p.credit_nano,
		p.paid_at, p.refund_asked_at, p.refunded, p.refunded_at, p.refunds > 0 and p.refunds = back.parts, back.captured, back.written_off
	from payments p join accounts a on a.id = p.account_id
	cross join lateral (
		select count(distinct t.id) as parts,
			coalesce(-sum(e.amount_nano) filter (where e.book = 'customer'), 0)::bigint as captured,
			coalesce(-sum(e.amount_nano) filter (where e.book = 'write_off'), 0)::bigint as written_off
		from generate_series(1, p.refunds) n
		cross join lateral ( -- "offset 0": one look into the index each, whatever the planner thinks of n
			select id, created_at from ledger_transactions
			where reference = 'refund:' || p.charge_id || case when n = 1 then '' else ':' || n end offset 0
		) t
		join ledger_entries e on e.transaction_id = t.id and e.created_at = t.created_at
	) back
	where `

// Find returns a payment by its charge. ErrChargeUnknown.
func (p *Payments) Find(ctx context.Context, chargeID string) (Payment, error) {
	found, err := p.find(ctx, `p.charge_id = $1`, chargeID)
	if err == nil && len(found) == 0 {
		err = ErrChargeUnknown
	}
	if err != nil {
		return Payment{}, err
	}
	return found[0], nil
}

// Latest returns an account's newest payments, newest first.
func (p *Payments) Latest(ctx context.Context, accountID int64, most int) ([]Payment, error) {
	return p.find(ctx, `p.account_id = $1 order by p.paid_at desc, p.charge_id limit $2`, accountID, most)
}

func (p *Payments) find(ctx context.Context, where string, args ...any) ([]Payment, error) {
	rows, err := p.postgres.Query(ctx, selectPayments+where, args...)
	if err != nil {
		return nil, fmt.Errorf("find payments: %w", err)
	}
	found, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (f Payment, err error) {
		var asked, refunded *time.Time
		err = row.Scan(&f.ChargeID, &f.Provider, &f.AccountID, &f.TelegramID, &f.Amount, &f.Currency, &f.CreditNano,
			&f.PaidAt, &asked, &f.Refunded, &refunded, &f.Posted, &f.Captured, &f.WrittenOff)
		if asked != nil {
			f.RefundAskedAt = *asked
		}
		if refunded != nil {
			f.RefundedAt = *refunded
		}
		return f, err
	})
	if err != nil {
		return nil, fmt.Errorf("find payments: %w", err)
	}
	return found, nil
}
