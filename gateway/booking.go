package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/kikuai/kikuai/billing"
)

var (
	// errUnbooked is of a call whose cost is durable nowhere: neither Redis nor Postgres
	// says that it has it.
	errUnbooked = fmt.Errorf("gateway: the call's cost is not in the books: %w", billing.ErrClosed)
	// errWithheld is of an answer that is not given out for that.
	errWithheld = errors.New("gateway: the answer is withheld")
)

// settle resolves a hold by a call's cost, whatever became of the caller, and trues up
// what the call took of limits by the tokens it came to. Where Redis does not say that it
// has, the cost is recorded in Postgres, for which the caller waits two seconds at most:
// whoever dies then, the call is billed. Late: the result is not known yet. errUnbooked:
// neither has it, and the caller chooses between settleLater and withhold.
func (r *resolver) settle(s billing.Settlement, t taken) (billing.Captured, error) {
	captured, untold, err := r.settleAndTell(s, t)
	if err != nil && !final(err) {
		cause := err
		if captured, err = r.holds.Record(context.Background(), s); err == nil {
			r.repeat(&r.booked, s, cause)
		} else if !final(err) {
			return billing.Captured{}, fmt.Errorf("%w: %w: %w", errUnbooked, cause, err)
		}
	}
	r.tellLater(t, errUntold, untold)
	if err != nil {
		r.giveUp("settle", s.HoldID, err)
		return billing.Captured{Late: true}, nil
	}
	return captured, nil
}

// settleAndTell settles a call now, and in the same moment trues up what it took of limits.
func (r *resolver) settleAndTell(s billing.Settlement, t taken) (captured billing.Captured, untold []word, err error) {
	if !t.open() {
		captured, err = r.settleSoon(s)
		return captured, nil, err
	}
	return r.end(t, tokensOf(s), min(s.Cost, s.Held), func(ctx context.Context) (billing.Captured, error) { return r.settleOnce(ctx, s) })
}

// settleLater sees to a settlement that is durable nowhere, of a call whose client has
// what it cost: it waits here for Redis.
func (r *resolver) settleLater(s billing.Settlement, t taken, cause error) {
	r.tellLater(t, cause, r.tally.finish(t, tokensOf(s), min(s.Cost, s.Held)))
	r.repeat(&r.money, s, cause)
}

// withhold gives back what is held for an answer that is not given out. A Redis that was
// silent may have settled the call all the same: then it stays paid, which is logged.
func (r *resolver) withhold(s billing.Settlement, t taken, cause error) {
	r.tellLater(t, cause, r.tally.finish(t, tokensOf(s), 0))
	r.releaseLater(s.AccountID, s.HoldID, cause)
}

// repeat repeats a settlement until Redis has it.
func (r *resolver) repeat(l *line, s billing.Settlement, cause error) {
	r.later(l, "settle", s.HoldID, cause, func(ctx context.Context) error {
		_, err := r.settleOnce(ctx, s)
		return err
	})
}

// tokensOf are those that limits count.
func tokensOf(s billing.Settlement) int64 { return s.Usage.Prompt + s.Usage.Completion }
