package gateway

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// A ledger that stands still lets calls go on up to the bound, then none, and all
// again once it has caught up.
func TestBacklogRefuses(t *testing.T) {
	const most = 10
	r := newRig(t, func(s *setup) { s.maxBacklog = most })
	id, key := r.account(dollar)
	_, other := r.account(dollar)
	ev := stream.ShardOf(id).Key("ev")
	stuck, err := r.client.XAdd(t.Context(), &redis.XAddArgs{Stream: ev, Values: []string{"t", "of tomorrow", "e", "1"}}).Result()
	r.must(err)
	calls := int64(0)
	testenv.Until(r.t, "the bound", func() bool {
		a := r.chat(key, "word")
		if a.status == 200 {
			calls++
			return false
		}
		a.wantError(t, 503, "service_unavailable")
		if a.header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
		return true
	})
	if calls < most-2 {
		t.Errorf("stopped after %d calls", calls)
	}
	if a := r.do("GET", "/api/v1/balance", key, ""); a.status != 200 {
		t.Errorf("what costs nothing is refused, too: %d %s", a.status, a.body)
	}
	if a := r.chat(other, "word"); a.status != 200 {
		t.Errorf("another shard's call: %d %s", a.status, a.body)
	}
	r.must(r.client.XDel(t.Context(), ev, stuck).Err())
	testenv.Until(r.t, "calls go on", func() bool {
		time.Sleep(50 * time.Millisecond)
		return r.chat(key, "word").status == 200
	})
	calls++
	if spent := r.ledger(id, calls); spent != dollar-r.settled(id) {
		t.Errorf("the ledger has %d, spent were %d", spent, dollar-r.settled(id))
	}
}
