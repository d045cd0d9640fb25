package billing

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// asIf rewrites the counters, and the holds that were counted, as if all that was
// counted so far had been so many days and months ago.
func (b budgeted) asIf(days, months int64, holds ...string) {
	b.t.Helper()
	ctx := b.t.Context()
	for name, text := range b.redis.HGetAll(ctx, AcctKey(b.account)).Val() {
		if !strings.HasPrefix(name, AccountFieldSpent) {
			continue
		}
		var d, day, m, month int64
		_, err := fmt.Sscanf(text, "%d|%d|%d|%d", &d, &day, &m, &month)
		b.must(err)
		b.must(b.redis.HSet(ctx, AcctKey(b.account), name, fmt.Sprintf("%d|%d|%d|%d", d-days, day, m-months, month)).Err())
	}
	for _, id := range holds {
		fields := strings.SplitN(b.redis.Get(ctx, HoldKey(b.account, id)).Val(), "|", 8)
		var whose string
		var d, m int64
		_, err := fmt.Sscanf(strings.ReplaceAll(fields[5], ":", " "), "%s %d %d", &whose, &d, &m)
		b.must(err)
		fields[5] = fmt.Sprintf("%s:%d:%d", whose, d-days, m-months)
		b.must(b.redis.Set(ctx, HoldKey(b.account, id), strings.Join(fields, "|"), redis.KeepTTL).Err())
	}
}

// A day begins anew at midnight, a month with its first; what a call of before gives
// back goes to no other period than its own.
func TestBudgetPeriods(t *testing.T) { onBoth(t, testBudgetPeriods) }

func testBudgetPeriods(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	b := r.budgeted(100_000, KeySpec{BudgetDay: 1000, BudgetMonth: 2500})
	want := func(day, month int64) {
		t.Helper()
		if d, m := b.counted(b.account, b.key.ID); d != day || m != month {
			t.Fatalf("%d and %d are counted, want %d and %d", d, m, day, month)
		}
	}
	b.take(b.ask("one", 1000, 1000))
	b.refused(b.ask("x", 1, 1), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 1000, Need: 1})
	b.asIf(1, 0, "one") // midnight, within the month
	b.take(b.ask("two", 900, 900))
	want(900, 1900)
	b.pay(b.ask("one", 1000, 1000), 400) // 600 come back: to the month, and to yesterday
	want(900, 1300)
	b.asIf(1, 0, "two")
	b.take(b.ask("three", 1000, 1000))
	want(1000, 2300)
	b.asIf(1, 0, "two", "three")
	b.refused(b.ask("x", 201, 201), BudgetError{Scope: BudgetKey, Period: BudgetMonth, Limit: 2500, Spent: 2300, Need: 201})
	b.asIf(28, 1, "two", "three") // the month is over, too
	b.take(b.ask("four", 1000, 1000))
	want(1000, 1000)
	b.pay(b.ask("two", 900, 900), 100)
	r.must(r.desk.Holds.Release(t.Context(), b.account, "three"))
	want(1000, 1000)
	b.pay(b.ask("four", 1000, 1000), 1)
	want(1, 1)

	// Redis' clock steps back over midnight: no budget becomes free by it, nor when the day
	// comes again.
	b.take(b.ask("five", 998, 998))
	b.asIf(-1, 0)
	b.refusedAhead(b.ask("x", 2, 2), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 999, Need: 2}, 1)
	b.take(b.ask("six", 1, 1))
	want(1000, 1000)
	b.asIf(1, 0, "six")
	b.refused(b.ask("x", 1, 1), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 1000, Need: 1})
	want(1000, 1000)
	r.wantBalance(b.account, 100_000-501-999, 999)
}

// The instance's clock decides nothing.
func TestBudgetForeignClock(t *testing.T) {
	for _, years := range []int{-30, 30} {
		r := newRig(t, testenv.Redis(t), func(c *Config) {
			c.Now = func() time.Time { return time.Now().AddDate(years, 0, 0) }
		})
		b := r.budgeted(10_000, KeySpec{BudgetDay: 1000})
		b.take(b.ask("a", 1000, 1000))
		b.refused(b.ask("b", 1, 1), BudgetError{Scope: BudgetKey, Period: BudgetDay, Limit: 1000, Spent: 1000, Need: 1})
		if how, err := r.engine.scripts.expireHold(t.Context(), r.redis, b.account, "a"); err != nil || how != orphanEarly {
			t.Errorf("%s, %v", how, err)
		}
	}
}

// The calendar in the script is the world's.
func TestBudgetCalendar(t *testing.T) {
	client := testenv.Redis(t)
	calendar := redis.NewScript(functionsLua + budgetsLua + `
		local f, out = budgets().periods, {}
		for i, now in ipairs(ARGV) do out[2 * i - 1], out[2 * i] = f(tonumber(now)) end
		return out`)
	day := time.Date(1999, 12, 30, 0, 0, 0, 0, time.UTC)
	for day.Year() < 2110 {
		var args []any
		var want []int64
		for range 500 {
			for _, at := range []time.Time{day, day.AddDate(0, 0, 1).Add(-time.Millisecond)} {
				args = append(args, at.UnixMilli())
				want = append(want, at.Unix()/secondsOfDay, int64(at.Year())*12+int64(at.Month())-1)
			}
			day = day.AddDate(0, 0, 1)
		}
		got, err := calendar.Run(t.Context(), client, nil, args...).Int64Slice()
		if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("before %s: %v", day, err)
		}
	}
	for status, resets := range map[string]string{
		"budget|key|day|5|4|0": "1970-01-02", "budget|key|month|5|4|24299": "2025-01-01", "budget|account|month|5|4|24300": "2025-02-01",
	} {
		var e *BudgetError
		if err := budgetError(status, 3); !errors.As(err, &e) || e.Resets.Format(time.DateOnly) != resets || e.Left() != 1 || e.Need != 3 {
			t.Errorf("%s: %+v, %v", status, e, err)
		}
	}
	for _, status := range []string{"", "budget|", "budget|key|day|5|4", "budget|key|day|x|4|1", "budget|key|day|1|2|3|4"} {
		if err := budgetError(status, 1); err == nil || errors.Is(err, ErrBudget) {
			t.Errorf("%q: %v", status, err)
		}
	}
}
