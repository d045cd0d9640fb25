package gateway

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	keepEvery = 2 * time.Second        // a look at all calls
	keepGap   = 100 * time.Millisecond // before a look that calls ask for: most of them are over by then
	keepMost  = 256                    // calls of one batch
	keepIn    = 2 * time.Second        // for a batch

	lifeParts = 4 // a hold is renewed when a quarter of its life is over
	lookParts = 8

	// checkpointBytes of text, about 64 tokens, are worth a checkpoint of their own.
	checkpointBytes = 64 * 4
)

// checkpointer takes what calls have come to so far, and gives their holds another life.
type checkpointer interface {
	Checkpoint(ctx context.Context, marks []billing.Mark) []error
}

// renewer gives the places of calls under way another life.
type renewer interface {
	Renew(ctx context.Context, tickets []ratelimit.Ticket, life time.Duration) error
}

// keeper keeps the holds of calls under way. In one goroutine, in batches, it
// checkpoints what streams have produced, and renews the deadline of every hold in
// time. No call ever waits for it. When this process dies, its holds pass their
// deadlines and are settled by their last checkpoints.
type keeper struct {
	holds checkpointer
	slots renewer
	now   func() time.Time
	life  time.Duration // of a hold
	every time.Duration

	mu    sync.Mutex
	calls keeping // the head of a ring: most calls come and go between two looks

	due    []*keeping // of the goroutine, kept for its memory
	marks  []billing.Mark
	leases []ratelimit.Ticket
	wake   chan struct{}
	quit   chan struct{}
	start  sync.Once
	halt   sync.Once
	work   sync.WaitGroup
	marked prometheus.Counter
	renews prometheus.Counter
	failed prometheus.Counter
	void   prometheus.Counter
}

// keeping is what the keeper knows of a call.
type keeping struct {
	live       *Live
	prev, next *keeping    // nil: not kept
	asked      atomic.Bool // it wants a checkpoint before its turn
	fresh      int         // bytes since it asked; of the call's own goroutine

	// Of the keeper's goroutine alone.
	renewed time.Time
	leased  time.Time // when its places were renewed
	prompt  int64     // tokens; 0: not counted yet
	told    int64     // tokens of the answer, at the last checkpoint
	tokens  int64     // of the answer, at the one under way
	void    bool      // the hold is not there any more
}

func newKeeper(h checkpointer, slots renewer, life time.Duration, now func() time.Time, registerer prometheus.Registerer) *keeper {
	results := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gateway_checkpoints_total", Help: "Checkpoints and renewals of holds whose calls are under way.",
	}, []string{"result"})
	if registerer != nil {
		registerer.MustRegister(results)
	}
	k := &keeper{
		holds: h, slots: slots, now: now, life: life, every: min(keepEvery, life/lookParts),
		wake: make(chan struct{}, 1), quit: make(chan struct{}),
		marked: results.WithLabelValues("marked"), renews: results.WithLabelValues("renewed"),
		failed: results.WithLabelValues("failed"), void: results.WithLabelValues("void"),
	}
	k.calls.prev, k.calls.next = &k.calls, &k.calls
	return k
}

// keep takes charge of a call whose money is held from now on.
func (k *keeper) keep(l *Live) {
	c := &l.kept
	c.live = l
	c.leased = l.started
	if !l.resumed {
		c.renewed = l.started
	}
	k.mu.Lock()
	c.prev, c.next = k.calls.prev, &k.calls
	c.prev.next, c.next.prev = c, c
	k.mu.Unlock()
	k.start.Do(func() { k.work.Go(k.run) })
	if l.resumed { // who knows how much of the hold's life is left
		c.asked.Store(true)
		signal(k.wake)
	}
}

// leave forgets a call that is about to be settled. Repeating it is harmless.
func (k *keeper) leave(l *Live) {
	c := &l.kept
	k.mu.Lock()
	defer k.mu.Unlock()
	if c.next != nil {
		c.prev.next, c.next.prev = c.next, c.prev
		c.prev, c.next = nil, nil
	}
}

// sent tells of so many more bytes of an answer: the first of them, and then every so
// many, ask for a checkpoint. For the call's own goroutine; it never waits.
func (k *keeper) sent(l *Live, bytes int) {
	if bytes == 0 {
		return
	}
	first := l.kept.fresh == 0
	if l.kept.fresh += bytes; !first && l.kept.fresh <= checkpointBytes {
		return
	}
	l.kept.fresh = 1 // so that only the first of all is the first
	l.kept.asked.Store(true)
	signal(k.wake)
}

