package gateway

import (
	"context"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

// taken is what a call has of limits and budgets while it is under way, besides its hold.
type taken struct {
	own ratelimit.Ticket // of key and account
	org ratelimit.Ticket
	all ratelimit.Ticket // of the whole installation

	organisation int64         // whose the account is; 0: none
	claim        billing.Claim // on the organisation's budget
	counted      bool          // there is a claim
	day          int64         // it is counted on, since 1970
}

// open says whether anything is to be trued up when the call ends.
func (t *taken) open() bool { return t.counted || loose(t.own) || loose(t.org) }

// id names the call in what is logged.
func (t *taken) id() string { return first(t.own.ID, t.org.ID, t.all.ID, t.claim.HoldID) }

// tokens are how many the call may come to, or -1 where nothing limits them.
func (t *taken) tokens() int64 {
	most := int64(-1)
	for _, ticket := range [...]ratelimit.Ticket{t.own, t.org} {
		for i := range ticket.Taken {
			if r := &ticket.Taken[i]; r.Name == ratelimit.NameTokens && r.Cost > 0 && (most < 0 || r.Cost < most) {
				most = r.Cost
			}
		}
	}
	return most
}

// leases appends the tickets that hold places.
func (t *taken) leases(to []ratelimit.Ticket) []ratelimit.Ticket {
	for _, ticket := range [...]ratelimit.Ticket{t.own, t.org} {
		if places(ticket) {
			to = append(to, ticket)
		}
	}
	return to
}

// loose says whether a ticket holds what was estimated, or a place.
func loose(t ratelimit.Ticket) bool {
	for i := range t.Taken {
		if r := &t.Taken[i]; r.Cost > 0 && (r.Kind == ratelimit.Concurrency || r.Name == ratelimit.NameTokens) {
			return true
		}
	}
	return false
}

// places says whether a ticket holds places, which are to be renewed.
func places(t ratelimit.Ticket) bool {
	for i := range t.Taken {
		if r := &t.Taken[i]; r.Cost > 0 && r.Kind == ratelimit.Concurrency {
			return true
		}
	}
	return false
}

// claims resolves what calls have of organisations' budgets.
type claims interface {
	Resolve(ctx context.Context, c billing.Claim, captured int64) error
}

// tally trues up what calls have taken.
type tally struct {
	limits limits
	claims claims // nil: nobody has a budget in common
}

// word is something that Redis is told.
type word = func(context.Context) error

// finish trues up what an ended call took, by the tokens it came to and what it captured,
// in nano-USD. Repeating its words changes nothing.
func (t *tally) finish(k taken, tokens, captured int64) []word {
	used := ratelimit.Used{ratelimit.NameTokens: tokens}
	var words []word
	for _, ticket := range [...]ratelimit.Ticket{k.own, k.org} {
		if loose(ticket) {
			words = append(words, func(ctx context.Context) error { return t.limits.Finish(ctx, ticket, used) })
		}
	}
	return t.resolve(words, k, captured)
}

// giveBack takes back all that a call took which did not begin.
func (t *tally) giveBack(k taken) []word {
	var words []word
	for _, ticket := range [...]ratelimit.Ticket{k.own, k.org, k.all} {
		if len(ticket.Taken) > 0 {
			words = append(words, func(ctx context.Context) error { return t.limits.GiveBack(ctx, ticket) })
		}
	}
	return t.resolve(words, k, 0)
}

func (t *tally) resolve(words []word, k taken, captured int64) []word {
	if !k.counted || t.claims == nil {
		return words
	}
	return append(words, func(ctx context.Context) error { return t.claims.Resolve(ctx, k.claim, captured) })
}
