package billing

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

// called posts calls of an account at moments of the test's own, and returns them as the
// books must tell them, the oldest first.
func (r *rig) called(account int64, dice *rand.Rand, from, to time.Time, n int) (calls []UsedCall) {
	r.t.Helper()
	var events []event
	for i := range n {
		at := from.Add(time.Duration(dice.Int64N(int64(to.Sub(from))))).Truncate(time.Millisecond)
		if i%5 == 0 { // on the hour, and a moment before it
			at = at.Truncate(time.Hour).Add(-time.Duration(i/5%2) * time.Millisecond)
		}
		u := Usage{Prompt: 100 + dice.Int64N(100), Cached: dice.Int64N(50), Completion: dice.Int64N(100), Estimated: i%7 == 0, Characters: dice.Int64N(3)}
		e := event{shard: shardOf(account), id: eventID{at.UnixMilli(), int64(i)}, epoch: 1, kind: kindSettle, hold: fmt.Sprintf("at-%d-%d", account, i), book: bookRevenue,
			account: account, key: dice.Int64N(3), captured: 1 + dice.Int64N(1000)}
		e.reference = holdReference(e.hold)
		e.details = payloadOf(&Settlement{Model: fmt.Sprintf("model-%d", dice.IntN(3)), Deployment: "d", Source: SourceAPI, Usage: u})
		if u = u.Clamped(); at.Before(from) {
			continue
		}
		events = append(events, e)
		calls = append(calls, UsedCall{At: at.UTC(), Model: e.details.Model, KeyID: e.key, Source: SourceAPI, Estimated: u.Estimated,
			Amounts: Amounts{Prompt: u.Prompt, Cached: u.Cached, Completion: u.Completion, Characters: u.Characters, Nano: e.captured}})
	}
	r.must(postgres.InTx(r.t.Context(), r.pool, func(tx pgx.Tx) error {
		_, err := insertEvents(r.t.Context(), tx, events, byCause, 0)
		return err
	}))
	return calls
}

// expected sums calls up as Consumption must, by going through them.
func expected(calls []UsedCall, q ConsumptionQuery) (rows []Consumed) {
	for _, call := range calls {
		part := -1
		for i := range len(q.Edges) - 1 {
			if !call.At.Before(q.Edges[i]) && call.At.Before(q.Edges[i+1]) {
				part = i
			}
		}
		if part < 0 || q.Model != "" && q.Model != call.Model || q.KeyID != nil && *q.KeyID != call.KeyID {
			continue
		}
		row := Consumed{Part: part}
		if q.ByModel {
			row.Model = call.Model
		}
		if q.ByKey {
			row.KeyID = call.KeyID
		}
		i := slices.IndexFunc(rows, func(r Consumed) bool { return r.Part == row.Part && r.Model == row.Model && r.KeyID == row.KeyID })
		if i < 0 {
			i = len(rows)
			rows = append(rows, row)
		}
		one := UsageSum{Calls: 1, Amounts: call.Amounts}
		if call.Estimated {
			one.Estimated = 1
		}
		rows[i].Add(one)
	}
	slices.SortFunc(rows, func(a, b Consumed) int {
		return cmp.Or(cmp.Compare(a.Part, b.Part), cmp.Compare(b.Nano, a.Nano), cmp.Compare(a.Model, b.Model), cmp.Compare(a.KeyID, b.KeyID))
	})
	return rows
}

// Sums are those of the single calls, wherever the edges are: on hours, inside them, several
// inside one, and whatever they are told apart by.
func TestConsumption(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	dice := rand.New(rand.NewPCG(7, 7))
	account, other := r.account(1_000_000_000), r.account(1_000_000_000)
	from := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 0, 4)
	calls := r.called(account, dice, from, to, 700)
	r.called(other, dice, from, to, 300)
	key := int64(1)
	for round := range 60 {
		q := ConsumptionQuery{UsageFilter: UsageFilter{AccountID: account}, ByModel: round%2 == 0, ByKey: round%3 == 0}
		if round%5 == 0 {
			q.Model = "model-1"
		}
		if round%7 == 0 {
			q.KeyID = &key
		}
		unit := []time.Duration{time.Hour, 30 * time.Minute, 15 * time.Minute, time.Millisecond}[round%4]
		for range 2 + dice.IntN(20) {
			q.Edges = append(q.Edges, from.Add(time.Duration(dice.Int64N(int64(to.Sub(from)/unit)))*unit))
		}
		if round%6 == 5 { // what hours of zones half an hour and 45 minutes off are, and days of them
			every := []time.Duration{time.Hour, 24 * time.Hour}[round/6%2]
			for at := from.Add(time.Duration(round%4) * 15 * time.Minute); at.Before(to); at = at.Add(every) {
				q.Edges = append(q.Edges, at)
			}
		}
		slices.SortFunc(q.Edges, time.Time.Compare)
		if q.Edges = slices.CompactFunc(q.Edges, time.Time.Equal); len(q.Edges) < 2 {
			continue
		}
		got, err := r.desk.Ledger.Consumption(ctx, q)
		r.must(err)
		if want := expected(calls, q); !slices.Equal(got, want) {
			t.Fatalf("round %d, edges %v:\n got %+v\nwant %+v", round, q.Edges, got, want)
		}
	}
	whole, err := r.desk.Ledger.Consumption(ctx, ConsumptionQuery{UsageFilter: UsageFilter{AccountID: account, From: from.Add(-time.Hour), To: to}})
	r.must(err)
	var nano int64
	r.must(r.pool.QueryRow(ctx, `select -sum(e.amount_nano)::bigint from ledger_entries e join ledger_transactions t on t.id = e.transaction_id
		where e.account_id = $1 and e.book = 'customer' and t.kind = 'settle'`, account).Scan(&nano))
	if len(whole) != 1 || whole[0].Nano != nano || whole[0].Calls != int64(len(calls)) {
		t.Errorf("the whole is %+v, and by the ledger %d", whole, nano)
	}
	few, err := r.desk.Ledger.Consumption(ctx, ConsumptionQuery{UsageFilter: UsageFilter{AccountID: account, From: from, To: to}, ByModel: true, Most: 2})
	r.must(err)
	if len(few) != 2 {
		t.Errorf("%d rows of at most 2", len(few))
	}
}

