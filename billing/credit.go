package billing

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

// MaxCredit bounds one credit, in nano-USD: a million dollars.
const MaxCredit = 1_000_000 * NanoPerUSD

const (
	maxIdempotencyKey = 200 // characters
	uniqueViolation   = "23505"
)

// Kinds of credit; each says which book pays for it.
const (
	CreditWelcome    = "welcome"
	CreditPromotion  = "promotion"
	CreditAdjustment = "adjustment"
	CreditStars      = "stars"
	CreditCard       = "card"
	CreditGift       = "gift"     // another account's, or its own that came back
	CreditReferral   = "referral" // for an invitation
)

// bookOf is the ledger's book against which a kind of credit is written.
func bookOf(kind string) (string, error) {
	switch kind {
	case CreditWelcome, CreditPromotion, CreditReferral:
		return bookPromotion, nil
	case CreditGift:
		return bookGifts, nil
	case CreditAdjustment, CreditStars, CreditCard:
		return kind, nil
	}
	return "", ErrCreditKind
}

// Credit is money to give to an account.
type Credit struct {
	AccountID      int64
	AmountNano     int64  // 1 … MaxCredit
	Kind           string // one of the Credit kinds
	IdempotencyKey string // 1 … 200 characters; the same key credits once, for ever
	Memo           map[string]string
	By             Actor `json:"-"` // no part of what a repetition must repeat
}

// CreditResult says what became of a credit.
type CreditResult struct {
	TransactionID int64
	Replayed      bool // the key had been used before, with these arguments
	Projected     bool // the balance shows it already; else the relay will see to it
}

// hash covers all that a repeated request must repeat.
func (c Credit) hash() ([]byte, error) {
	c.Memo = cleanMemo(c.Memo)
	raw, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(raw)
	return sum[:], nil
}

func cleanMemo(memo map[string]string) map[string]string {
	if len(memo) == 0 {
		return nil
	}
	clean := make(map[string]string, len(memo))
	for name, value := range memo {
		clean[cleanText(name, 100)] = cleanText(value, 1000)
	}
	return clean
}

// granted is a credit as Postgres holds it.
type granted struct {
	transaction int64
	seq         int64
	replayed    bool
}

// Credit gives money to an account: decided in Postgres, in one transaction,
// then shown in Redis. The same key with the same arguments returns the first
// result, whenever it is asked again; with others, ErrIdempotencyConflict.
// Errors: ErrAmount, ErrCreditKind, ErrIdempotencyKey, ErrAccountUnknown.
func (a *Accounts) Credit(ctx context.Context, c Credit) (CreditResult, error) {
	var g granted
	try := func() error {
		return postgres.InTx(ctx, a.postgres, func(tx pgx.Tx) (err error) {
			g, err = grant(ctx, tx, c)
			return err
		})
	}
	err := try()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == uniqueViolation {
		err = try() // another account's credit took the key meanwhile: now it is seen
	}
	if err != nil {
		return CreditResult{}, fmt.Errorf("credit account %d: %w", c.AccountID, err)
	}
	failpoint.Here("credit.committed")
	return CreditResult{
		TransactionID: g.transaction, Replayed: g.replayed,
		Projected: a.projectCredit(ctx, c.AccountID, g.seq, c.AmountNano),
	}, nil
}

// projectCredit shows a durable credit in Redis, as well as it can: the relay repairs.
// A caller who leaves must not keep it from Redis.
func (a *Accounts) projectCredit(ctx context.Context, account, seq, nano int64) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), projectIn)
	defer cancel()
	if err := a.projector.credit(ctx, account, seq, nano); err != nil {
		a.log.WarnContext(ctx, "credit left to the relay", "account_id", account, "err", err)
		return false
	}
	return true
}

// grant decides a credit inside tx. The account's lock orders the credits of
// one account, so that their numbers have no gap.
func grant(ctx context.Context, tx pgx.Tx, c Credit) (granted, error) {
	book, err := bookOf(c.Kind)
	if err != nil {
		return granted{}, err
	}
	if c.AmountNano <= 0 || c.AmountNano > MaxCredit {
		return granted{}, ErrAmount
	}
	if c.IdempotencyKey == "" || cleanText(c.IdempotencyKey, maxIdempotencyKey) != c.IdempotencyKey {
		return granted{}, ErrIdempotencyKey
	}
	hash, err := c.hash()
	if err != nil {
		return granted{}, err
	}
	var balance, seq int64
	err = tx.QueryRow(ctx, `select balance_nano, credit_seq from accounts where id = $1 for no key update`,
		c.AccountID).Scan(&balance, &seq)
	if errors.Is(err, pgx.ErrNoRows) {
		return granted{}, ErrAccountUnknown
	}
	if err != nil {
		return granted{}, err
	}
	g := granted{replayed: true}
	var before []byte
	err = tx.QueryRow(ctx, `select transaction_id, seq, request_hash from credits where idempotency_key = $1`,
		c.IdempotencyKey).Scan(&g.transaction, &g.seq, &before)
	switch {
	case err == nil && string(before) == string(hash):
		return g, nil
	case err == nil:
		return granted{}, ErrIdempotencyConflict
	case !errors.Is(err, pgx.ErrNoRows):
		return granted{}, err
	}
	if balance > MaxNano-c.AmountNano {
		return granted{}, fmt.Errorf("%w: the balance would pass %d nano-USD", ErrAmount, int64(MaxNano))
	}
	g = granted{seq: seq + 1}
	g.transaction, err = post(ctx, tx, transaction{
		kind:      kindCredit,
		account:   c.AccountID,
		reference: fmt.Sprintf("credit:%d:%d", c.AccountID, g.seq),
		memo:      cleanMemo(c.Memo),
		moves:     []move{{from: book, to: bookCustomer, nano: c.AmountNano}},
	})
	if err != nil {
		return granted{}, err
	}
	batch := &pgx.Batch{}
	batch.Queue(`insert into credits (account_id, seq, amount_nano, kind, idempotency_key, request_hash, transaction_id)
		values ($1, $2, $3, $4, $5, $6, $7)`, c.AccountID, g.seq, c.AmountNano, c.Kind, c.IdempotencyKey, hash, g.transaction)
	batch.Queue(`update accounts set credit_seq = $2 where id = $1`, c.AccountID, g.seq)
	if err := tx.SendBatch(ctx, batch).Close(); err != nil {
		return granted{}, err
	}
	return g, c.audit(ctx, tx, g)
}

// audit notes what somebody decided to give. Payments, welcomes, gifts and
// referrals follow from rules, and the ledger says all there is to say of them.
func (c Credit) audit(ctx context.Context, tx pgx.Tx, g granted) error {
	if c.Kind != CreditAdjustment && c.Kind != CreditPromotion {
		return nil
	}
	return audit(ctx, tx, Entry{Actor: c.By, Action: actionCredited, AccountID: c.AccountID, Details: map[string]any{
		"kind": c.Kind, "amount_nano_usd": c.AmountNano, "transaction_id": g.transaction, "idempotency_key": c.IdempotencyKey,
	}})
}
