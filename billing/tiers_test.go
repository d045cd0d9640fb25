package billing

import (
	"errors"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// A tier is on every shard when it was set, and comes back wherever its record is gone; an
// older word is not heard.
func TestTiers(t *testing.T) { onBoth(t, testTiers) }

func testTiers(t *testing.T, client *redis.Client) {
	r := newRig(t, client)
	ctx := t.Context()
	want := func(name, packed string) {
		t.Helper()
		for s := stream.Shard(0); s < stream.Shards; s++ {
			if got := client.Get(ctx, TierKey(s, name)).Val(); got != packed {
				t.Fatalf("%s has %q of %s, want %q", s, got, name, packed)
			}
		}
	}
	tier, err := r.desk.Tiers.Set(ctx, "gold", LimitChange{RequestsPerMinute: number(600), TokensPerMinute: number(90_000)}, House)
	r.must(err)
	if tier.Limits != (Limits{RequestsPerMinute: 600, TokensPerMinute: 90_000}) {
		t.Fatalf("%+v", tier)
	}
	want("gold", "600|90000|0|0|0")
	old := tierRecord{"gold", 1, "1|1|1|1|1"}
	_, err = r.desk.Tiers.Set(ctx, "gold", LimitChange{TokensPerMinute: number(0), Concurrency: number(3)}, House)
	r.must(err)
	want("gold", "600|0|3|0|0")
	p := r.desk.Tiers.projector
	r.must(p.tiers(ctx, 3, []tierRecord{old}, false))
	want("gold", "600|0|3|0|0")

	r.must(client.Del(ctx, TierKey(4, "gold")).Err())
	r.must(client.Set(ctx, TierKey(5, "gold"), "9|9|9|9|9", 0).Err())
	r.unprojected(func(desk *Desk) {
		_, err := desk.Tiers.Set(ctx, "basic", LimitChange{RefillMilli: number(1500), Burst: number(5)}, House)
		if !errors.Is(err, ErrClosed) {
			t.Fatalf("without Redis: %v", err)
		}
	})
	for _, w := range r.stewards() {
		r.must(w.look(ctx))
	}
	want("gold", "600|0|3|0|0")
	want("basic", "0|0|0|1500|5")

	r.must(client.FlushAll(ctx).Err())
	r.rebuilt()
	want("gold", "600|0|3|0|0")
	want("basic", "0|0|0|1500|5")
	tiers, err := r.desk.Tiers.List(ctx)
	r.must(err)
	if len(tiers) != 2 || tiers[0].Name != "basic" || tiers[1].Limits.Concurrency != 3 {
		t.Fatalf("%+v", tiers)
	}
}

// What a tier may not be is refused, and changes nothing.
func TestTierRefusals(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	for _, name := range []string{"", "Gold", "-gold", "_", "gold ", "zlatý", "金", "a|b", "a:b", "{s00}", "x\x00", "a\n", string(make([]byte, 33))} {
		if _, err := r.desk.Tiers.Set(ctx, name, LimitChange{}, House); !errors.Is(err, ErrTierName) {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, change := range []LimitChange{{RequestsPerMinute: number(-1)}, {TokensPerMinute: number(MaxLimit + 1)}, {Burst: number(4)}} {
		if _, err := r.desk.Tiers.Set(ctx, "gold", change, House); !errors.Is(err, ErrLimits) {
			t.Errorf("%+v: %v", change, err)
		}
	}
	account := r.account(0)
	if err := r.desk.Tiers.Assign(ctx, account, "gold", House); !errors.Is(err, ErrTierUnknown) {
		t.Errorf("a tier that is not: %v", err)
	}
	if err := r.desk.Tiers.Assign(ctx, 1<<40, "", House); !errors.Is(err, ErrAccountUnknown) {
		t.Errorf("an account that is not: %v", err)
	}
	for i := range tiersMost {
		_, err := r.desk.Tiers.Set(ctx, "t"+decimal(int64(i)), LimitChange{}, House)
		r.must(err)
	}
	if _, err := r.desk.Tiers.Set(ctx, "more", LimitChange{}, House); !errors.Is(err, ErrTierLimit) {
		t.Errorf("one too many: %v", err)
	}
	if _, err := r.desk.Tiers.Set(ctx, "t0", LimitChange{Concurrency: number(1)}, House); err != nil {
		t.Errorf("one of the many: %v", err)
	}
	if n := r.count(`select count(*) from audit_log where action = 'tier.set'`); n != tiersMost+1 {
		t.Errorf("%d lines in the audit log", n)
	}
}
