package billing

import (
	"context"
	"strconv"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const testPepper = "a pepper for tests, long enough"

// rig is the engine of money on real servers, every shard open.
type rig struct {
	t      testing.TB
	redis  *redis.Client
	pool   *pgxpool.Pool
	config Config
	desk   *Desk
	engine *Engine
	owners [stream.Shards]*owner
	super  *pgxpool.Pool // see owner
}

func newRig(t testing.TB, client *redis.Client, edit ...func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, redis: client, pool: testenv.Postgres(t)}
	r.config = Config{Redis: client, Blocking: client, Postgres: r.pool, Log: testenv.Logger(t),
		Peppers: []string{testPepper}, Now: time.Now}
	for _, e := range edit {
		e(&r.config)
	}
	desk, err := New(r.config)
	r.must(err)
	r.desk = desk
	r.engine = newEngine(r.config, newScripts(), newMetrics(nil))
	for s := range r.owners {
		r.owners[s] = r.newOwner(stream.Shard(s))
		r.must(r.owners[s].open(t.Context()))
	}
	return r
}

// owner is a pool with a superuser's rights, for what the program may not do.
func (r *rig) owner() *pgxpool.Pool {
	if r.super == nil {
		r.super = testenv.Owner(r.t, r.pool)
	}
	return r.super
}

// newOwner is a second process' view of a shard.
func (r *rig) newOwner(s stream.Shard) *owner {
	return &owner{Engine: r.engine, shard: s, log: r.config.Log}
}

// crashing is a process of its own that dies when it comes to the step.
func (r *rig) crashing(s stream.Shard, step string) *owner {
	o := r.newOwner(s)
	e := newEngine(r.config, newScripts(), newMetrics(nil))
	e.pause = func(name string) error {
		if name == step {
			return errCrash
		}
		return nil
	}
	o.Engine = e
	return o
}

type crash struct{}

func (crash) Error() string { return "crash" }

var errCrash = crash{}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// account makes an account with money.
func (r *rig) account(nano int64) int64 {
	r.t.Helper()
	var highest int64
	r.must(r.pool.QueryRow(r.t.Context(), `select coalesce(max(telegram_id), 0) from accounts`).Scan(&highest))
	account, created, err := r.desk.Accounts.Open(r.t.Context(), Profile{TelegramID: highest + 1, Name: "Kiku"})
	r.must(err)
	if !created {
		r.t.Fatal("the account was there")
	}
	if nano > 0 {
		r.credit(account.ID, nano, "first:"+strconv.FormatInt(account.ID, 10))
	}
	return account.ID
}

func (r *rig) credit(account, nano int64, key string) CreditResult {
	r.t.Helper()
	result, err := r.desk.Accounts.Credit(r.t.Context(), Credit{AccountID: account, AmountNano: nano, Kind: CreditAdjustment, IdempotencyKey: key})
	r.must(err)
	return result
}

func (r *rig) reserve(account int64, id string, nano int64) Hold {
	r.t.Helper()
	hold, err := r.desk.Holds.Reserve(r.t.Context(), reservation(account, id, nano))
	r.must(err)
	return hold
}

func reservation(account int64, id string, nano int64) Reservation {
	return Reservation{HoldID: id, AccountID: account, KeyID: 3, Want: nano, Least: nano, Life: time.Minute}
}

func settlement(account int64, id string, cost int64) Settlement {
	return Settlement{HoldID: id, AccountID: account, KeyID: 3, Cost: cost, Model: "small", Deployment: "home/small",
		Source: SourceAPI, Usage: Usage{Prompt: 10, Cached: 4, Completion: 7, Reasoning: 2}}
}

func (r *rig) settle(account int64, id string, cost int64) Captured {
	r.t.Helper()
	captured, err := r.desk.Holds.Settle(r.t.Context(), settlement(account, id, cost))
	r.must(err)
	return captured
}

// spend is a whole call.
func (r *rig) spend(account int64, id string, nano int64) {
	r.t.Helper()
	r.reserve(account, id, nano)
	r.settle(account, id, nano)
}

func (r *rig) wantBalance(account, available, held int64) {
	r.t.Helper()
	got, err := r.desk.Accounts.Balance(r.t.Context(), account)
	r.must(err)
	if got != (Balance{available, held}) {
		r.t.Fatalf("account %d has %+v, want available %d and held %d", account, got, available, held)
	}
}

// drainAll applies everything and checks the books against Redis.
func (r *rig) drainAll() {
	r.t.Helper()
	for _, o := range r.owners {
		r.drain(o)
	}
}

func (r *rig) drain(o *owner) {
	r.t.Helper()
	for {
		n, err := o.drain(r.t.Context())
		r.must(err)
		if n == 0 {
			return
		}
	}
}

// wantBooks checks, after all is drained and projected: each transaction sums to
// zero, entries sum to the balance, the balance is what Redis has.
func (r *rig) wantBooks(ctx context.Context) {
	r.t.Helper()
	differences, err := r.desk.Ledger.Check(ctx)
	r.must(err)
	if len(differences) > 0 {
		r.t.Fatalf("the ledger differs: %+v", differences)
	}
	rows, err := r.pool.Query(ctx, `select id, balance_nano from accounts`)
	r.must(err)
	defer rows.Close()
	for rows.Next() {
		var id, nano int64
		r.must(rows.Scan(&id, &nano))
		hot, err := r.desk.Accounts.Balance(ctx, id)
		r.must(err)
		if hot.Available+hot.Held != nano {
			r.t.Fatalf("account %d: Redis has %+v, Postgres %d", id, hot, nano)
		}
	}
	r.must(rows.Err())
}

func (r *rig) count(query string, args ...any) (n int64) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), query, args...).Scan(&n))
	return n
}

// onBoth runs a test on a real Redis and on the in-process one of development.
func onBoth(t *testing.T, test func(t *testing.T, client *redis.Client)) {
	t.Run("redis", func(t *testing.T) { test(t, testenv.Redis(t)) })
	t.Run("miniredis", func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: miniredis.RunT(t).Addr()})
		t.Cleanup(func() { _ = client.Close() })
		test(t, client)
	})
}
