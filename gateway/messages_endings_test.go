package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestMessagesEndings: how streams of Anthropic's protocol end, what their clients see and
// what is billed.
func TestMessagesEndings(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), shortTimeouts)
	for _, q := range []struct {
		model, kind string
		billed      bool
	}{
		{"claude-stall", "timeout_error", true},
		{"claude-silent", "timeout_error", false},
		{"claude-cut", "api_error", true},
		{"claude-cut-early", "api_error", false},
		{"claude-error-stream", "api_error", true},
		{"claude-no-end", "api_error", true},
		{"claude-torn", "api_error", true},
	} {
		t.Run(q.model, func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.messages(key, q.model, `"stream":true`).want(t, 200)
			events := streamed(t, a.body)
			last := answer{status: 200, header: a.header, body: events[len(events)-1]}
			last.wantAnthropicError(t, 200, q.kind)
			if !strings.Contains(a.body, "event: error\n") || strings.Contains(a.body, "message_stop") || strings.Contains(a.body, `"cost"`) {
				t.Errorf("the stream ends in %s", a.body)
			}
			r.wantFailed(id, q.billed, 5)
		})
	}
	id, key := r.account(dollar)
	r.messages(key, "claude-hang", `"stream":true`).wantAnthropicError(t, 504, "timeout_error")
	r.messages(key, "claude-hang").wantAnthropicError(t, 504, "timeout_error")
	r.wantBalance(id, dollar)
}

// wantFailed checks what a broken stream, of which so many words came, was billed.
func (r *rig) wantFailed(account int64, billed bool, words int64) {
	r.t.Helper()
	spent := dollar - r.settled(account)
	if (spent > 0) != billed {
		r.t.Errorf("spent %d, billed is %v", spent, billed)
	}
	if billed && (r.ledger(account, 1) != spent || r.completion(account) != words || !r.estimated(account)) {
		r.t.Errorf("recorded %d tokens; it is no estimate, or not what was spent", r.completion(account))
	}
}

func shortTimeouts(s *setup) {
	s.timeouts.FirstByte, s.timeouts.Stall, s.timeouts.Total = 300*time.Millisecond, 300*time.Millisecond, 2*time.Second
}

func TestMessagesClientLeaves(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), quickPings)
	for _, q := range []struct {
		name, model, until string
		silent, billed     bool
	}{
		{"before the first byte", "claude-silent", "", true, false},
		{"in a stall", "claude-stall", `" five"`, true, true},
		{"while it flows", "claude-slow", `" more"`, false, true},
	} {
		for _, hard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,%v", q.name, hard), func(t *testing.T) {
				id, key := r.account(dollar)
				left := c.leavers()
				w := r.sendTo("/v1/messages", key, messagesBody(q.model, `"stream":true`))
				w.readHeader()
				if q.until != "" {
					w.await(q.until)
				}
				if q.silent {
					w.await("event: ping") // the silence is bridged as the protocol does it
				}
				w.leave(hard)
				spent := dollar - r.settled(id)
				if (spent > 0) != q.billed {
					t.Errorf("spent %d, billed is %v", spent, q.billed)
				}
				if q.billed && (!r.estimated(id) || r.ledger(id, 1) != spent || r.completion(id) < 5) {
					t.Errorf("recorded %d tokens; it is no estimate, or not what was spent", r.completion(id))
				}
				testenv.Until(r.t, "the provider is told", func() bool { return c.leavers() > left })
			})
		}
	}
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

func TestMessagesShutdown(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c))
	id, key := r.account(dollar)
	stalled := r.sendTo("/v1/messages", key, messagesBody("claude-stall", `"stream":true`))
	stalled.readHeader()
	stalled.await(`" five"`)
	r.stop(50 * time.Millisecond)
	stalled.await(`"overloaded_error"`)
	r.wantFailed(id, true, 5)
}

// TestMessagesDrain: a shutdown lets streams end, whatever their clients speak.
func TestMessagesDrain(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 40, Cadence: 10 * time.Millisecond})
	w := r.sendTo("/v1/messages", key, messagesBody("paid", `"stream":true`))
	w.readHeader()
	w.await("content_block_delta")
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.await(`"cost":`)
		w.await("event: message_stop")
	}()
	r.stop(patience)
	<-done
	if spent := dollar - r.settled(id); spent < 40*8_000 || r.estimated(id) {
		t.Errorf("spent %d", spent)
	}
}

// TestMessagesAbandoned: a stream of Anthropic's protocol whose process is gone is settled
// at what had been sent.
func TestMessagesAbandoned(t *testing.T) {
	c := newClaude(t)
	r := newRig(t, withClaude(c), brief(2*time.Second))
	id, key := r.account(dollar)
	w := r.sendTo("/v1/messages", key, messagesBody("claude-stall", `"stream":true`))
	w.readHeader()
	w.await(`" five"`)
	var marked int64
	testenv.Until(r.t, "a checkpoint of all five words", func() bool {
		marked = r.mark(id)
		return marked >= 5*8_000
	})
	r.meter.keeper.close() // as far as Redis can tell, the process is dead
	if spent := dollar - r.settled(id); spent != marked || r.completion(id) != 5 || !r.estimated(id) {
		t.Errorf("settled at %d for %d tokens, marked was %d", spent, r.completion(id), marked)
	}
	w.leave(true)
}
