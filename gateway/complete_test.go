package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/ratelimit"
)

func (r *rig) call(account int64, hold, model string) llm.ChatCall {
	return llm.ChatCall{
		AccountID: account, HoldID: hold, LimitScope: "account", LimitID: fmt.Sprint(account), Model: model, MaxOutput: 1000,
		Messages: []llm.Message{{Role: "user", Content: "Say \"something\"."}},
	}
}

func TestComplete(t *testing.T) {
	r := newRig(t)
	id, _ := r.account(dollar)
	var frames []string
	a, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "paid"), func(text string) error {
		frames = append(frames, text)
		return nil
	})
	r.must(err)
	if len(frames) < 10 || frames[len(frames)-1] != a.Text || !strings.HasPrefix(frames[5], frames[4]) || a.Finish != "stop" || a.Estimated {
		t.Errorf("%d frames, answer %+v", len(frames), a)
	}
	if a.CostNano != 2_000*a.Prompt+8_000*a.Completion || a.AvailableNano != dollar-a.CostNano {
		t.Errorf("answer %+v", a)
	}
	r.wantBalance(id, a.AvailableNano)
	if spent := r.ledger(id, 1); spent != a.CostNano {
		t.Errorf("ledger %d", spent)
	}
}

// TestCompleteAgain: a call that is repeated under its id goes on with the hold
// it has, gets one of its own where that was resolved, and is charged once.
func TestCompleteAgain(t *testing.T) {
	r := newRig(t)
	id, _ := r.account(dollar)
	call := r.call(id, "tg-7", "paid")
	request, err := llm.NewChatRequest(call)
	r.must(err)
	died, err := r.meter.openNamed(t.Context(), chatCall(call, request))
	r.must(err)
	held := r.balance(id).Held
	if died.holdID != "tg-7" || held <= 0 {
		t.Fatalf("hold %s of %d", died.holdID, held)
	}
	silent := func(string) error { return nil }
	first, err := r.meter.Complete(t.Context(), call, silent) // the first died without a trace
	r.must(err)
	if b := r.balance(id); b.Held != 0 || b.Available != dollar-first.CostNano {
		t.Fatalf("after the repetition %+v", b)
	}
	second, err := r.meter.Complete(t.Context(), call, silent)
	r.must(err)
	if second.CostNano != 0 || second.Text == "" {
		t.Errorf("what was paid for and lost costs %d again", second.CostNano)
	}
	r.wantBalance(id, dollar-first.CostNano)
	var holds []string
	r.ledger(id, 2)
	rows, err := r.pool.Query(t.Context(), `select hold_id from usage where account_id = $1 order by hold_id`, id)
	r.must(err)
	defer rows.Close()
	for rows.Next() {
		var hold string
		r.must(rows.Scan(&hold))
		holds = append(holds, hold)
	}
	if fmt.Sprint(holds) != "[tg-7 tg-7.2]" {
		t.Errorf("holds %v", holds)
	}
	for range maxTries - 2 {
		_, err = r.meter.Complete(t.Context(), call, silent)
		r.must(err)
	}
	if _, err = r.meter.Complete(t.Context(), call, silent); !errors.Is(err, billing.ErrHoldConflict) {
		t.Errorf("after %d tries: %v", maxTries, err)
	}
	died.stream.Close()
	died.Close()
}

func TestCompleteStops(t *testing.T) {
	r := newRig(t)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 1000, Cadence: 2 * time.Millisecond})
	r.sim.Assign("sim-stall", llmsim.Script{Tokens: 10, End: llmsim.EndStall, After: 5})
	stop := errors.New("stop")
	id, _ := r.account(dollar)
	a, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "paid"), func(text string) error {
		if strings.Contains(text, "five") {
			return stop
		}
		return nil
	})
	if !errors.Is(err, stop) || !strings.Contains(a.Text, "five") || a.CostNano <= 0 || !a.Estimated {
		t.Errorf("%+v, %v", a, err)
	}
	r.wantBalance(id, dollar-a.CostNano)

	ctx, cancel := context.WithCancelCause(t.Context())
	b, err := r.meter.Complete(ctx, r.call(id, "tg-2", "sim-stall"), func(text string) error {
		if strings.Contains(text, "five") {
			cancel(stop)
		}
		return nil
	})
	if !errors.Is(err, stop) || b.Text == "" || b.CostNano <= 0 {
		t.Errorf("cancelled: %+v, %v", b, err)
	}
	r.wantBalance(id, dollar-a.CostNano-b.CostNano)
}

func TestCompleteRefusals(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.Limits.RequestsPerMinute = 2 })
	silent := func(string) error { return nil }
	id, _ := r.account(10)
	var poor *billing.PoorError
	if _, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "paid"), silent); !errors.As(err, &poor) || poor.Available != 10 || poor.Need <= 10 {
		t.Errorf("poor: %v", err)
	}
	if _, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "nothing"), silent); !errors.Is(err, llm.ErrModelUnknown) {
		t.Errorf("unknown model: %v", err)
	}
	var upstream *llm.UpstreamError
	if _, err := r.meter.Complete(t.Context(), r.call(id, "tg-2", "free"), silent); err != nil {
		t.Errorf("free: %v", err)
	}
	rich, _ := r.account(dollar)
	if _, err := r.meter.Complete(t.Context(), r.call(rich, "tg-3", "sim-error-500"), silent); !errors.As(err, &upstream) {
		t.Errorf("provider: %v", err)
	}
	r.wantBalance(rich, dollar)
	_, err := r.meter.Complete(t.Context(), r.call(rich, "tg-4", "paid"), silent)
	r.must(err)
	var exceeded *ratelimit.ExceededError
	if _, err := r.meter.Complete(t.Context(), r.call(rich, "tg-5", "paid"), silent); !errors.As(err, &exceeded) {
		t.Errorf("limit: %v", err)
	}
	if b := r.balance(rich); b.Held != 0 {
		t.Errorf("%+v", b)
	}
}

// TestHoldOfMessageIsNotReleasedLater: where nobody knows what became of an attempt's hold, the
// next attempt at the same message has it, and a word about the first does not take it away.
func TestHoldOfMessageIsNotReleasedLater(t *testing.T) {
	r := newRig(t)
	id, _ := r.account(dollar)
	call := r.call(id, "tg-8", "paid")
	request, err := llm.NewChatRequest(call)
	r.must(err)
	died, err := r.meter.openNamed(t.Context(), chatCall(call, request))
	r.must(err)
	defer died.Close()
	held := r.balance(id).Held
	_, err = r.desk.Holds.Reserve(t.Context(), billing.Reservation{HoldID: ownHold + "8", AccountID: id, Want: 1000, Least: 1000, Life: time.Minute})
	r.must(err)
	r.meter.resolver.releaseLater(id, "tg-8", errUnsure)
	r.meter.resolver.releaseLater(id, ownHold+"8", errUnsure)
	r.meter.resolver.pending.Wait()
	if now := r.balance(id).Held; now != held {
		t.Errorf("%d are held, not %d", now, held)
	}
	a, err := r.meter.Complete(t.Context(), call, func(string) error { return nil })
	r.must(err)
	r.wantBalance(id, dollar-a.CostNano)
}
