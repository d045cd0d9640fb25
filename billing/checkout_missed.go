package billing

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// JobCards is the job of Checkouts.Reconcile, which keeps its state there.
const JobCards = "card-events"

const (
	missedFirst   = 72 * time.Hour   // how far the first look goes back
	missedYoung   = 5 * time.Minute  // an event of less is on its way
	missedOverlap = 10 * time.Minute // of two looks: providers file events late
)

// missedState is how far the provider's events were looked through.
type missedState struct {
	Until time.Time `json:"until"`
}

// Reconcile looks through the card provider's list of events for those that nobody told
// us of, and gives them their effect.
func (c *Checkouts) Reconcile(ctx context.Context) error {
	if c.cards == nil {
		return ErrPaymentUnavailable
	}
	var state missedState
	if err := c.jobs.Load(ctx, JobCards, &state); err != nil {
		return err
	}
	until := c.payments.now().Add(-missedYoung).Truncate(time.Second)
	from := state.Until.Add(-missedOverlap)
	if state.Until.IsZero() {
		from = until.Add(-missedFirst)
	}
	var errs []error
	err := c.cards.list(ctx, from, until, func(e cardEvent) {
		result, err := c.apply(ctx, e)
		if err != nil {
			errs = append(errs, err)
		}
		if result == eventCredited || result == eventRefunded {
			c.log.WarnContext(ctx, "a card event that nobody told of was taken in", "event", e.id, "payment", e.payment, "result", result)
		}
	})
	if err = errors.Join(append(errs, err)...); err != nil {
		return fmt.Errorf("look for missed card events: %w", err)
	}
	return c.jobs.Save(ctx, JobCards, missedState{Until: until})
}
