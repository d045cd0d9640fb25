package outbox

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/failpoint"
)

// Slots is how many messages of one courier are claimed and not noted at a time: at most
// so many are sent again after a crash of its process.
const Slots = 10

const (
	claimLife   = 30 * time.Second // of a claim; who has it gives up before
	deliverIn   = 20 * time.Second // for one message, from its claim
	idle        = time.Second      // between two looks where nothing was due
	noteGather  = 50 * time.Millisecond
	noteIn      = 5 * time.Second // for one statement
	noteRetry   = 250 * time.Millisecond
	lastNotesIn = 10 * time.Second // for all of them, at the end
	putOff      = 15 * time.Second // after a failure that may pass
	lastSendsIn = 5 * time.Second  // for what is on its way, at the end
)

// sender is the bot's way to Telegram for what nobody waits for.
type sender interface {
	Send(ctx context.Context, m bot.Message) (id int, err error)
}

// CourierOptions are what [NewCourier] needs.
type CourierOptions struct {
	Outbox     *Outbox
	Sender     sender // of a [bot.Batcher]
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Courier sends what waits in the outbox. Any number may work on one outbox.
type Courier struct {
	CourierOptions
	hold     time.Duration // claimLife
	slots    chan struct{} // one for each message claimed and not noted
	outcomes chan outcome
	messages *prometheus.CounterVec // lane, outcome
	repeated prometheus.Counter
}

// NewCourier connects to nothing.
func NewCourier(o CourierOptions) *Courier {
	metrics := promauto.With(o.Registerer)
	return &Courier{
		CourierOptions: o, hold: claimLife, slots: make(chan struct{}, Slots), outcomes: make(chan outcome, Slots),
		messages: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "telegram_outbox_messages_total", Help: "Messages of the outbox by what became of a try: sent, blocked, failed, expired, or put off.",
		}, []string{"lane", "outcome"}),
		repeated: metrics.NewCounter(prometheus.CounterOpts{
			Name: "telegram_outbox_repeated_total", Help: "Messages of the outbox that may have been sent before, because a claim ran out.",
		}),
	}
}

// Run delivers until ctx ends and what is on its way is noted. Postgres being away is
// not an error: it waits.
func (c *Courier) Run(ctx context.Context) error {
	var delivering sync.WaitGroup
	noted := make(chan struct{})
	go func() {
		defer close(noted)
		c.noteAll(ctx)
	}()
	ailing := false
	for ctx.Err() == nil {
		n := c.free(ctx)
		if n == 0 {
			break
		}
		due, err := c.Outbox.claim(ctx, n, c.hold)
		if err != nil && ctx.Err() == nil && !ailing {
			c.Log.WarnContext(ctx, "outbox waits for Postgres", "error", err)
		}
		ailing = err != nil
		for _, m := range due {
			delivering.Go(func() { c.outcomes <- c.deliver(ctx, m) })
		}
		for range n - len(due) {
			<-c.slots
		}
		if len(due) == 0 {
			c.rest(ctx)
		}
	}
	delivering.Wait()
	close(c.outcomes)
	<-noted
	return nil
}

// free waits for a free slot, takes all there are, and returns how many; 0 when ctx ends.
func (c *Courier) free(ctx context.Context) (n int) {
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return 0
	}
	for n = 1; n < Slots; n++ {
		select {
		case c.slots <- struct{}{}:
		default:
			return n
		}
	}
	return n
}

func (c *Courier) rest(ctx context.Context) {
	timer := time.NewTimer(idle)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-c.Outbox.put:
	case <-timer.C:
	}
}

// deliver sends a claimed message and returns what became of it.
func (c *Courier) deliver(ctx context.Context, m claimed) outcome {
	out := outcome{id: m.id, claims: m.claims, state: stateSent}
	lane := "notice"
	if m.broadcast != 0 {
		lane = "broadcast"
	}
	switch {
	case m.fault != nil:
		c.Log.ErrorContext(ctx, "message of the outbox that cannot be read", "id", m.id, "error", m.fault)
		out.state = stateFailed
	case m.expired:
		out.state = stateExpired
	default:
		if m.claims > 1 {
			c.repeated.Inc()
		}
		err := c.send(ctx, m.message)
		if err == nil {
			failpoint.Here("outbox.sent")
		}
		out.state, out.wait = c.judge(ctx, m, err)
	}
	shown := out.state
	if shown == stateWaiting {
		shown = "put off"
	}
	c.messages.WithLabelValues(lane, shown).Inc()
	return out
}

// send gives what is on its way some time to arrive when ctx ends: a call that is broken
// off may have been heard, and the message would be sent again.
func (c *Courier) send(ctx context.Context, m bot.Message) error {
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), deliverIn)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-within.Done():
		case <-time.After(lastSendsIn):
			cancel()
		}
	})
	defer stop()
	_, err := c.Sender.Send(within, m)
	return err
}

// judge says what a try came to. What Telegram refuses for good stays refused; anything
// else is put off, for as long as Telegram asks where it does.
func (c *Courier) judge(ctx context.Context, m claimed, err error) (state string, wait time.Duration) {
	if err == nil {
		return stateSent, 0
	}
	if errors.Is(err, bot.ErrBlocked) {
		return stateBlocked, 0
	}
	var api *bot.APIError
	if errors.As(err, &api) {
		if api.Code >= http.StatusBadRequest && api.Code < http.StatusInternalServerError && api.Code != http.StatusTooManyRequests {
			c.Log.WarnContext(ctx, "message of the outbox refused", "id", m.id, "broadcast", m.broadcast, "error", err)
			return stateFailed, 0
		}
		if api.RetryAfter > 0 {
			return stateWaiting, api.RetryAfter
		}
	}
	if ctx.Err() != nil {
		return stateWaiting, 0 // for another instance, at once
	}
	c.Log.DebugContext(ctx, "message of the outbox put off", "id", m.id, "broadcast", m.broadcast, "error", err)
	return stateWaiting, putOff
}

// noteAll notes outcomes, a few at once, and frees their slots, until there will be no
// more.
func (c *Courier) noteAll(ctx context.Context) {
	for first := range c.outcomes {
		outcomes := c.gather(first)
		c.note(ctx, outcomes)
		for range outcomes {
			<-c.slots
		}
	}
}

// gather waits a moment for more outcomes.
func (c *Courier) gather(first outcome) []outcome {
	outcomes := []outcome{first}
	timer := time.NewTimer(noteGather)
	defer timer.Stop()
	for len(outcomes) < Slots {
		select {
		case more, open := <-c.outcomes:
			if !open {
				return outcomes
			}
			outcomes = append(outcomes, more)
		case <-timer.C:
			return outcomes
		}
	}
	return outcomes
}

// note writes outcomes down, however often Postgres has to be asked: what is not noted
// is sent again. Once ctx has ended it gives up after a while.
func (c *Courier) note(ctx context.Context, outcomes []outcome) {
	var last <-chan time.Time
	ended := ctx.Done()
	for told := false; ; {
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteIn)
		err := c.Outbox.note(within, outcomes)
		cancel()
		if err == nil {
			return
		}
		if !told {
			c.Log.WarnContext(ctx, "what became of messages is not noted yet", "messages", len(outcomes), "error", err)
			told = true
		}
		select {
		case <-last:
			c.Log.ErrorContext(ctx, "messages may be sent again", "messages", len(outcomes), "error", err)
			return
		case <-ended:
			ended, last = nil, time.After(lastNotesIn)
		case <-time.After(noteRetry):
		}
	}
}
