package billing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/postgres"
)

const (
	// lateIn bounds what a settlement waits for Postgres; its caller repeats it.
	lateIn = 2 * time.Second
	// keepTaken is how long Redis remembers that it took a debit, which is longer
	// than the ledger may be behind.
	keepTaken = 48 * time.Hour

	foreignKeyViolation = "23503"
)

// referenceLate begins the names of write-offs of what calls cost beyond what their
// holds were resolved by.
const referenceLate = "late:"

// settleLate records the cost of a call whose hold Redis does not know: a debit, which
// the shard's owner has Redis take. It bears the hold's name, so that of any number of
// these and of the settlement itself one has an effect.
func (h *Holds) settleLate(ctx context.Context, s Settlement, details []byte) (Captured, error) {
	take := s.Cost
	if s.Held > 0 || s.Gift {
		take = min(take, s.Held)
	}
	var fresh bool
	err := h.record(ctx, "settle late", func(ctx context.Context, tx pgx.Tx) (err error) {
		fresh, err = insertLate(ctx, tx, s, take, details)
		return err
	})
	var pg *pgconn.PgError
	switch {
	case errors.As(err, &pg) && pg.Code == foreignKeyViolation:
		return Captured{}, ErrHoldUnknown
	case errors.Is(err, ErrHoldConflict):
		return Captured{}, ErrHoldConflict
	case err != nil:
		return Captured{}, err
	}
	failpoint.Here("money.late")
	if fresh {
		h.metrics.late.Inc()
	}
	return Captured{Nano: take, WriteOff: s.Cost - take, Replayed: take > 0 && !fresh, Late: true}, nil
}

// insertLate records a debit and what is beyond it, unless they are known.
func insertLate(ctx context.Context, tx pgx.Tx, s Settlement, take int64, details []byte) (fresh bool, err error) {
	if take == 0 { // a gift of the house, if it cost anything
		var known bool
		err := tx.QueryRow(ctx, `select exists (select from ledger_transactions where reference = $1)`,
			holdReference(s.HoldID)).Scan(&known)
		if err != nil || known {
			return false, err
		}
		return false, writeOffLate(ctx, tx, s.AccountID, s.HoldID, s.Cost)
	}
	tag, err := tx.Exec(ctx, `
		insert into debits (reference, account_id, kind, amount_nano, key_id, book, details)
		select $1::text, $2::bigint, $3::text, $4::bigint, $5::bigint, $6::text, $7::jsonb
		where not exists (select from ledger_transactions where reference = $1)
		on conflict (reference) do nothing`,
		holdReference(s.HoldID), s.AccountID, kindSettle, take, s.KeyID, bookRevenue, string(details))
	if err != nil {
		return false, err
	}
	if tag.RowsAffected() == 0 {
		return false, knownLate(ctx, tx, s, take)
	}
	return true, writeOffLate(ctx, tx, s.AccountID, s.HoldID, s.Cost-take)
}

// knownLate tells a repeat from another call under the same hold id. ErrHoldConflict.
func knownLate(ctx context.Context, tx pgx.Tx, s Settlement, take int64) error {
	var same bool
	err := tx.QueryRow(ctx, `select coalesce(
		(select account_id = $2 from ledger_transactions where reference = $1),
		(select account_id = $2 and key_id = $3 and amount_nano = $4 from debits where reference = $1))`, holdReference(s.HoldID), s.AccountID, s.KeyID, take).Scan(&same)
	if err == nil && !same {
		err = ErrHoldConflict
	}
	return err
}

// settleExpired records what a call cost beyond what its hold, once past its deadline,
// was resolved by.
func (h *Holds) settleExpired(ctx context.Context, s Settlement, resolved HoldExpiredError) error {
	beyond := s.Cost - resolved.Captured - resolved.WriteOff
	if beyond > 0 {
		err := h.record(ctx, "write off a late cost", func(ctx context.Context, tx pgx.Tx) error {
			return writeOffLate(ctx, tx, s.AccountID, s.HoldID, beyond)
		})
		if err != nil {
			return err
		}
		resolved.WriteOff += beyond
	}
	return &resolved
}

// record runs a transaction that a settlement's caller repeats until it succeeds.
func (h *Holds) record(ctx context.Context, what string, do func(context.Context, pgx.Tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, lateIn)
	defer cancel()
	err := postgres.InTx(ctx, h.postgres, func(tx pgx.Tx) error { return do(ctx, tx) })
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrClosed, what, err)
	}
	return nil
}

// writeOffLate posts a cost that nobody was charged for, once for each hold. The
// account's lock makes that hold against concurrent ones.
func writeOffLate(ctx context.Context, tx pgx.Tx, account int64, holdID string, nano int64) error {
	if nano <= 0 {
		return nil
	}
	var recorded bool
	reference := referenceLate + holdID
	if _, err := tx.Exec(ctx, `select from accounts where id = $1 for no key update`, account); err != nil {
		return err
	}
	err := tx.QueryRow(ctx, `select exists (select from ledger_transactions where reference = $1)`, reference).Scan(&recorded)
	if err != nil || recorded {
		return err
	}
	_, err = post(ctx, tx, transaction{kind: "late", account: account, reference: reference,
		moves: []move{{from: bookWriteOff, to: bookRevenue, nano: nano}}})
	return err
}

// debit is what Postgres decided to take from an account: a row of the table debits.
type debit struct {
	reference    string
	account, key int64
	nano         int64 // above zero
	kind, book   string
	details      []byte // of the event
}

// Outcomes of taking a debit.
const (
	debitTaken    = "taken"
	debitReplayed = "replayed" // it was taken before, or its hold is settled
	debitHeld     = "held"     // its hold stands: too early to say
)

// takeDebit has Redis take a debit, once, however often it is repeated within two
// days, and in no epoch but the named one. All events that were in the stream when the
// row was read must be in the ledger by then, and the ledger must not know the reference.
func (s *scripts) takeDebit(ctx context.Context, client redis.Scripter, epoch int64, d debit) (status string, captured, writeOff int64, err error) {
	holdID, settles := strings.CutPrefix(d.reference, holdReference(""))
	keys := []string{EpochKey(d.account), AcctKey(d.account), takenKey(d.account, d.reference),
		evKey(shardOf(d.account))}
	chat := ""
	if settles {
		keys = append(keys, HoldKey(d.account, holdID))
		var said payload
		if json.Unmarshal(d.details, &said) == nil && said.Source == SourceTelegram {
			chat = SourceTelegram
		}
	}
	answer, err := s.debit.Run(ctx, client, keys, d.reference, d.account, d.key, d.nano, d.kind, d.book,
		d.details, keepTaken.Milliseconds(), holdID, epoch, chat).Slice()
	if err != nil {
		return "", 0, 0, redisError("take a debit", err)
	}
	var numbers [3]int64
	status, err = statusAnd(numbers[:], answer)
	if err != nil {
		return "", 0, 0, err
	}
	switch status {
	case debitTaken, debitReplayed, debitHeld:
		return status, numbers[0], numbers[1], nil
	}
	return "", 0, 0, resolution(status)
}
