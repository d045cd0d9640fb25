package gateway

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// uses are the names of the account's holds that were settled, with the model of each.
func (r *rig) uses(account, calls int64) (uses []string) {
	r.t.Helper()
	r.ledger(account, calls)
	rows, err := r.pool.Query(r.t.Context(), `select hold_id, model, captured_nano > 0 from usage where account_id = $1 order by hold_id`, account)
	r.must(err)
	defer rows.Close()
	for rows.Next() {
		var hold, model string
		var paid bool
		r.must(rows.Scan(&hold, &model, &paid))
		uses = append(uses, fmt.Sprintf("%s %s %v", hold, model, paid))
	}
	r.must(rows.Err())
	return uses
}

// TestFallback: a model whose deployments all fail is stood in for, at the other one's
// price, whenever that turns out before the first token.
func TestFallback(t *testing.T) {
	r, s := staged(t, steadfast)
	for name, bad := range map[string]act{"an error": fails(500), "our key": fails(401), "an end without an event": breaksOff(0)} {
		for _, stream := range []bool{false, true} {
			if !stream && name == "an end without an event" {
				continue
			}
			t.Run(fmt.Sprintf("%s,%v", name, stream), func(t *testing.T) {
				id, key := r.account(dollar)
				r.save()
				s.always("first", bad)
				a := r.chat(key, "first", fmt.Sprintf(`"stream":%v`, stream), `"stream_options":{"include_usage":true}`).want(t, 200)
				if !strings.Contains(a.body, "well") || strings.Contains(a.body, "error") {
					t.Errorf("the client sees %s", a.body)
				}
				if name != "an end without an event" && (a.header.Get(headerModel) != "second" || a.header.Get(headerDeployment) != "own/second") {
					t.Errorf("headers %v", a.header)
				}
				r.wantBalance(id, dollar-stageCost/2)
				if uses := r.uses(id, 1); len(uses) != 1 || !strings.Contains(uses[0], " second ") {
					t.Errorf("recorded %v", uses)
				}
			})
		}
	}
	id, key := r.account(dollar)
	s.always("first", fails(500))
	s.always("second", fails(500))
	r.save()
	if a := r.chat(key, "first").want(t, 200); a.header.Get(headerModel) != "third" {
		t.Errorf("answered by %s", a.header.Get(headerModel))
	}
	r.wantBalance(id, dollar-stageCost)
	s.always("first", fails(504))
	s.always("third", fails(500))
	r.save()
	r.chat(key, "first").wantError(t, 504, "provider_timeout") // the first error stands
	s.always("first", fails(400))
	if s.next(); len(s.called()) != 0 {
		t.Fatal("the stage counts on")
	}
	r.chat(key, "first").want(t, 400) // and the request's own fault is nobody else's
	if calls := s.called(); len(calls) != 1 {
		t.Errorf("called %v", calls)
	}
	r.wantBalance(id, dollar-stageCost)
	r.unoccupied()
}

// TestFallbackIsAdmitted: a fallback is a call like any other. What the first call held and
// counted is not in its way, and what may not be called is not.
func TestFallbackIsAdmitted(t *testing.T) {
	r, s := staged(t, steadfast)
	s.always("first", fails(500))
	_, _, only := r.restricted(billing.Restrictions{Models: []string{"first"}})
	r.save()
	r.chat(only, "first").wantError(t, 502, "provider_error")
	if slices.Contains(s.called(), "second") {
		t.Error("a fallback that the key is not for was called")
	}
	_, _, both := r.restricted(billing.Restrictions{Models: []string{"first", "third"}})
	r.save()
	if a := r.chat(both, "first").want(t, 200); a.header.Get(headerModel) != "third" {
		t.Errorf("answered by %s", a.header.Get(headerModel))
	}
	bound := r.promptBound(chatBody("first", `"max_tokens":100`))
	worst := 2_000*bound + 8_000*100
	id, key := r.account(worst, 1) // money for one call, and one request a minute
	r.save()
	if a := r.chat(key, "first", `"max_tokens":100`).want(t, 200); a.header.Get(headerModel) != "second" {
		t.Errorf("answered by %s", a.header.Get(headerModel))
	}
	r.wantBalance(id, worst-stageCost/2)
	r.chat(key, "first", `"max_tokens":100`).want(t, 429)
}

