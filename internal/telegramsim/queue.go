package telegramsim

import (
	"container/heap"
	"time"
)

// queue is the updates of one ordering key. Only its first update may be on the way.
type queue struct {
	key     int64
	updates []*update
	index   int // in the heap; -1 while its first update is on the way
}

func (q *queue) wakeup() time.Time { return q.updates[0].wakeup }

// queueHeap orders the queues that wait by when their first update may be sent.
type queueHeap []*queue

func (h queueHeap) Len() int { return len(h) }

func (h queueHeap) Less(i, j int) bool {
	a, b := h[i].wakeup(), h[j].wakeup()
	if a.Equal(b) {
		return h[i].key < h[j].key
	}
	return a.Before(b)
}

func (h queueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i, j
}

// Push is heap.Interface's.
func (h *queueHeap) Push(x any) {
	q := x.(*queue)
	q.index = len(*h)
	*h = append(*h, q)
}

// Pop is heap.Interface's.
func (h *queueHeap) Pop() any {
	old := *h
	q := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	q.index = -1
	return q
}

// queues are the loaded updates, by key.
type queues struct {
	byKey   map[int64]*queue
	waiting queueHeap
}

func newQueues() *queues { return &queues{byKey: map[int64]*queue{}} }

func (qs *queues) len() int { return len(qs.byKey) }

// add appends an update to its queue.
func (qs *queues) add(u *update) {
	q := qs.byKey[u.Queue]
	if q == nil {
		q = &queue{key: u.Queue, index: -1}
		qs.byKey[u.Queue] = q
		q.updates = append(q.updates, u)
		heap.Push(&qs.waiting, q)
		return
	}
	q.updates = append(q.updates, u)
}

// next is the waiting queue whose first update is due soonest, or nil.
func (qs *queues) next() *queue {
	if len(qs.waiting) == 0 {
		return nil
	}
	return qs.waiting[0]
}

// take puts the first update of a waiting queue on the way.
func (qs *queues) take(q *queue) *update {
	heap.Remove(&qs.waiting, q.index)
	return q.updates[0]
}

// back returns an update that failed: its queue waits for its wakeup.
func (qs *queues) back(u *update) {
	heap.Push(&qs.waiting, qs.byKey[u.Queue])
}

// drop forgets the first update of a queue that is on the way; the rest of the queue waits.
func (qs *queues) drop(u *update) {
	q := qs.byKey[u.Queue]
	q.updates[0] = nil
	q.updates = q.updates[1:]
	if len(q.updates) == 0 {
		delete(qs.byKey, q.key)
		return
	}
	heap.Push(&qs.waiting, q)
}
