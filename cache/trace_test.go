package cache

import (
	"cmp"
	"container/heap"
	"container/list"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"testing"
	"time"
)

// zipf is a trace of so many reads of so many keys, where the n-th most popular key is
// asked for 1/n as often as the first.
func zipf(reads, keys int, seed uint64) []int {
	sums := make([]float64, keys) // of the shares so far
	sum := 0.0
	for n := range sums {
		sum += 1 / float64(n+1)
		sums[n] = sum
	}
	random := rand.New(rand.NewPCG(seed, 1))
	trace := make([]int, reads)
	for i := range trace {
		trace[i] = sort.SearchFloat64s(sums, random.Float64()*sum)
	}
	return trace
}

// The rows of the table: how many reads of a trace are hits in a cache of that size.

// hitsOfOurs reads through level one of a Cache.
func hitsOfOurs(t *testing.T, trace []int, size int, policy Policy) int {
	t.Helper()
	c, err := New(Options{Policy: policy, MaxEntries: size})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}()
	numbers := NewSpace[int](c, SpaceOptions{Name: "numbers", TTL: time.Hour, L1TTL: time.Hour})
	misses := 0
	for _, key := range trace {
		got, err := numbers.Fetch(t.Context(), strconv.Itoa(key), func(context.Context) (int, error) {
			misses++ // loads of one reader follow one another
			return key, nil
		})
		if err != nil || got != key {
			t.Fatalf("%d for %d: %v", got, key, err)
		}
	}
	return len(trace) - misses
}

// hitsOfLRU is the textbook's: what was not asked for longest leaves.
func hitsOfLRU(trace []int, size int) (hits int) {
	order, at := list.New(), map[int]*list.Element{}
	for _, key := range trace {
		if element, held := at[key]; held {
			hits++
			order.MoveToFront(element)
			continue
		}
		if order.Len() == size {
			delete(at, order.Remove(order.Back()).(int))
		}
		at[key] = order.PushFront(key)
	}
	return hits
}

// hitsOfFixed holds the most popular keys from the beginning and never anything else:
// the best that can be done without knowing the future.
func hitsOfFixed(trace []int, size int) (hits int) {
	for _, key := range trace {
		if key < size {
			hits++
		}
	}
	return hits
}

// hitsOfClairvoyant knows the future: what is asked for last from now on leaves, which
// may be what has just come (Belady). No cache hits more often.
func hitsOfClairvoyant(trace []int, size int) (hits int) {
	next := make([]int, len(trace)) // when the key is asked for again
	last := map[int]int{}
	for i, key := range slices.Backward(trace) {
		next[i] = math.MaxInt
		if again, known := last[key]; known {
			next[i] = again
		}
		last[key] = i
	}
	held := map[int]int{} // key → when it is asked for next
	var order uses
	for i, key := range trace {
		if _, is := held[key]; is {
			hits++
		} else if len(held) == size {
			for held[order[0].key] != order[0].next { // of an earlier use
				heap.Pop(&order)
			}
			if order[0].next < next[i] {
				continue
			}
			delete(held, heap.Pop(&order).(use).key)
		}
		held[key] = next[i]
		heap.Push(&order, use{key, next[i]})
	}
	return hits
}

// uses is a heap of keys, the one that is used last on top.
type uses []use

type use struct{ key, next int }

func (u uses) Len() int           { return len(u) }
func (u uses) Less(i, j int) bool { return cmp.Less(u[j].next, u[i].next) }
func (u uses) Swap(i, j int)      { u[i], u[j] = u[j], u[i] }
func (u *uses) Push(x any)        { *u = append(*u, x.(use)) }
func (u *uses) Pop() any {
	old := *u
	x := old[len(old)-1]
	*u = old[:len(old)-1]
	return x
}

// hitRates is the table of a trace, and how often ours hits as a part of the best.
func hitRates(t *testing.T, reads, keys, size int) string {
	t.Helper()
	trace := zipf(reads, keys, 7)
	ours, lru := hitsOfOurs(t, trace, size, TinyLFU), hitsOfLRU(trace, size)
	ourLRU, ourTTL := hitsOfOurs(t, trace, size, LRU), hitsOfOurs(t, trace, size, TTL)
	fixed, best := hitsOfFixed(trace, size), hitsOfClairvoyant(trace, size)
	if ours <= lru || ours > best || lru > best || ourTTL > best || ours*100 < fixed*93 { // fixed began full
		t.Errorf("hits of %d: tinylfu %d, LRU %d, most popular fixed %d, clairvoyant %d", reads, ours, lru, fixed, best)
	}
	if off := math.Abs(float64(ourLRU-lru)) / float64(reads); off > 0.005 {
		t.Errorf("our LRU hits %d times, the textbook's %d", ourLRU, lru)
	}
	part := func(hits int) string { return fmt.Sprintf("%.4f", float64(hits)/float64(reads)) }
	return fmt.Sprintf("%d reads of %d keys by Zipf(1.0), %d entries: tinylfu %s, lru %s, ttl %s; textbook LRU %s, most popular fixed %s, clairvoyant optimum %s",
		reads, keys, size, part(ours), part(ourLRU), part(ourTTL), part(lru), part(fixed), part(best))
}

// TestHitRates: on a skewed trace the default policy hits more often than LRU, and
// hardly less than if the most popular keys were known.
func TestHitRates(t *testing.T) { t.Logf("hit rates: %s", hitRates(t, 30_000, 5000, 500)) }