// TestMessageThroughFallback: a chat's message is charged at most once, whatever answers
// it and whenever the process dies.
func TestMessageThroughFallback(t *testing.T) {
	r, s := staged(t, steadfast)
	silent := func(string) error { return nil }
	s.always("first", fails(500))

	id, _ := r.account(dollar)
	call := r.call(id, "tg-1", "first")
	r.save()
	answer, err := r.meter.Complete(t.Context(), call, silent)
	r.must(err)
	if answer.Text != "well" || answer.CostNano != stageCost/2 {
		t.Errorf("%+v", answer)
	}
	for _, mended := range []bool{false, true} { // told again: the answer was lost on its way
		if mended {
			s.always("first", says)
		}
		r.save()
		again, err := r.meter.Complete(t.Context(), call, silent)
		r.must(err)
		if again.CostNano != 0 || again.Text != "well" {
			t.Errorf("told again: %+v", again)
		}
	}
	r.wantBalance(id, dollar-stageCost/2)
	paid := 0
	for _, use := range r.uses(id, 3) {
		if strings.HasSuffix(use, " true") {
			paid++
		}
	}
	if paid != 1 {
		t.Errorf("charged %d times: %v", paid, r.uses(id, 3))
	}

	// The process dies while the fallback answers.
	s.always("first", fails(500))
	id, _ = r.account(dollar)
	call = r.call(id, "tg-2", "first")
	request, err := llm.NewChatRequest(call)
	r.must(err)
	r.save()
	died, err := r.meter.openNamed(t.Context(), chatCall(call, request))
	r.must(err)
	if died.holdID != billing.HoldOfTry("tg-2", 2) || died.offer.ID != "second" {
		t.Errorf("hold %s of %s", died.holdID, died.offer.ID)
	}
	s.always("first", says)
	r.save()
	answer, err = r.meter.Complete(t.Context(), call, silent)
	r.must(err)
	r.wantBalance(id, dollar-answer.CostNano)
	if uses := r.uses(id, 1); len(uses) != 1 {
		t.Errorf("recorded %v", uses)
	}
	died.Close()
}

// TestFallbackNames: a fallback that is not admitted uses no hold's name up. Would one be
// left out, a message told again would find it free and pay under it.
func TestFallbackNames(t *testing.T) {
	r, s := staged(t, steadfast)
	s.always("first", fails(500))
	dear, err := billing.ParsePrices(map[string]string{"input": "100000", "output": "100000"}, 0, nil)
	r.must(err)
	r.meter.offers["second"].prices = dear
	id, _ := r.account(dollar)
	call := r.call(id, "tg-3", "first")
	silent := func(string) error { return nil }
	r.save()
	answer, err := r.meter.Complete(t.Context(), call, silent)
	r.must(err)
	r.save()
	again, err := r.meter.Complete(t.Context(), call, silent)
	r.must(err)
	if answer.CostNano != stageCost || again.CostNano != 0 {
		t.Errorf("charged %d and then %d", answer.CostNano, again.CostNano)
	}
	r.wantBalance(id, dollar-stageCost)
}

// TestNoFallbackInDoubt: while it is not certain that a message's hold is given back, no
// other is made in its place.
func TestNoFallbackInDoubt(t *testing.T) {
	r, s := staged(t, steadfast)
	id, _ := r.account(dollar)
	doubtful := &doubtfulHolds{holds: r.meter.resolver.holds}
	r.meter.resolver.holds = doubtful
	s.always("first", fails(500))
	r.save()
	var upstream *llm.UpstreamError
	if _, err := r.meter.Complete(t.Context(), r.call(id, "tg-1", "first"), func(string) error { return nil }); !errors.As(err, &upstream) {
		t.Errorf("%v", err)
	}
	if slices.Contains(s.called(), "second") {
		t.Error("a fallback was called under a second hold")
	}
	r.wantBalance(id, dollar)
}

// doubtfulHolds does not hear the answer to the first release.
type doubtfulHolds struct {
	holds
	asked bool
}

func (h *doubtfulHolds) Release(ctx context.Context, account int64, holdID string) error {
	if !h.asked {
		h.asked = true
		return errors.New("no answer")
	}
	return h.holds.Release(ctx, account, holdID)
}
