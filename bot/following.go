package bot

import "time"

// takenMost bounds the updates that are taken into one other's handling.
const takenMost = 64

// queue is what of one chat is waiting and running, in order. Its fields are under
// worker.mu, except that waiting may be received from at any time.
type queue struct {
	items []*item
	// handling tells that the first item is with the handler; then the taken items that
	// follow it are, too.
	handling bool
	taken    int
	waiting  chan struct{} // of capacity 1: an item has come behind those with the handler
}

func newQueue() *queue { return &queue{waiting: make(chan struct{}, 1)} }

// ring says that something waits.
func (q *queue) ring() {
	select {
	case q.waiting <- struct{}{}:
	default:
	}
}

// following is an update's view of what waits behind it while one try of its handler
// runs.
type following struct {
	worker *worker
	queue  *queue
}

// Waiting returns a channel that is signalled when one more update waits behind this one
// in its chat, and at once where one does already. Several may come with one signal, and
// a signal may come when all have been taken. Where nothing can follow, as for an update
// that was made by hand, the channel is nil.
func (u *Update) Waiting() <-chan struct{} {
	if u.following == nil {
		return nil
	}
	return u.following.queue.waiting
}

// Take takes updates that wait behind this one in its chat into its handling, in order,
// as long as want says so of the next: at most 64 in all. want must be quick.
//
// What was taken is acknowledged together with this update, and only then. Where the
// handler fails, all of it waits again behind this update, which is tried again; where
// this update is given up, the others are handled by themselves. After a crash they come
// again, in order. Take is for one goroutine at a time, until the handler returns; it
// takes nothing once the shard is being handed over.
func (u *Update) Take(want func(*Update) bool) []*Update {
	var taken []*Update
	for u.following != nil {
		next := u.following.next()
		if next == nil {
			break
		}
		follower := next.update()
		if decode(follower) != nil || !want(follower) || !u.following.take(next) {
			break
		}
		taken = append(taken, follower)
	}
	return taken
}

// next returns the item that Take would take next, nil if there is none to be had.
func (f *following) next() *item {
	w, q := f.worker, f.queue
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ctx.Err() != nil || !q.handling || q.taken >= takenMost || len(q.items) <= 1+q.taken {
		return nil
	}
	i := q.items[1+q.taken]
	if i.kind == kindUnreadable || i.kind == kindUnknown || isStaleAt(i, time.Now()) {
		return nil // it has an end of its own
	}
	return i
}

// take enters that the item is handled with the first one.
func (f *following) take(i *item) bool {
	w, q := f.worker, f.queue
	w.mu.Lock()
	defer w.mu.Unlock()
	if !q.handling || len(q.items) <= 1+q.taken || q.items[1+q.taken] != i {
		return false
	}
	q.taken++
	return true
}

// begin gives the queue's first item to a handler; nothing is taken yet.
func (w *worker) begin(q *queue, u *Update) {
	w.mu.Lock()
	defer w.mu.Unlock()
	q.handling, q.taken = true, 0
	u.following = &following{worker: w, queue: q}
	select {
	case <-q.waiting: // it may be about what was taken by an earlier try
	default:
	}
	if len(q.items) > 1 {
		q.ring()
	}
}

// end takes the queue's first item back from a handler and returns it with all that was
// taken. After it nothing can be taken.
func (w *worker) end(q *queue) []*item {
	w.mu.Lock()
	defer w.mu.Unlock()
	together := append([]*item(nil), q.items[:1+q.taken]...)
	q.handling, q.taken = false, 0
	return together
}
