package gateway

import (
	"context"
	"errors"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	routing "github.com/kikuai/kikuai/internal/llm/route"
	"github.com/kikuai/kikuai/ratelimit"
)

// ways makes a model's deployments known to the router.
func (m *Meter) ways(model *llm.Model) (*routing.Model, error) {
	var members []routing.Member
	for _, d := range model.Deployments() {
		members = append(members, routing.Member{Name: d.Name(), Weight: d.Weight, Concurrency: d.MaxConcurrency})
	}
	return m.router.Model(routing.Routing{Sticky: model.Sticky, LeastLatency: model.Routing == llm.RoutingLeastLatency}, members)
}

// direct says which of the model's deployments a call may go to, and whose turn it is in
// its conversation.
func (m *Meter) direct(l *Live) {
	deployments := l.offer.Deployments()
	l.deployment.Store(deployments[0])
	if len(deployments) > 1 && l.offer.Sticky {
		l.thread = l.request.Thread(l.account)
	}
	for i, d := range deployments {
		if l.call.Provider != "" && d.Provider.Name != l.call.Provider {
			l.tries.never = l.tries.never.With(i)
		}
	}
}

// mayFallBack says whether another model may answer in the place of a call that came to
// nothing.
func (l *Live) mayFallBack(ctx context.Context, err error) bool {
	return !l.call.fallback && len(l.offer.Fallbacks) > 0 && elsewhere(err) && ctx.Err() == nil
}

// fallBack ends a call that came to nothing and makes one to a fallback of its model in its
// place: first the call's hold and limits are given back whole, then the fallback is
// admitted as any call is, and billed at its own prices. Where no fallback is admitted or
// answers, the first error stands.
func (m *Meter) fallBack(ctx context.Context, l *Live, first error) (*Live, error) {
	stands, try := l, max(1, l.call.try)
	for _, id := range l.offer.Fallbacks {
		c := l.call
		c.fallback = true
		o, b, err := m.plan(&c, id)
		if err != nil {
			continue
		}
		if l.tries.made > 0 && !m.router.Extra(m.now()) {
			break
		}
		if stands != nil && !m.giveUp(stands) {
			return nil, first
		}
		// A name is used up by a hold that was made, and by nothing else: a message that is
		// told again goes through the names until it finds one that is free, and would pay
		// once more under one that was left out.
		stands, c.try = nil, try+1
		next, err := m.hold(ctx, c, o, b)
		if denied(err) {
			continue
		}
		if err != nil {
			return nil, first
		}
		try++
		next.tries.made = l.tries.made
		if err = m.begin(ctx, next); err == nil {
			return next, nil
		}
		l.tries.made, stands = next.tries.made, next
	}
	if stands != nil {
		m.forsake(stands)
	}
	return nil, first
}

// giveUp gives a call's hold and limits back whole, or says that it is not certain.
func (m *Meter) giveUp(l *Live) bool {
	m.keeper.leave(l)
	return m.resolver.undo(l.account, l.holdID, l.taken)
}

// denied says whether a call was certainly not admitted, so that there is no hold of its
// name.
func denied(err error) bool {
	var exceeded *ratelimit.ExceededError
	var poor *UnaffordableError
	var budget *billing.BudgetError
	var restricted *restrictedError
	return errors.As(err, &exceeded) || errors.As(err, &poor) || errors.As(err, &budget) || errors.As(err, &restricted)
}
