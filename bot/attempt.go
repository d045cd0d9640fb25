package bot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/internal/failpoint"
	"github.com/kikuai/kikuai/internal/telemetry"
)

const (
	triesMost   = 5
	crashesMost = 20
	updateLife  = 24 * time.Hour
	// Telegram takes no answer to these after so long.
	callbackLife = 150 * time.Second
	inlineLife   = 30 * time.Second
)

// timing is how long the dispatcher waits between tries.
type timing struct {
	retry     time.Duration // first pause after a failure, doubled each time
	later     time.Duration // first pause after ErrTryLater, doubled each time
	laterMost time.Duration
}

func defaultTiming() timing {
	return timing{retry: 200 * time.Millisecond, later: 200 * time.Millisecond, laterMost: 5 * time.Second}
}

// errPanic is a handler that panicked.
var errPanic = errors.New("handler panicked")

// see brings an update to its end and tells whether it did: false means that nothing
// new may be started and the update stays pending.
func (w *worker) see(q *queue, i *item) bool {
	if i.kind == kindUnreadable {
		return w.giveUp(i, 0, errUnreadable)
	}
	if isStaleAt(i, time.Now()) {
		return w.finish(outcomeStale, i)
	}
	if i.kind == kindUnknown {
		return w.finish(outcomeUnknown, i)
	}
	u := i.update()
	if err := decode(u); err != nil {
		return w.giveUp(i, 0, fmt.Errorf("decode: %w", err))
	}
	if i.entry.Redelivered {
		crashes, ok := w.countStart(i)
		if !ok {
			return false
		}
		if crashes > crashesMost {
			return w.giveUp(i, crashesMost, fmt.Errorf("the process ended %d times while this was handled", crashesMost))
		}
	}
	ended := w.try(q, i, u)
	if !ended {
		w.uncountStart(i)
	}
	return ended
}

// try hands the update to the handler until that succeeds or is hopeless. It returns
// false when the worker must stop first.
func (w *worker) try(q *queue, i *item, u *Update) bool {
	t := w.d.timing
	tries, later := 0, t.later
	for {
		select {
		case <-w.ctx.Done():
			return false
		case w.d.slots[w.lane] <- struct{}{}:
		}
		if w.ctx.Err() != nil {
			<-w.d.slots[w.lane]
			return false
		}
		w.begin(q, u)
		err := w.attempt(u, i.kind, tries == 0)
		together := w.end(q)
		<-w.d.slots[w.lane]
		if err == nil {
			failpoint.Here("update.handled")
			return w.finish(outcomeHandled, together...)
		}
		if w.ctx.Err() != nil {
			return false
		}
		var pause time.Duration
		if errors.Is(err, ErrTryLater) && i.entry.AgeAt(time.Now()) < updateLife {
			pause, later = later, min(2*later, t.laterMost)
		} else {
			if tries++; tries == triesMost {
				return w.giveUp(i, tries, err)
			}
			pause = t.retry << (tries - 1)
		}
		if !sleep(w.ctx, pause) {
			return false
		}
		if isStaleAt(i, time.Now()) {
			return w.finish(outcomeStale, i)
		}
	}
}

// attempt is one try of the handler. Only the first failure of an update is logged in
// full; what is logged never holds the update's content.
func (w *worker) attempt(u *Update, kind string, first bool) (err error) {
	ctx, cancel := context.WithTimeout(w.running, w.d.o.Deadline)
	defer cancel()
	ctx = telemetry.WithNotes(ctx, slog.Int64("update_id", u.ID))
	running := w.d.metrics.running.WithLabelValues(w.lane.String())
	running.Inc()
	started := time.Now()
	reason := reasonError
	defer func() {
		if p := recover(); p != nil {
			reason = reasonPanic
			err = fmt.Errorf("%w: %s", errPanic, panicSentence(p))
			if first {
				w.d.o.Log.ErrorContext(ctx, "handler panicked", "update_id", u.ID, "type", kind, "panic", panicSentence(p), "stack", string(debug.Stack()))
			}
		}
		running.Dec()
		w.d.metrics.durations.WithLabelValues(kind).Observe(time.Since(started).Seconds())
		if err == nil {
			return
		}
		switch {
		case errors.Is(err, ErrTryLater):
			reason = reasonLater
		case errors.Is(ctx.Err(), context.DeadlineExceeded):
			reason = reasonDeadline
		}
		w.d.metrics.failures.WithLabelValues(kind, reason).Inc()
		if first && reason != reasonPanic && w.ctx.Err() == nil && w.quiet.may() {
			w.d.o.Log.WarnContext(ctx, "update not handled yet", "update_id", u.ID, "type", kind, "reason", reason, "error", err)
		}
	}()
	return w.d.o.Handler.Handle(ctx, u)
}

// panicSentence says what a panic was about. Values made by us may quote the update, so
// only the runtime's own words are kept.
func panicSentence(p any) string {
	if err, ok := p.(runtime.Error); ok {
		return err.Error()
	}
	return fmt.Sprintf("a value of type %T", p)
}

// decode reads the update into the library's types, which may meet what they do not
// expect.
func decode(u *Update) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %s", errPanic, panicSentence(p))
		}
	}()
	if err := json.Unmarshal(u.Raw, &u.Update); err != nil {
		var field *json.UnmarshalTypeError
		if errors.As(err, &field) {
			return fmt.Errorf("%s is not what it should be", field.Field)
		}
		return errors.New("not of the documented shape")
	}
	return nil
}

// isStaleAt tells whether Telegram would refuse an answer to the update by now.
func isStaleAt(i *item, now time.Time) bool {
	if i.deferred {
		return false // it was answered before it was put here
	}
	age := i.entry.AgeAt(now)
	switch i.kind {
	case models.AllowedUpdateCallbackQuery, models.AllowedUpdatePreCheckoutQuery:
		return age > callbackLife
	case models.AllowedUpdateInlineQuery:
		return age > inlineLife
	}
	return false
}
