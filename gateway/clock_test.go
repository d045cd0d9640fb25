package gateway

import (
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// TestClockOfAnInstance: how long a hold stands is counted by Redis' clock, whatever
// the clock of the instance says that asked for it.
func TestClockOfAnInstance(t *testing.T) {
	for name, off := range map[string]time.Duration{"ahead": 48 * time.Hour, "behind": -48 * time.Hour} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(s *setup) {
				s.meter.Now = func() time.Time { return time.Now().Add(off) }
			})
			id, _ := r.account(dollar)
			call := r.call(id, "tg-1", "sim-stall")
			request, err := llm.NewChatRequest(call)
			r.must(err)
			live, err := r.meter.openNamed(t.Context(), chatCall(call, request))
			r.must(err)
			now := r.client.Time(t.Context()).Val()
			score := r.client.ZScore(t.Context(), billing.ExpKey(id), "tg-1").Val()
			if life := time.UnixMilli(int64(score)).Sub(now); life <= 0 || life > r.meter.keeper.life {
				t.Errorf("the hold's deadline is %s away, its life is %s", life, r.meter.keeper.life)
			}
			live.stream.Close()
			live.Close()
			r.must(r.desk.Holds.Release(t.Context(), id, "tg-1"))
		})
	}
}
