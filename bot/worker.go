package bot

import (
	"context"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	readBackoff     = 100 * time.Millisecond
	readBackoffMost = time.Second
	// readLinger is what more updates get to gather after some have been read. Nobody
	// feels it, and under load it saves most of the reads; the first update after a
	// silence does not wait.
	readLinger = 5 * time.Millisecond
)

// worker works on one lane of one shard for as long as this instance owns it.
type worker struct {
	d     *Dispatcher
	shard stream.Shard
	lane  lane
	group *stream.Group
	quiet *quiet

	ctx      context.Context // ends when nothing new may be started
	running  context.Context // ends when running handlers must stop
	handlers sync.WaitGroup
	acks     chan ack
	quit     chan struct{} // closed when no more acks come

	mu    sync.Mutex
	chats map[chatKey]*queue // waiting and running; none is empty
	open  map[*item]struct{} // read and not acknowledged; bounded by window
	room  chan struct{}      // of capacity 1: open has shrunk
}

// chatKey names what is handled one after another: in the ordered lane everything of a
// chat, in the urgent lane what is of one type besides. So a Stop waits for no button.
type chatKey struct {
	kind string
	key  int64
}

// item is an update on its way through a worker.
type item struct {
	entry    stream.Entry
	envelope envelope
	kind     string // envelope.kind, or kindUnknown
	done     bool   // handled or given up; under worker.mu
	counted  bool   // a start was entered in tries
	deferred bool   // it is of another lane, and waits its turn in this one
}

// update returns the item's update, not decoded yet.
func (i *item) update() *Update {
	return &Update{ID: i.envelope.id, Raw: []byte(i.entry.Fields[fieldRaw]), Deferred: i.deferred}
}

// newWorker returns the worker that starts nothing after ctx and stops what runs when
// running ends.
func newWorker(ctx, running context.Context, d *Dispatcher, s stream.Shard, l lane) *worker {
	return &worker{
		d: d, shard: s, lane: l, quiet: newQuiet(logEvery), ctx: ctx, running: running,
		group: stream.NewGroup(stream.GroupOptions{
			Redis: d.o.Redis, Blocking: d.o.Blocking, Stream: s.Key(l.String()), Fence: stream.FenceFrom(ctx),
		}),
		acks: make(chan ack, window), quit: make(chan struct{}),
		chats: make(map[chatKey]*queue), open: make(map[*item]struct{}), room: make(chan struct{}, 1),
	}
}

// read brings entries in until the worker's context ends.
func (w *worker) read() {
	backoff := readBackoff
	for {
		room := w.waitForRoom()
		if room == 0 {
			return
		}
		entries, err := w.group.Read(w.ctx, room)
		for _, e := range entries {
			w.admit(e)
		}
		if err == nil {
			backoff = readBackoff
			if len(entries) > 0 && !sleep(w.ctx, readLinger) {
				return
			}
			continue
		}
		if w.ctx.Err() == nil && w.quiet.may() {
			w.d.o.Log.Warn("inbox cannot be read", "shard", w.shard.String(), "lane", w.lane.String(), "error", err)
		}
		if !sleep(w.ctx, backoff) {
			return
		}
		backoff = min(2*backoff, readBackoffMost)
	}
}

// waitForRoom returns how many entries may be read, or 0 when the context has ended.
func (w *worker) waitForRoom() int {
	for {
		if w.ctx.Err() != nil {
			return 0
		}
		w.mu.Lock()
		room := window - len(w.open)
		w.mu.Unlock()
		if room > 0 {
			return room
		}
		select {
		case <-w.ctx.Done():
		case <-w.room:
		}
	}
}

// admit puts an entry at the end of its chat's queue and sees that someone serves it.
func (w *worker) admit(e stream.Entry) {
	i := &item{entry: e}
	var err error
	if i.envelope, err = open(e.Fields[fieldRaw]); err == nil {
		i.kind = knownKind(i.envelope.kind)
		i.deferred = w.lane == ordered && i.envelope.lane != ordered
	} else {
		i.kind = kindUnreadable
	}
	if e.Redelivered {
		w.d.metrics.redelivered.Inc()
	}
	key := chatKey{key: i.envelope.key}
	if w.lane != ordered {
		key.kind = i.kind
	}
	if i.envelope.paid {
		key.kind = "payment" // so that a Stop does not wait for the books either
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[i] = struct{}{}
	if q := w.chats[key]; q != nil {
		q.items = append(q.items, i)
		q.ring()
		return
	}
	q := newQueue()
	q.items = append(q.items, i)
	w.chats[key] = q
	w.handlers.Go(func() { w.serve(key, q) })
}

// serve handles the queue of one chat until it is empty or nothing new may be started.
func (w *worker) serve(key chatKey, q *queue) {
	w.mu.Lock()
	i := q.items[0]
	w.mu.Unlock()
	for i != nil {
		if !w.see(q, i) {
			return // the rest stays pending, in order, for the next owner
		}
		i = w.advance(key, q)
	}
}

// advance leaves out what has come to its end and returns what is next in the queue, or
// nil and ends the queue.
func (w *worker) advance(key chatKey, q *queue) *item {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(q.items) > 0 && q.items[0].done {
		q.items[0] = nil
		q.items = q.items[1:]
	}
	if len(q.items) > 0 {
		return q.items[0]
	}
	delete(w.chats, key)
	return nil
}

// oldest returns the age of the oldest item that is not done.
func (w *worker) oldest(now time.Time) time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest time.Duration
	for i := range w.open {
		if !i.done {
			oldest = max(oldest, i.entry.AgeAt(now))
		}
	}
	return oldest
}
