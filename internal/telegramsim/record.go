package telegramsim

import (
	"context"
	"slices"
	"sync"
	"time"
)

// Call is one call of the Bot API by the bot, in the order of its end.
type Call struct {
	Seq         int64     // from 1
	At          time.Time // when it came
	Method      string    // as the Bot API spells it
	Chat        int64     // chat_id as a number, or that of the query answered or the person charged; 0 for none
	Params      Params
	Status      int      // 200, or the error_code
	Description string   // of a refusal
	Message     *Message // the message sent or edited, where there is one
}

// OK tells whether the call was carried out.
func (c Call) OK() bool { return c.Status == 200 }

// Ack is an update that the bot acknowledged: 2xx by webhook, or an offset above it.
type Ack struct {
	UpdateID int64
	Kind     string
	Object   int64         // the chat, or the user for queries
	Queued   time.Time     // when it came into being
	At       time.Time     // of the acknowledgement
	Took     time.Duration // the acknowledged attempt alone
	Failures int           // attempts before it
}

// recorder keeps what happened, up to a limit, the newest.
type recorder struct {
	mu         sync.Mutex
	limit      int
	seq        int64
	calls      []Call
	acks       []Ack
	acked      map[int64]struct{} // of acks
	ackCount   int
	violations []Violation
	failures   int64
	duplicates int64
	lostIDs    []int64
	watchers   map[int]func(Call)
	nextWatch  int
	changed    chan struct{} // closed and replaced when something is added
}

func newRecorder(limit int) *recorder {
	return &recorder{limit: limit, acked: map[int64]struct{}{}, watchers: map[int]func(Call){}, changed: make(chan struct{})}
}

func (r *recorder) notify() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// keep appends and drops the oldest eighth when over the limit, so that dropping is rare.
func keep[T any](list []T, item T, limit int) []T {
	if len(list) >= limit {
		list = slices.Delete(list, 0, max(limit/8, 1))
	}
	return append(list, item)
}

func (r *recorder) called(c Call, violation error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	c.Seq = r.seq
	r.calls = keep(r.calls, c, r.limit)
	if violation != nil {
		r.violations = keep(r.violations, Violation{Call: c, Err: violation}, r.limit)
	}
	for _, see := range r.watchers {
		see(c)
	}
	r.notify()
}

func (r *recorder) acknowledged(u *update, sent time.Time, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, again := r.acked[u.ID]; again {
		r.duplicates++
		return
	}
	if len(r.acks) >= r.limit {
		for _, old := range r.acks[:max(r.limit/8, 1)] { // keep drops them
			delete(r.acked, old.UpdateID)
		}
	}
	r.acked[u.ID] = struct{}{}
	r.ackCount++
	r.acks = keep(r.acks, Ack{
		UpdateID: u.ID, Kind: u.Kind, Object: u.Chat, Queued: u.Created, At: sent.Add(took), Took: took, Failures: u.failures,
	}, r.limit)
	r.notify()
}

func (r *recorder) attemptFailed(*update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures++
}

func (r *recorder) lost(u *update) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lostIDs = keep(r.lostIDs, u.ID, r.limit)
	r.notify()
}

// Violation is a call that does not follow the Bot API's parameters. The call was still carried out or
// refused as Telegram would, which ignores what it does not know.
type Violation struct {
	Call Call
	Err  error
}

// Violations are the calls that used unknown parameters, missed required ones or gave wrong types.
func (s *Server) Violations() []Violation {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return slices.Clone(s.record.violations)
}

// Calls are all recorded calls in order, refused ones too.
func (s *Server) Calls() []Call {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return slices.Clone(s.record.calls)
}

// Watch shows every call from now on, refused ones too, one after another in order, until the function returned is
// called. see must be quick and must not call the Server.
func (s *Server) Watch(see func(Call)) (stop func()) {
	r := s.record
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nextWatch++
	id := r.nextWatch
	r.watchers[id] = see
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.watchers, id)
	}
}

// Sent are the calls about one chat that were carried out, in order: messages, edits, drafts, actions…
func (s *Server) Sent(chat int64) []Call {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	var calls []Call
	for _, c := range s.record.calls {
		if c.Chat == chat && c.OK() {
			calls = append(calls, c)
		}
	}
	return calls
}

// Acked are the acknowledged updates in order of acknowledgement, each once.
func (s *Server) Acked() []Ack {
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return slices.Clone(s.record.acks)
}

// Deliveries counts what webhook delivery went through.
type Deliveries struct {
	Acknowledged int
	Failures     int64   // attempts that failed, each followed by a retry or a loss
	Duplicates   int64   // acknowledgements of what was acknowledged before
	Lost         []int64 // updates given up because their life was over
	Pending      int
}

// Deliveries counts so far.
func (s *Server) Deliveries() Deliveries {
	pending := s.updates.len()
	s.record.mu.Lock()
	defer s.record.mu.Unlock()
	return Deliveries{
		Acknowledged: s.record.ackCount, Failures: s.record.failures, Duplicates: s.record.duplicates,
		Lost: slices.Clone(s.record.lostIDs), Pending: pending,
	}
}

// WaitSent waits for a carried-out call about a chat that satisfies want, past ones included.
func (s *Server) WaitSent(ctx context.Context, chat int64, want func(Call) bool) (Call, error) {
	return s.WaitCall(ctx, func(c Call) bool { return c.Chat == chat && c.OK() && want(c) })
}

// WaitCall waits for any call that satisfies want, past and refused ones included.
func (s *Server) WaitCall(ctx context.Context, want func(Call) bool) (Call, error) {
	r := s.record
	for seen := int64(0); ; {
		r.mu.Lock()
		calls, changed := r.calls, r.changed
		from, _ := slices.BinarySearchFunc(calls, seen+1, func(c Call, seq int64) int { return int(c.Seq - seq) })
		calls = slices.Clone(calls[from:])
		r.mu.Unlock()
		for _, c := range calls {
			if want(c) {
				return c, nil
			}
			seen = c.Seq
		}
		select {
		case <-ctx.Done():
			return Call{}, context.Cause(ctx)
		case <-changed:
		}
	}
}

// WaitAcked waits until n updates are acknowledged in all.
func (s *Server) WaitAcked(ctx context.Context, n int) error {
	r := s.record
	for {
		r.mu.Lock()
		have, changed := r.ackCount, r.changed
		r.mu.Unlock()
		if have >= n {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-changed:
		}
	}
}
