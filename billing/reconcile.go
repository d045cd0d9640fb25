package billing

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

var (
	//go:embed scripts/read_hashes.lua
	readHashesLua string
	//go:embed scripts/read_holds.lua
	readHoldsLua string
)

const (
	closedPatience = 10 * time.Second
	unsteadyPause  = 50 * time.Millisecond
	lookChunk      = 500
	lookMost       = 10_000
	liveHoldsMost  = 50_000 // of one shard, looked at in one step
)

// Reconciler holds Redis against Postgres, and Postgres against itself, exactly and
// while everything goes on. It changes nothing and needs nothing but to read.
//
// An account's money, per chunk of a shard:
//
//  1. One script reads the hashes, the shard's epoch and its newest event: Redis at
//     one moment, with every event up to that one in it and none after it.
//  2. One snapshot of Postgres, later: the balances, the credits above those that the
//     hashes have, the position, and the events above the newest one that were applied
//     in between.
//  3. The stream from the position to the newest event of step 1: what Postgres has not
//     applied. Where it was trimmed meanwhile, Postgres has applied it since, and step 2
//     is done again; what step 1 read stays good.
//
// So a difference is exact, not a guess that time may heal:
//
//	available + held = balance − credits not told − events not applied + events applied since
//
// An account's live holds, their sum and what the hash says it holds come from one
// script, so they are exact, too. What Redis was told otherwise (keys, the state of an
// account) counts as different when Postgres says before and after the look that Redis
// has been told just that. A tier or an organisation, of which that is not written down,
// counts when it differs for longer than telling it takes.
//
// An epoch that changes on the way, or is missing because the shard is being rebuilt,
// sends it back to the start of the chunk, until its patience ends.
//
// What budgets count as spent is not among it, because no reading of the ledger says it
// exactly: a call is counted in the day that its hold was made in and dated by its
// settlement, which may be another; and a budget that is set in the middle of a day does
// not count the calls under way. What a rebuild tells Redis is the ledger's sums, and the
// counting itself is held against a model.
type Reconciler struct {
	redis    redis.UniversalClient
	postgres *pgxpool.Pool
	ledger   *Ledger
	patience time.Duration
	chunk    int   // hashes of one look into Redis
	most     int   // accounts that one snapshot of Postgres is compared with
	live     int64 // holds of a shard that one look into Redis adds up
	hashes   *redis.Script
	holds    *redis.Script
	pause    func(step string) // tests come in between; nil otherwise
}

// ReconcilerOptions are what a Reconciler is made of.
type ReconcilerOptions struct {
	Redis    redis.UniversalClient
	Postgres *pgxpool.Pool
	Patience time.Duration // how long a shard that is being rebuilt is waited for; 0: ten seconds
}

// NewReconciler connects to nothing.
func NewReconciler(o ReconcilerOptions) *Reconciler {
	if o.Patience == 0 {
		o.Patience = closedPatience
	}
	return &Reconciler{
		redis: o.Redis, postgres: o.Postgres, ledger: &Ledger{postgres: o.Postgres}, patience: o.Patience,
		chunk: lookChunk, most: lookMost, live: liveHoldsMost, hashes: redis.NewScript(readHashesLua), holds: redis.NewScript(readHoldsLua),
	}
}

// What a Discrepancy is about.
const (
	AboutLedger       = "ledger"       // the ledger itself; one of its rules follows, as in "ledger zero-sum"
	AboutBalance      = "balance"      // Redis' available + held against the ledger
	AboutHeld         = "held"         // what the hash holds against its live holds
	AboutHold         = "hold"         // an entry of the expiry index without a live hold
	AboutAccount      = "account"      // a hash that is missing, unreadable or of nobody
	AboutCredits      = "credits"      // the numbers of an account's credits
	AboutStatus       = "status"       // of an account
	AboutBudget       = "budget"       // of an account; day|month in nano-USD, 0: none
	AboutKey          = "key"          // an API key's record
	AboutTier         = "tier"         // of an account, or a tier as a shard knows it
	AboutOrganisation = "organisation" // of an account, or an organisation as its shard knows it
	AboutStream       = "stream"       // events that Postgres applied and Redis lost, or that nobody can read
	AboutShard        = "shard"        // a shard that stays closed: nothing of it could be compared
)

