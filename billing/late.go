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

// oneLate makes those who record what a hold's call cost late wait for each other.
const oneLate = `select pg_advisory_xact_lock(hashtextextended($1, 0))`

// referenceLate begins the names of write-offs of what calls cost beyond what their
// holds were resolved by.
const referenceLate = "late:"

// Record notes in Postgres what a held call cost, for whoever cannot know whether Redis has
// its settlement: the shard's owner has it take effect, unless the settlement itself does.
// A call that nothing is owed for leaves nothing there. Captured is as of a late settlement.
// Errors: ErrHoldUnknown, ErrHoldConflict, ErrHoldID, ErrAmount; ErrClosed, two seconds later
// at most, where Postgres cannot be asked: whether it was noted is not known then.
func (h *Holds) Record(ctx context.Context, s Settlement) (Captured, error) {
	if err := s.check(); err != nil {
		return Captured{}, err
	}
	if take := s.owed(); take == 0 {
		return Captured{WriteOff: s.Cost, Late: true}, nil
	}
	s.Usage = s.Usage.Clamped()
	return h.settleLate(ctx, s, encodePayload(&s))
}

// owed is what a settlement takes at most where Redis has no hold to bound it by.
func (s *Settlement) owed() int64 {
	if s.Held > 0 || s.Gift {
		return min(s.Cost, s.Held)
	}
	return s.Cost
}

// settleLate records the cost of a call whose hold Redis does not know, or may not have
// settled: a debit, which the shard's owner has Redis take. It bears the hold's name, so
// that of any number of these and of the settlement itself one has an effect.
func (h *Holds) settleLate(ctx context.Context, s Settlement, details []byte) (Captured, error) {
	take := s.owed()
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

// insertLate records a debit and what is beyond it, unless they are known, or were written
// off after the hold's deadline.
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
	batch := &pgx.Batch{}
	batch.Queue(oneLate, s.HoldID)
	batch.Queue(`
		insert into debits (reference, account_id, kind, amount_nano, beyond_nano, key_id, book, details)
		select $1::text, $2::bigint, $3::text, $4::bigint, $5::bigint, $6::bigint, $7::text, $8::jsonb
		where not exists (select from ledger_transactions where reference in ($1, $9::text))
		on conflict (reference) do nothing`,
		holdReference(s.HoldID), s.AccountID, kindSettle, take, s.Cost-take, s.KeyID, bookRevenue, string(details), referenceLate+s.HoldID).
		Exec(func(tag pgconn.CommandTag) error {
			fresh = tag.RowsAffected() > 0
			return nil
		})
	if err := tx.SendBatch(ctx, batch).Close(); err != nil || fresh {
		return fresh, err
	}
	return false, knownLate(ctx, tx, s, take)
}

// knownLate tells a repeat from another call under the same hold id. ErrHoldConflict.
func knownLate(ctx context.Context, tx pgx.Tx, s Settlement, take int64) error {
	var same bool
	err := tx.QueryRow(ctx, `select coalesce(
		(select account_id = $2 from ledger_transactions where reference = $1),
		(select account_id = $2 and key_id = $3 and amount_nano = $4 from debits where reference = $1),
		(select account_id = $2 from ledger_transactions where reference = $5))`,
		holdReference(s.HoldID), s.AccountID, s.KeyID, take, referenceLate+s.HoldID).Scan(&same)
	if err == nil && !same {
		err = ErrHoldConflict
	}
	return err
}

// settleExpired records what a call cost beyond what its hold, once past its deadline,
// was resolved by. Of a call that has a debit, the debit takes or writes off all.
func (h *Holds) settleExpired(ctx context.Context, s Settlement, resolved HoldExpiredError) error {
	beyond := s.Cost - resolved.Captured - resolved.WriteOff
	if beyond > 0 {
		err := h.record(ctx, "write off a late cost", func(ctx context.Context, tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, oneLate, s.HoldID); err != nil {
				return err
			}
			var recorded bool
			err := tx.QueryRow(ctx, `select exists (select from debits where reference = $1)`, holdReference(s.HoldID)).Scan(&recorded)
			if err != nil || recorded {
				return err
			}
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
	_, err = post(ctx, tx, transaction{kind: kindLate, account: account, reference: reference,
		moves: []move{{from: bookWriteOff, to: bookRevenue, nano: nano}}})
	return err
}

// debit is what Postgres decided to take from an account: a row of the table debits.
type debit struct {
	reference    string
	account, key int64
	nano         int64 // above zero
	beyond       int64 // of what it is for, which nobody is charged for
	kind, book   string
	details      []byte // of the event
}

// Outcomes of taking a debit.
const (
	debitTaken    = "taken"
	debitReplayed = "replayed" // it was taken before, or its hold is settled
)

// takeDebit has Redis take a debit, once, however often it is repeated within two
// days, and in no epoch but the named one. All events that were in the stream when the
// row was read must be in the ledger by then, and the ledger must not know the reference.
func (s *scripts) takeDebit(ctx context.Context, client redis.Scripter, epoch int64, d debit) (status string, captured, writeOff int64, err error) {
	holdID, settles := strings.CutPrefix(d.reference, holdReference(""))
	chat := ""
	if settles {
		var said payload
		if json.Unmarshal(d.details, &said) == nil && said.Source == SourceTelegram {
			chat = SourceTelegram
		}
	} else {
		holdID = ""
	}
	keys := []string{EpochKey(d.account), AcctKey(d.account), HoldKey(d.account, holdID), ExpKey(d.account),
		evKey(shardOf(d.account)), takenKey(d.account, d.reference)}
	answer, err := s.debit.Run(ctx, client, keys, holdID, d.reference, d.account, d.key, d.nano, d.beyond, d.kind, d.book,
		d.details, keepTaken.Milliseconds(), epoch, chat).Slice()
	if err != nil {
		return "", 0, 0, redisError("take a debit", err)
	}
	var numbers [3]int64
	status, err = statusAnd(numbers[:], answer)
	if err != nil {
		return "", 0, 0, err
	}
	switch status {
	case debitTaken, debitReplayed:
		return status, numbers[0], numbers[1], nil
	}
	return "", 0, 0, resolution(status)
}
