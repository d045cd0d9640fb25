package gateway

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// brief makes holds live for so long, and the reaper strike at once.
func brief(life time.Duration) func(*setup) {
	return func(s *setup) { s.meter.HoldLife, s.reapGrace = life, 10*time.Millisecond }
}

// mark is the cost at the last checkpoint of the account's only hold; 0: none.
func (r *rig) mark(account int64) (cost int64) {
	r.t.Helper()
	holds := r.client.ZRange(r.t.Context(), billing.ExpKey(account), 0, -1).Val()
	if len(holds) != 1 {
		return 0
	}
	text := r.client.Get(r.t.Context(), stream.ShardOf(account).Key("mark", holds[0])).Val()
	if text != "" {
		if _, err := fmt.Sscanf(text, "%d|", &cost); err != nil {
			r.t.Fatalf("a mark reads %q", text)
		}
	}
	return cost
}

// words reads so many more events of a stream.
func (w *wire) words(n int) {
	w.t.Helper()
	for range n {
		w.await(`"content":"`)
	}
}

// A stream whose process is gone is settled at its last checkpoint: more than nothing,
// no more than the client was sent, less than the hold.
func TestAbandonedStream(t *testing.T) {
	r := newRig(t, brief(2*time.Second))
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 5000, Cadence: 5 * time.Millisecond})
	id, key := r.account(dollar)
	w := r.begin(key, "sim-tokens-500")
	w.words(100)
	testenv.Until(r.t, "a checkpoint", func() bool { return r.mark(id) > 0 })
	r.meter.keeper.close() // as far as Redis can tell, the process is dead
	marked := r.mark(id)
	held := r.balance(id).Held
	w.words(1)
	spent := dollar - r.settled(id)
	if spent != marked || spent <= 0 || spent >= held {
		t.Errorf("settled at %d, marked was %d, held %d", spent, marked, held)
	}
	if n := r.ledger(id, 1); n != spent || !r.estimated(id) {
		t.Errorf("the ledger has %d, estimated %v", n, r.estimated(id))
	}
	// The call was alive after all: what it cost beyond that is nobody's debt.
	w.leave(true)
	testenv.Until(r.t, "the rest written off", func() bool {
		var off int64
		r.must(r.pool.QueryRow(t.Context(), `select coalesce(-sum(amount_nano), 0)::bigint from ledger_entries
			where account_id = $1 and book = 'write_off'`, id).Scan(&off))
		return off > 0
	})
	r.wantBalance(id, dollar-spent)
}

// Calls that outlive their holds' first life many times over are never reaped: a
// stream that flows, one that is silent, and an answer in one piece.
func TestLongCalls(t *testing.T) {
	const life = 2 * time.Second
	r := newRig(t, brief(life))
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 100, Cadence: 70 * time.Millisecond})
	r.sim.Assign("sim-silent", llmsim.Script{Tokens: 3, FirstToken: 7 * time.Second})
	r.sim.Assign("sim-slow", llmsim.Script{Tokens: 3, Headers: 7 * time.Second})
	id, key := r.account(dollar)
	w, silent := r.begin(key, "sim-tokens-500"), r.begin(key, "sim-silent")
	whole := make(chan answer, 1)
	go func() { whole <- r.chat(key, "sim-slow") }()
	for _, w := range []*wire{w, silent} {
		w.await("[DONE]")
	}
	if a := <-whole; a.status != 200 {
		t.Errorf("%d %s", a.status, a.body)
	}
	spent := dollar - r.settled(id)
	if n := r.ledger(id, 3); n != spent || r.completion(id) != 106 {
		t.Errorf("billed for %d tokens of 106, the ledger has %d of %d", r.completion(id), n, spent)
	}
	var off int64
	r.must(r.pool.QueryRow(t.Context(), `select count(*) from ledger_entries where book = 'write_off'`).Scan(&off))
	if off > 0 || testutil.ToFloat64(r.meter.keeper.renews) < 6 || testutil.ToFloat64(r.meter.keeper.void) > 0 {
		t.Errorf("%d write-offs, %v renewals, %v void", off, testutil.ToFloat64(r.meter.keeper.renews), testutil.ToFloat64(r.meter.keeper.void))
	}
}

// A checkpoint is never ahead of what was sent, and never far behind.
func TestCheckpointFollows(t *testing.T) {
	r := newRig(t)
	r.sim.Assign("sim-tokens-10", llmsim.Script{Tokens: 4000, Cadence: 3 * time.Millisecond})
	id, key := r.account(dollar)
	w := r.begin(key, "word") // a thousand nano-USD per token
	var read atomic.Pointer[string]
	read.Store(new(string))
	done := make(chan struct{})
	go func() {
		defer close(done)
		text := ""
		for {
			line, err := w.reader.ReadString('\n')
			if err != nil {
				return
			}
			if data, is := strings.CutPrefix(line, "data: "); is {
				text += gjson.Get(data, "choices.0.delta.content").Str
				now := text
				read.Store(&now)
			}
		}
	}()
	var counter llm.Counter
	marked := int64(0)
	for range 5 {
		testenv.Until(r.t, "another checkpoint", func() bool { return r.mark(id) > marked })
		marked = r.mark(id)
		time.Sleep(50 * time.Millisecond) // for what is in the sockets
		if sent := 1000 * counter.Count(*read.Load()); marked > sent || marked < sent-500_000 {
			t.Errorf("marked %d, sent %d", marked, sent)
		}
	}
	w.leave(false)
	<-done
	r.settled(id)
}

// Redis hangs in the middle of a stream: the words keep coming as fast as before.
func TestKeeperHoldsNothingUp(t *testing.T) {
	r := newRig(t)
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 3000, Cadence: time.Millisecond})
	id, key := r.account(dollar)
	w := r.begin(key, "sim-tokens-500")
	took := func(words int) time.Duration {
		started := time.Now()
		w.words(words)
		return time.Since(started)
	}
	before := took(1000)
	r.redis.Pause()
	meanwhile := took(1000)
	r.redis.Resume()
	if meanwhile > 2*before {
		t.Errorf("a thousand words took %s instead of %s", meanwhile, before)
	}
	w.await("[DONE]")
	spent := dollar - r.settled(id)
	if n := r.ledger(id, 1); n != spent || r.completion(id) != 3000 {
		t.Errorf("%d tokens, %d of %d", r.completion(id), n, spent)
	}
}

// A hold that an attempt left behind when it died goes on living with the next one.
func TestResumedHold(t *testing.T) {
	const life = 4 * time.Second
	r := newRig(t, brief(life))
	r.sim.Assign("sim-silent", llmsim.Script{Tokens: 3, FirstToken: life + life/4})
	id, _ := r.account(dollar)
	_, err := r.desk.Holds.Reserve(t.Context(), billing.Reservation{HoldID: "chat-1", AccountID: id, Want: 10_000_000, Least: 1000,
		Fingerprint: billing.SourceTelegram, Life: life})
	r.must(err)
	time.Sleep(life * 7 / 8) // the time until the update is delivered again
	answer, err := r.meter.Complete(t.Context(), r.call(id, "chat-1", "sim-silent"), func(string) error { return nil })
	r.must(err)
	if r.settled(id) != dollar-answer.CostNano || answer.CostNano == 0 {
		t.Errorf("available %d, the answer cost %d", r.balance(id).Available, answer.CostNano)
	}
	if holds := strings.Join(r.client.Keys(t.Context(), "hold:*").Val(), " "); !strings.HasSuffix(holds, ":chat-1") {
		t.Errorf("holds %s", holds)
	}
}