// Discrepancy is one thing that is not as it must be.
type Discrepancy struct {
	What          string // one of the About constants
	Shard         string // such as "s03"; empty: of the ledger alone
	AccountID     int64
	KeyID         int64
	TransactionID int64
	Subject       string // a hold's id, an event's, a key in Redis
	Expected      string // in words; empty: ExpectedNano says it
	Found         string
	ExpectedNano  int64 // nano-USD
	FoundNano     int64
}

// Nano is how much money is too much, or too little, in nano-USD.
func (d Discrepancy) Nano() int64 { return d.FoundNano - d.ExpectedNano }

// Checked counts what a reconciliation looked at.
type Checked struct {
	Transactions  int64 `json:"transactions"` // of the ledger, each with all its entries
	Entries       int64 `json:"entries"`
	Usage         int64 `json:"usage"`
	Shards        int64 `json:"shards"`
	Unopened      int64 `json:"shards_not_opened"` // no server has run since the schema was made
	Accounts      int64 `json:"accounts"`          // with a hash, held against the ledger
	Untold        int64 `json:"accounts_not_told"` // Redis has not been told of yet
	Credits       int64 `json:"credits_not_told"`
	Events        int64 `json:"events_not_applied"`
	Holds         int64 `json:"live_holds"`
	Keys          int64 `json:"keys"`
	Tiers         int64 `json:"tiers"` // each on each shard
	Organisations int64 `json:"organisations"`
}

// Scope says what to look at. The zero Scope is all there is.
type Scope struct {
	Account int64         // 0: all
	Shard   *stream.Shard // nil: all, or the account's
}

func (s Scope) shards() []stream.Shard {
	switch {
	case s.Account != 0:
		return []stream.Shard{shardOf(s.Account)}
	case s.Shard != nil:
		return []stream.Shard{*s.Shard}
	}
	all := make([]stream.Shard, stream.Shards)
	for i := range all {
		all[i] = stream.Shard(i)
	}
	return all
}

// Run reconciles all that the scope names and calls found for each discrepancy. An
// error means that not everything could be looked at, whatever was found until then.
// With a scope narrower than everything the ledger is not read as a whole.
func (r *Reconciler) Run(ctx context.Context, scope Scope, found func(Discrepancy)) (Checked, error) {
	run := &reconciliation{Reconciler: r, scope: scope, found: found}
	switch {
	case scope == Scope{}:
		if err := run.books(ctx); err != nil {
			return run.checked, err
		}
	case scope.Account != 0:
		if _, err := r.ledger.Balance(ctx, scope.Account); err != nil {
			return run.checked, fmt.Errorf("reconcile account %d: %w", scope.Account, err)
		}
	}
	for _, s := range scope.shards() {
		opened, err := run.shard(ctx, s, true)
		if err != nil {
			return run.checked, fmt.Errorf("reconcile shard %s: %w", s, err)
		}
		if !opened {
			continue
		}
		if err := run.keys(ctx, s); err != nil {
			return run.checked, fmt.Errorf("reconcile the keys of shard %s: %w", s, err)
		}
		if scope.Account == 0 {
			if err := run.limits(ctx, s); err != nil {
				return run.checked, fmt.Errorf("reconcile the limits of shard %s: %w", s, err)
			}
		}
	}
	if scope.Account == 0 {
		if err := run.strays(ctx); err != nil {
			return run.checked, fmt.Errorf("look for what belongs to nobody: %w", err)
		}
	}
	return run.checked, errors.Join(run.skipped...)
}

// reconciliation is one Run.
type reconciliation struct {
	*Reconciler
	scope   Scope
	found   func(Discrepancy)
	checked Checked
	spent   bool    // the patience
	skipped []error // what could not be looked at while all else could

	skippedLast stream.Shard
}

func (r *reconciliation) at(step string) {
	if r.pause != nil {
		r.pause(step)
	}
}

