package gateway

import (
	"slices"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Redis has lost an account's hash, or a whole shard: calls are refused at once, with
// the time to come back, until the shard is rebuilt; then they go on, and what was
// held is not given back on top of what the ledger says.
func TestLostDataRefuses(t *testing.T) {
	for what, lose := range map[string]func(*rig, int64){
		"a hash":   func(r *rig, id int64) { r.must(r.client.Del(t.Context(), billing.AcctKey(id)).Err()) },
		"an epoch": func(r *rig, id int64) { r.must(r.client.Del(t.Context(), billing.EpochKey(id)).Err()) },
		"it all":   func(r *rig, _ int64) { r.redis.FlushAll() },
	} {
		t.Run(what, func(t *testing.T) {
			r := newRig(t)
			id, key := r.account(dollar)
			if a := r.chat(key, "word"); a.status != 200 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			spent := r.ledger(id, 1)
			testenv.Until(r.t, "the account is known", func() bool {
				var known bool
				r.must(r.pool.QueryRow(t.Context(), `select known from accounts where id = $1`, id).Scan(&known))
				return known
			})
			_, err := r.desk.Holds.Reserve(t.Context(), billing.Reservation{HoldID: "flying", AccountID: id, Want: dollar / 2, Least: dollar / 2, Life: time.Minute})
			r.must(err)
			lose(r, id)
			var took []time.Duration
			testenv.Until(r.t, "calls go on", func() bool {
				asked := time.Now()
				a := r.chat(key, "word")
				took = append(took, time.Since(asked))
				switch a.status {
				case 200:
					return true
				case 503:
					if a.header.Get("Retry-After") == "" {
						t.Error("no Retry-After")
					}
				default:
					t.Errorf("a call meanwhile: %d %s", a.status, a.body)
				}
				return false
			})
			refused := took[:len(took)-1]
			slices.Sort(refused)
			if n := len(refused); n == 0 || refused[n/2] > 100*time.Millisecond || refused[n-1] > 2*time.Second {
				t.Errorf("%d calls were refused, within %v", len(refused), refused)
			}
			if now := r.ledger(id, 2); r.settled(id) != dollar-now || now <= spent {
				t.Errorf("available %d, the ledger has %d spent", r.balance(id).Available, now)
			}
		})
	}
}