// Pages of calls follow each other without a gap and nothing twice, in either order.
func TestUsedCalls(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	account := r.account(1_000_000_000)
	from := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	to := from.AddDate(0, 0, 1)
	calls := r.called(account, rand.New(rand.NewPCG(1, 2)), from, to, 200) // many share a moment
	r.called(r.account(1_000_000), rand.New(rand.NewPCG(3, 4)), from, to, 20)
	byID := func(calls []UsedCall) (ids []int64) {
		for _, call := range calls {
			ids = append(ids, call.ID)
		}
		return ids
	}
	read := func(q UsedCallsQuery) (all []UsedCall) {
		for {
			page, err := r.desk.Ledger.UsedCalls(context.Background(), q)
			r.must(err)
			all = append(all, page...)
			if len(page) < q.Most {
				return all
			}
			q.AfterAt, q.AfterID = page[len(page)-1].At, page[len(page)-1].ID
		}
	}
	filter := UsageFilter{AccountID: account, From: from, To: to}
	oldest := read(UsedCallsQuery{UsageFilter: filter, Oldest: true, Most: 17})
	newest := read(UsedCallsQuery{UsageFilter: filter, Most: 23})
	slices.Reverse(newest)
	if len(oldest) != len(calls) || !slices.Equal(byID(oldest), byID(newest)) {
		t.Fatalf("%d calls, %d from the oldest, %d from the newest", len(calls), len(oldest), len(newest))
	}
	var got, want int64
	for i, call := range oldest {
		got += call.Nano
		if i > 0 && oldest[i-1].At.After(call.At) {
			t.Fatalf("%s before %s", oldest[i-1].At, call.At)
		}
	}
	for _, call := range calls {
		want += call.Nano
	}
	if got != want {
		t.Errorf("they sum up to %d, want %d", got, want)
	}
	none, key := int64(99), int64(2)
	if page := read(UsedCallsQuery{UsageFilter: UsageFilter{AccountID: account, From: from, To: to, KeyID: &none}, Most: 5}); len(page) != 0 {
		t.Errorf("calls of a key that has none: %+v", page)
	}
	for _, call := range read(UsedCallsQuery{UsageFilter: UsageFilter{AccountID: account, From: from, To: to, Model: "model-1", KeyID: &key}, Most: 5}) {
		if call.Model != "model-1" || call.KeyID != key {
			t.Errorf("a call of another model or key: %+v", call)
		}
	}
}

// Movements are told by what they are for their owner, page by page.
func TestMovements(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	account := r.account(1000)
	for i, kind := range []string{CreditStars, CreditCard, CreditWelcome, CreditReferral} {
		_, err := r.desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: int64(i + 1), Kind: kind, IdempotencyKey: kind})
		r.must(err)
	}
	r.spend(account, "call", 150)
	r.drainAll()
	var all []Movement
	for before := int64(0); ; {
		page, err := r.desk.Ledger.Movements(ctx, MovementQuery{AccountID: account, Before: before, Most: 2})
		r.must(err)
		all = append(all, page...)
		if len(page) < 2 {
			break
		}
		before = page[1].Seq
	}
	var told []string
	sum := int64(0)
	for _, m := range all {
		told = append(told, fmt.Sprintf("%s %s %d %s", m.Type, m.Method, m.Nano, m.Model))
		sum += m.Nano
	}
	model := all[0].Model
	want := []string{"call  -150 " + model, "bonus  4 ", "bonus  3 ", "top_up card 2 ", "top_up stars 1 ", "adjustment  1000 "}
	if !slices.Equal(told, want) || model == "" {
		t.Errorf("told %q, want %q", told, want)
	}
	if balance, err := r.desk.Ledger.Balance(ctx, account); err != nil || balance != sum {
		t.Errorf("they sum up to %d, and the balance is %d, %v", sum, balance, err)
	}
	page, err := r.desk.Ledger.Movements(ctx, MovementQuery{AccountID: account, Most: 100, NoCalls: true})
	if err != nil || len(page) != len(all)-1 {
		t.Errorf("without calls: %+v, %v", page, err)
	}
}

// A seal is good for its purpose and text alone, and under an older pepper too.
func TestSeals(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	old := r.desk.Keys.Seal("cursor", "text")
	next := *r.desk.Keys
	peppers, err := newPeppers([]string{"a newer one, long enough too", testPepper})
	r.must(err)
	next.peppers = peppers
	for _, one := range []struct {
		purpose, text, seal string
		good                bool
	}{
		{"cursor", "text", old, true},
		{"cursor", "text", next.Seal("cursor", "text"), true},
		{"cursor", "texts", old, false},
		{"other", "text", old, false},
		{"cursor", "text", "", false},
	} {
		if got := next.Sealed(one.purpose, one.text, one.seal); got != one.good {
			t.Errorf("%+v: %v", one, got)
		}
	}
}
