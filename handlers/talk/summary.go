package talk

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	summaryIntro = "What was said before, in short:\n"
	summaryAsk   = `Sum up the conversation so far for the assistant who will carry it on, in the language it is in. Keep names, numbers, decisions, wishes and open questions; leave out pleasantries. At most 250 words, nothing else.`
	summaryMost  = 600             // tokens
	summaryBytes = 8 << 10         // of a summary that is kept
	summaryIn    = 5 * time.Second // that a finished answer waits for it
)

// digest is a summary of older turns that is made while the answer is written.
type digest struct {
	of     []exchange // what it sums up
	done   chan struct{}
	cancel context.CancelFunc

	// After done:
	text      string
	cost      int64 // nano-USD
	available int64 // nano-USD left afterwards; 0: nothing was paid
}

// sumUp begins to sum up what is old, where the conversation has become long. It returns
// nil where it has not.
func (r *Room) sumUp(t *turn) *digest {
	old := t.before.old()
	if len(old) == 0 {
		return nil
	}
	ctx, cancel := context.WithCancel(t.run.life)
	d := &digest{of: old, done: make(chan struct{}), cancel: cancel}
	model := r.SummaryModel
	if model == "" {
		model = r.model(t)
	}
	call := llm.ChatCall{
		AccountID: t.account.ID, KeyID: t.sponsor.Key, HoldID: t.holdID() + "-summary",
		LimitScope: "account", LimitID: strconv.FormatInt(t.account.ID, 10),
		Model: model, Messages: summaryPrompt(t.before.summary, old), MaxOutput: summaryMost,
	}
	go func() {
		defer close(d.done)
		answer, err := r.Completer.Complete(ctx, call, func(string) error { return nil })
		if answer.CostNano > 0 { // else it is told as of before the answer's own settlement
			d.cost, d.available = answer.CostNano, answer.AvailableNano
		}
		if err == nil {
			d.text = hall.Clip(strings.TrimSpace(answer.Text), summaryBytes)
		} else {
			r.Log.DebugContext(ctx, "conversation not summed up", "error", err)
		}
	}()
	return d
}

// wait gives the summary a moment to end, once the answer has, and returns what it cost
// and, where it ended after the answer, what is left of the balance. It never fails: what
// could not be summed up stays as it was.
func (d *digest) wait(ctx context.Context) (cost, available int64) {
	if d == nil {
		return 0, 0
	}
	timer := time.NewTimer(summaryIn)
	defer timer.Stop()
	select {
	case <-d.done:
		return d.cost, 0
	default:
	}
	select {
	case <-d.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	d.end()
	return d.cost, d.available
}

// end ends the summary, whatever is left of it.
func (d *digest) end() {
	if d != nil {
		d.cancel()
		<-d.done
	}
}

// old are the exchanges to be summed up: none while the conversation is short.
func (k talk) old() []exchange {
	all := 0
	for _, e := range k.exchanges {
		all += e.tokens()
	}
	if all <= summaryAt {
		return nil
	}
	n := len(k.exchanges)
	for left := 0; n > 0; n-- {
		left += k.exchanges[n-1].tokens()
		if left > summaryLeaves && len(k.exchanges)-n >= leavesLeast {
			break
		}
	}
	return k.exchanges[:n]
}

// summaryPrompt asks for a summary of an earlier one and what followed it.
func summaryPrompt(before string, old []exchange) []llm.Message {
	var text strings.Builder
	if before != "" {
		text.WriteString(summaryIntro + before + "\n\n")
	}
	for _, e := range old {
		text.WriteString("User: " + e.Question + "\n\n")
		if e.Answer != "" {
			text.WriteString("Assistant: " + e.Answer + "\n\n")
		}
	}
	return []llm.Message{{Role: "system", Content: summaryAsk}, {Role: "user", Content: text.String()}}
}