// close ends the keeper; calls that are left keep the life their holds have.
func (k *keeper) close() {
	k.halt.Do(func() { close(k.quit) })
	k.work.Wait()
}

func (k *keeper) run() {
	tick := time.NewTicker(k.every)
	defer tick.Stop()
	for {
		select {
		case <-k.quit:
			return
		case <-tick.C:
			k.look(true)
		case <-k.wake:
			pause := time.NewTimer(min(keepGap, k.every))
			select {
			case <-k.quit:
				pause.Stop()
				return
			case <-pause.C:
				k.look(false)
			}
		}
	}
}

// look checkpoints and renews what is due: of all calls, or of those that asked.
func (k *keeper) look(all bool) {
	k.mu.Lock()
	for c := k.calls.next; c != &k.calls; c = c.next {
		if all || c.asked.Load() {
			k.due = append(k.due, c)
		}
	}
	k.mu.Unlock()
	now := k.now()
	batch := make([]*keeping, 0, min(len(k.due), keepMost))
	for _, c := range k.due {
		if mark, due := k.mark(c, now); due {
			batch, k.marks = append(batch, c), append(k.marks, mark)
		}
		if len(batch) == keepMost {
			k.write(batch, now)
			batch, k.marks = batch[:0], k.marks[:0]
		}
	}
	k.write(batch, now)
	k.renewPlaces(now)
	clear(k.due) // they hold on to whole calls
	clear(k.marks)
	k.due, k.marks = k.due[:0], k.marks[:0]
}

// renewPlaces renews the places of concurrency limits that the calls looked at hold.
// What did not arrive is told again at the next look.
func (k *keeper) renewPlaces(now time.Time) {
	leases := k.leases[:0]
	for _, c := range k.due {
		if now.Sub(c.leased) >= k.life/lifeParts {
			leases = c.live.taken.leases(leases)
		}
	}
	k.leases = leases
	if len(leases) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepIn)
	defer cancel()
	if err := k.slots.Renew(ctx, leases, k.life); err != nil {
		k.failed.Inc()
		return
	}
	for _, c := range k.due {
		if now.Sub(c.leased) >= k.life/lifeParts {
			c.leased = now
		}
	}
	clear(leases)
}

// mark says what there is to be told of a call, if anything.
func (k *keeper) mark(c *keeping, now time.Time) (billing.Mark, bool) {
	c.asked.Store(false)
	if c.void {
		return billing.Mark{}, false
	}
	l := c.live
	m := billing.Mark{Life: k.life, RenewOnly: true, Settlement: billing.Settlement{
		HoldID: l.holdID, AccountID: l.account, KeyID: l.keyID, Held: l.held,
		Model: l.offer.ID, Deployment: l.deployment.Load().Name(), Source: l.source,
		Organisation: l.taken.organisation, OrganisationDay: l.taken.day,
	}}
	if l.transcript != nil {
		c.tokens = l.transcript.SentTokens()
	}
	if c.tokens <= c.told {
		return m, now.Sub(c.renewed) >= k.life/lifeParts
	}
	if c.prompt == 0 {
		c.prompt = l.meter.counter.Prompt(l.request, l.offer.Model)
	}
	m.RenewOnly = false
	units := l.request.Units
	m.Usage = billing.Usage{
		Prompt: c.prompt, Completion: c.tokens,
		Images: units.Images, AudioMS: units.AudioMS, Characters: units.Characters, Estimated: true,
	}
	m.Cost = l.offer.prices.Cost(m.Usage)
	m.Duration, m.FirstToken = now.Sub(l.started), time.Duration(l.firstToken.Load())
	return m, true
}

// write tells Redis. What did not arrive is told again at the next look.
func (k *keeper) write(batch []*keeping, now time.Time) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), keepIn)
	defer cancel()
	for i, err := range k.holds.Checkpoint(ctx, k.marks) {
		c := batch[i]
		switch {
		case errors.Is(err, billing.ErrHoldUnknown), errors.Is(err, billing.ErrHoldConflict):
			c.void = true // resolved a moment ago, or lost: its settlement sees to it
			k.void.Inc()
		case err != nil:
			k.failed.Inc()
		case k.marks[i].RenewOnly:
			c.renewed = now
			k.renews.Inc()
		default:
			c.renewed, c.told = now, c.tokens
			k.marked.Inc()
		}
	}
}