// books holds the ledger against itself.
func (r *reconciliation) books(ctx context.Context) error {
	differences, err := r.ledger.Check(ctx)
	if err != nil {
		return err
	}
	for _, d := range differences {
		r.found(d.discrepancy())
	}
	err = r.postgres.QueryRow(ctx, `select (select count(*) from ledger_transactions),
		(select count(*) from ledger_entries), (select count(*) from usage)`).
		Scan(&r.checked.Transactions, &r.checked.Entries, &r.checked.Usage)
	if err != nil {
		return fmt.Errorf("count the ledger: %w", err)
	}
	return nil
}

func (d Difference) discrepancy() Discrepancy {
	found := Discrepancy{What: AboutLedger + " " + d.Rule, AccountID: d.AccountID, TransactionID: d.TransactionID,
		Subject: d.Subject, ExpectedNano: d.Summed, FoundNano: d.Stated}
	if d.Rule == RuleZeroSum { // whose entries are all there is
		found.ExpectedNano, found.FoundNano = d.Stated, d.Summed
	}
	if found.Nano() == 0 {
		found.Expected, found.Found = "what was posted", "something else"
	}
	return found
}

// shard holds the accounts of a shard against the ledger. It says whether there was
// anything to look at: a shard that no server has ever opened has nothing, and one
// that stays closed is a discrepancy itself.
func (r *reconciliation) shard(ctx context.Context, s stream.Shard, withHolds bool) (opened bool, err error) {
	var suspects []int64
	for after, more := int64(0), true; more; {
		var batch *accountBatch
		err := r.steadily(ctx, func() (err error) {
			if batch, err = r.gather(ctx, s, after); err != nil {
				return err
			}
			return r.compare(ctx, batch)
		})
		if err != nil {
			return false, r.closed(s, err)
		}
		for _, a := range batch.accounts {
			if a.held != 0 || r.scope.Account != 0 {
				suspects = append(suspects, a.id)
			}
		}
		after, more = batch.last, batch.more
		if !withHolds || more && len(suspects) < r.most {
			continue
		}
		err = r.steadily(ctx, func() error { return r.compareHolds(ctx, s, suspects, !more && r.scope.Account == 0) })
		if err != nil {
			return false, r.closed(s, err)
		}
		suspects = suspects[:0]
	}
	r.checked.Shards++
	return true, nil
}

// unsteadyError says that a shard's epoch is not what Postgres says, so that it cannot be
// looked at now.
type unsteadyError struct {
	inRedis    string
	inPostgres int64
}

func (e *unsteadyError) Error() string {
	return fmt.Sprintf("billing: the shard is at epoch %q in Redis, and at %d in Postgres", e.inRedis, e.inPostgres)
}

// steadily calls do again while the shard is being rebuilt, as long as the patience
// lasts: where one shard took all of it, nobody is there to rebuild the others.
func (r *reconciliation) steadily(ctx context.Context, do func() error) error {
	for deadline := time.Now().Add(r.patience); ; {
		err := do()
		var unsteady *unsteadyError
		if !errors.As(err, &unsteady) || unsteady.inPostgres == 0 && unsteady.inRedis == "" {
			return err
		}
		if r.spent = r.spent || time.Now().After(deadline); r.spent {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(unsteadyPause):
		}
	}
}

// closed tells of a shard that stayed closed; any other error it returns.
func (r *reconciliation) closed(s stream.Shard, err error) error {
	var unsteady *unsteadyError
	if !errors.As(err, &unsteady) {
		return err
	}
	if unsteady.inPostgres == 0 && unsteady.inRedis == "" {
		r.checked.Unopened++
		return nil
	}
	in := unsteady.inRedis
	if in == "" {
		in = "closed"
	}
	r.found(Discrepancy{What: AboutShard, Shard: s.String(), Expected: "epoch " + strconv.FormatInt(unsteady.inPostgres, 10), Found: in})
	return nil
}

// snapshot reads from one state of Postgres.
func (r *Reconciler) snapshot(ctx context.Context, read func(tx pgx.Tx) error) error {
	return pgx.BeginTxFunc(ctx, r.postgres, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, read)
}
