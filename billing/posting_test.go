package billing

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// told are the notices of a low balance that the account's owner has to be sent.
func (r *rig) told(account int64) (low []LowBalance) {
	r.t.Helper()
	rows, err := r.pool.Query(r.t.Context(), `select details from notices where account_id = $1 and kind = 'low_balance' order by id`, account)
	r.must(err)
	all, err := pgx.CollectRows(rows, pgx.RowTo[json.RawMessage])
	r.must(err)
	for _, details := range all {
		var l LowBalance
		r.must(json.Unmarshal(details, &l))
		low = append(low, l)
	}
	return low
}

func (r *rig) wantTold(account int64, want ...LowBalance) {
	r.t.Helper()
	if diff := cmp.Diff(want, r.told(account)); diff != "" {
		r.t.Errorf("told (-want +got):\n%s", diff)
	}
}

// An owner is told once each time that the balance falls below the threshold: not while
// it stays there, not where it rises, and not for each event of a batch.
func TestLowBalance(t *testing.T) {
	r := newRig(t, testenv.Redis(t), func(c *Config) { c.LowBalance = 100 })
	account := r.account(300)
	owner := r.owners[shardOf(account)]
	n := 0
	spend := func(nano ...int64) {
		for _, s := range nano {
			n++
			r.spend(account, fmt.Sprintf("s-%d", n), s)
		}
		r.drain(owner)
	}
	first := LowBalance{BalanceNano: 95, ThresholdNano: 100}
	spend(150, 50) // 100: not below
	r.wantTold(account)
	spend(1, 2, 2) // 95, in one batch
	r.wantTold(account, first)
	spend(20) // 75
	r.credit(account, 10, "still below")
	spend(5) // 80
	r.wantTold(account, first)
	r.credit(account, 120, "above") // 200
	r.wantTold(account, first)
	r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, -150).Err())
	r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(owner.shard), Values: []any{"t", "debit", "e", owner.at.epoch,
		"r", "refund:x", "b", "stars", "a", account, "k", 0, "c", 150, "w", 0}}).Err())
	r.drain(owner)
	second := LowBalance{BalanceNano: 50, ThresholdNano: 100}
	r.wantTold(account, first, second)

	// A threshold of the owner's own comes first, and zero is never.
	_, err := r.pool.Exec(t.Context(), `update accounts set low_balance_nano = 20 where id = $1`, account)
	r.must(err)
	spend(25) // 25
	r.wantTold(account, first, second)
	spend(10) // 15
	r.wantTold(account, first, second, LowBalance{BalanceNano: 15, ThresholdNano: 20})
	quiet := r.account(300)
	_, err = r.pool.Exec(t.Context(), `update accounts set low_balance_nano = 0 where id = $1`, quiet)
	r.must(err)
	r.spend(quiet, "all", 300)
	r.drainAll()
	r.wantTold(quiet)
	r.wantBooks(t.Context())
}

// Without a threshold nobody is told; one who dies while posting tells once.
func TestLowBalanceOnce(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(300)
	r.spend(account, "a", 300)
	r.drainAll()
	r.wantTold(account)

	r.config.LowBalance = 100
	second := r.account(300)
	r.spend(second, "b", 250)
	for _, step := range []string{"applied", "committed"} {
		dying := r.crashing(shardOf(second), step)
		r.must(dying.open(t.Context()))
		if _, err := dying.drain(t.Context()); step == "applied" && !errors.Is(err, errCrash) {
			t.Fatalf("it lived: %v", err)
		}
	}
	next := r.newOwner(shardOf(second))
	r.must(next.open(t.Context()))
	r.drain(next)
	r.wantTold(second, LowBalance{BalanceNano: 50, ThresholdNano: 100})
}

// A clock that jumps ahead, however far, stops no shard: its events and those after
// them are posted.
func TestEventsOfTheFuture(t *testing.T) {
	for _, ms := range []int64{time.Now().AddDate(0, 7, 0).UnixMilli(), 1 << 50, 1<<63 - 2} {
		t.Run(fmt.Sprint(ms), func(t *testing.T) {
			r := newRig(t, testenv.Redis(t))
			account := r.account(1000)
			owner := r.owners[shardOf(account)]
			r.spend(account, "before", 10)
			r.must(r.redis.HIncrBy(t.Context(), AcctKey(account), AccountFieldAvailable, -100).Err())
			r.must(r.redis.XAdd(t.Context(), &redis.XAddArgs{Stream: evKey(owner.shard), ID: fmt.Sprintf("%d-0", ms), Values: []any{
				"t", "settle", "e", owner.at.epoch, "h", "far", "a", account, "k", 0, "c", 100, "w", 0, "d", "{}"}}).Err())
			r.spend(account, "after", 10)
			r.drain(owner)
			r.spend(account, "later", 10)
			r.drain(owner)
			if n := r.count(`select count(*) from usage_default u join ledger_entries_default e using (transaction_id) where e.position = 1`); n != 3 {
				t.Errorf("%d calls in the default partitions", n)
			}
			if n := r.count(`select count(*) from usage`); n != 4 {
				t.Errorf("%d calls", n)
			}
			months, err := r.desk.Ledger.MakeMonths(t.Context())
			if err != nil || len(months) != 0 {
				t.Errorf("months: %v, %v", months, err)
			}
			r.wantBooks(t.Context())
			if breaks := r.verify(); len(breaks) > 0 {
				t.Errorf("%+v", breaks)
			}
		})
	}
}

// The next months are made as the calendar goes on.
func TestMonthsAreMade(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	next := time.Now().UTC().AddDate(0, 0, 1-time.Now().UTC().Day()).AddDate(0, 3, 0).Format("2006_01")
	for _, parent := range []string{"ledger_entries_", "usage_"} {
		_, err := r.owner().Exec(t.Context(), `drop table `+parent+next)
		r.must(err)
	}
	ahead := func(want int) {
		t.Helper()
		if months, err := r.desk.Ledger.MonthsAhead(t.Context()); err != nil || months != want {
			t.Errorf("%d months ahead, %v; want %d", months, err, want)
		}
	}
	ahead(2)
	defer ahead(3)
	for _, want := range [][]Month{{{"ledger_entries_" + next, MonthMade}, {"usage_" + next, MonthMade}}, {}} {
		got, err := r.desk.Ledger.MakeMonths(t.Context())
		r.must(err)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("made (-want +got):\n%s", diff)
		}
	}
}

// A transaction is posted once for its cause, and to an account that is there; a refusal
// leaves the caller's transaction usable.
func TestPostOnce(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(100)
	gift := transaction{kind: "test", account: account, reference: "gift", moves: []move{{bookPromotion, bookCustomer, 7}, {bookRevenue, bookWriteOff, 2}}}
	r.must(postgres.InTx(ctx, r.pool, func(tx pgx.Tx) error {
		if _, err := post(ctx, tx, gift); err != nil {
			return err
		}
		if _, err := post(ctx, tx, gift); !errors.Is(err, errPosted) {
			t.Errorf("posted twice: %v", err)
		}
		unknown := gift
		unknown.account, unknown.reference = account+16, "other"
		if _, err := post(ctx, tx, unknown); !errors.Is(err, ErrAccountUnknown) {
			t.Errorf("posted to nobody: %v", err)
		}
		return nil
	}))
	if n := r.count(`select balance_nano from accounts where id = $1`, account); n != 107 {
		t.Errorf("balance %d", n)
	}
	differences, err := r.desk.Ledger.Check(ctx)
	if err != nil || len(differences) > 0 || len(r.verify()) > 0 {
		t.Errorf("%+v, %v, %v", differences, err, r.verify())
	}
}
