package billing

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	claimRuns  = 20 // runs of reapMost claims in one look
	claimLater = 5 * time.Second
	absentMost = 10_000
)

// resolveClaims looks after the claims that passed their deadlines: a call that lives may
// go on, of one that ended or died the claim comes to what its hold came to.
//
//	the hold stands             the call goes on, or the reaper will resolve it
//	the hold was resolved       what it says
//	the ledger has it           what that says
//	a debit of it is to come    what that will come to
//	none of it, twice           nothing: the hold never came to be, or was given back
//
// Nothing is concluded from what is not there before Postgres has applied every event that
// was in the hold's stream when it was not. Should a call come to something yet, because
// it outlived a Redis that forgot its hold, its claim is counted then.
func (w *steward) resolveClaims(ctx context.Context) error {
	for range claimRuns {
		names, err := w.scripts.due.Run(ctx, w.redis, []string{epochKey(w.shard), claimsKey(w.shard)}, 0, reapMost).StringSlice()
		if err != nil {
			return redisError("look for claims", err)
		}
		if len(names) < 2 {
			return nil
		}
		if err := w.resolveRun(ctx, names[1:]); err != nil {
			return err
		}
		if len(names)-1 < reapMost {
			return nil
		}
	}
	return nil
}

// lostClaim is a claim whose hold is not there.
type lostClaim struct {
	Claim
	at position // of the hold's shard, when it was not
}

func (w *steward) resolveRun(ctx context.Context, names []string) error {
	var later []any
	var lost []lostClaim
	for _, name := range names {
		c, err := parseClaim(name)
		if err != nil {
			w.log.ErrorContext(ctx, "what is no claim is dropped", "err", err)
			if err := w.redis.ZRem(ctx, claimsKey(w.shard), name).Err(); err != nil {
				return redisError("drop what is no claim", err)
			}
			continue
		}
		hold, at, err := w.holdOf(ctx, c)
		if err != nil { // its shard is away or closed: nothing can be said
			later = append(later, name)
			continue
		}
		switch hold.state {
		case "h":
			later = append(later, name)
		case "s", "r":
			done, err := w.conclude(ctx, c, hold.captured())
			if err != nil {
				return err
			}
			if !done {
				later = append(later, name)
			}
		default:
			lost = append(lost, lostClaim{c, at})
		}
	}
	waiting, err := w.resolveLost(ctx, lost)
	if err != nil {
		return err
	}
	if later = append(later, waiting...); len(later) == 0 {
		return nil
	}
	err = w.scripts.postpone.Run(ctx, w.redis, []string{claimsKey(w.shard)}, append([]any{claimLater.Milliseconds()}, later...)...).Err()
	return redisError("look after claims later", err)
}

// holdState is how a hold stands; no state: there is none of that account.
type holdState struct {
	state string
	nano  int64
}

func (h holdState) captured() int64 {
	if h.state == "s" {
		return h.nano
	}
	return 0
}

// holdOf reads a claim's hold, and where its stream ended at that moment. ErrClosed.
func (w *steward) holdOf(ctx context.Context, c Claim) (h holdState, at position, err error) {
	answer, err := w.scripts.holdState.Run(ctx, w.redis,
		[]string{EpochKey(c.AccountID), HoldKey(c.AccountID, c.HoldID), evKey(shardOf(c.AccountID))}).StringSlice()
	if err != nil {
		return h, at, redisError("read a hold", err)
	}
	if answer[0] == "" {
		return h, at, ErrClosed
	}
	if at.epoch, err = strconv.ParseInt(answer[0], 10, 64); err != nil {
		return h, at, fmt.Errorf("billing: epoch %q: %w", answer[0], err)
	}
	if answer[2] != "" {
		if at.last, err = parseEventID(answer[2]); err != nil {
			return h, at, err
		}
	}
	if answer[1] == "" {
		return h, at, nil
	}
	account, err := holder(answer[1])
	if err != nil {
		return h, at, err
	}
	if account != c.AccountID {
		return h, at, nil // the id was taken: this call's hold was refused
	}
	fields := strings.SplitN(answer[1], "|", 3)
	h.state = fields[0]
	h.nano, err = strconv.ParseInt(fields[1], 10, 64)
	return h, at, err
}

