package billing

import (
	"errors"
	"slices"
	"testing"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestShardsClosed: after Postgres was restored to an earlier moment the operator closes
// the shards. Redis is what Postgres knows then, with the events that wait for it; what it
// knew beyond that is gone, and events of accounts that are gone keep no shard closed.
func TestShardsClosed(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	ctx := t.Context()
	kept := r.account(1000)
	for range stream.Shards - 1 {
		r.account(0)
	}
	gone := r.account(300)
	if shardOf(kept) != shardOf(gone) {
		t.Fatal("the two accounts are of different shards")
	}
	r.spend(kept, "before", 100)
	r.drainAll()
	r.spend(gone, "nobody", 50)
	r.spend(kept, "waiting", 100)
	// A credit that Redis was told and the restored Postgres never knew.
	r.must(r.redis.HIncrBy(ctx, AcctKey(kept), AccountFieldAvailable, 500).Err())
	r.erase(gone)

	r.must(r.desk.Shards.Close(ctx, Operator("ada")))
	if _, err := r.desk.Holds.Reserve(ctx, reservation(kept, "early", 1)); !errors.Is(err, ErrClosed) {
		t.Errorf("a call of a closed shard: %v", err)
	}
	for _, o := range r.owners {
		r.must(o.open(ctx))
	}
	r.wantBalance(kept, 800, 0)
	if r.redis.Exists(ctx, AcctKey(gone)).Val() != 0 {
		t.Error("an account that Postgres does not have is in Redis")
	}
	r.spend(kept, "after", 800)
	r.drainAll()
	r.wantBooks(ctx)
	if !slices.ContainsFunc(r.audited(), func(e Entry) bool { return e.Action == actionShardsClosed && e.Actor == Operator("ada") }) {
		t.Error("nobody is said to have closed the shards")
	}
}