// conclude resolves a claim, unless its organisation is still to be restored.
func (w *steward) conclude(ctx context.Context, c Claim, captured int64) (done bool, err error) {
	err = w.scripts.resolveClaim(ctx, w.redis, c, captured)
	if errors.Is(err, errNoOrganisation) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	delete(w.absent, c.name())
	w.metrics.claims.Inc()
	return true, nil
}

// resolveLost resolves claims without a hold by the ledger, and returns those that must
// wait.
func (w *steward) resolveLost(ctx context.Context, lost []lostClaim) (waiting []any, err error) {
	if len(lost) == 0 {
		return nil, nil
	}
	positions, err := w.readPositions(ctx)
	if err != nil {
		return nil, err
	}
	references := make([]string, len(lost))
	for i, l := range lost {
		references[i] = holdReference(l.HoldID)
	}
	known, pending, err := w.readCaptured(ctx, references)
	if err != nil {
		return nil, err
	}
	if len(w.absent) > absentMost {
		clear(w.absent)
	}
	now := w.now()
	for i, l := range lost {
		captured, found := known[references[i]][l.AccountID]
		if !found {
			if !positions[shardOf(l.AccountID)].includes(l.at) || pending[references[i]] {
				delete(w.absent, l.name())
				waiting = append(waiting, l.name())
				continue
			}
			since, seen := w.absent[l.name()]
			if !seen {
				w.absent[l.name()] = now
			}
			if !seen || now.Sub(since) < w.reapGrace {
				waiting = append(waiting, l.name())
				continue
			}
		}
		done, err := w.conclude(ctx, l.Claim, captured)
		if err != nil {
			return nil, err
		}
		if !done {
			waiting = append(waiting, l.name())
		}
	}
	return waiting, nil
}

// readCaptured reads what the ledger has of references, per account, and which of them are
// debits that it is yet to show.
func (e *Engine) readCaptured(ctx context.Context, references []string) (known map[string]map[int64]int64, pending map[string]bool, err error) {
	known, pending = map[string]map[int64]int64{}, map[string]bool{}
	batch := &pgx.Batch{}
	// A debit is posted before its row says so: whoever is not pending any more is known.
	batch.Queue(`select reference from debits where reference = any($1) and posted_at is null`, references).
		Query(func(rows pgx.Rows) error {
			var reference string
			_, err := pgx.ForEachRow(rows, []any{&reference}, func() error {
				pending[reference] = true
				return nil
			})
			return err
		})
	batch.Queue(`select t.reference, t.account_id, coalesce(-sum(e.amount_nano), 0)::bigint
		from ledger_transactions t left join ledger_entries e
			on e.transaction_id = t.id and e.created_at = t.created_at and e.book = '`+bookCustomer+`'
		where t.reference = any($1) group by 1, 2`, references).
		Query(func(rows pgx.Rows) error {
			var reference string
			var account, nano int64
			_, err := pgx.ForEachRow(rows, []any{&reference, &account, &nano}, func() error {
				known[reference] = map[int64]int64{account: nano}
				return nil
			})
			return err
		})
	if err := e.postgres.SendBatch(ctx, batch).Close(); err != nil {
		return nil, nil, fmt.Errorf("read what calls came to: %w", err)
	}
	return known, pending, nil
}

// readPositions reads how far all shards are applied.
func (e *Engine) readPositions(ctx context.Context) (positions [stream.Shards]position, err error) {
	rows, err := e.postgres.Query(ctx, `select shard, epoch, last_ms, last_seq from stream_positions`)
	if err != nil {
		return positions, fmt.Errorf("read positions: %w", err)
	}
	var shard int16
	var p position
	_, err = pgx.ForEachRow(rows, []any{&shard, &p.epoch, &p.last.ms, &p.last.seq}, func() error {
		positions[shard] = p // 0 to 15, the table checks
		return nil
	})
	if err != nil {
		return positions, fmt.Errorf("read positions: %w", err)
	}
	return positions, nil
}

// includes says whether p is at another position of the same epoch or after it; in a
// later epoch everything that there was to be saved of the earlier one is applied.
func (p position) includes(other position) bool {
	return p.epoch > other.epoch || p.epoch == other.epoch && !p.last.before(other.last)
}
