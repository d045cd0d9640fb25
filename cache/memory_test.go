package cache

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func policies(fatal func(...any), most int) map[Policy]*memory {
	all := map[Policy]*memory{}
	for _, p := range []Policy{TinyLFU, LRU, TTL} {
		m, err := newMemory(Options{Policy: p, MaxEntries: most, Log: slog.New(slog.DiscardHandler)}, &newMetrics().tally)
		if err != nil {
			fatal(err)
		}
		all[p] = m
	}
	return all
}

// TestMemoryModel drives each policy beside a map: what is there is what was saved
// last, never more than the bound, and the bytes are the sum of what is there.
func TestMemoryModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const most = 4
		for policy, m := range policies(t.Fatal, most) {
			model := map[place]*entry{}
			for range rapid.IntRange(1, 60).Draw(t, "steps") {
				at := place{key: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "key")}
				switch rapid.IntRange(0, 5).Draw(t, "step") {
				case 0:
					m.drop(at)
					delete(model, at)
				case 1:
					m.dropIf(func(p place, _ *entry) bool { return p.key < at.key })
					for p := range model {
						if p.key < at.key {
							delete(model, p)
						}
					}
				default:
					e := &entry{bytes: rapid.IntRange(0, 9).Draw(t, "bytes"), leaves: time.Duration(rapid.IntRange(0, 9).Draw(t, "leaves"))}
					if !m.keep(at, e, m.generation(at)) {
						t.Fatal("not kept")
					}
					model[at] = e
				}
				var bytes int64
				n := 0
				for p := range model {
					if e, found := m.store.load(p); found {
						if e != model[p] {
							t.Fatalf("%s: %v holds what was replaced", policy, p)
						}
						n++
						bytes += int64(e.bytes)
					}
				}
				if n != m.store.size() || n > most || bytes != m.count.bytes.Load() {
					t.Fatalf("%s: %d entries of %d bytes; it says %d, %d; at most %d", policy, n, bytes, m.store.size(), m.count.bytes.Load(), most)
				}
			}
		}
	})
}

// TestMemoryPolicies: what leaves is what the policy says.
func TestMemoryPolicies(t *testing.T) {
	for policy, m := range policies(t.Fatal, 3) {
		save := func(key string, leaves time.Duration) {
			at := place{key: key}
			m.keep(at, &entry{leaves: leaves}, m.generation(at))
		}
		save("a", 30)
		save("b", 10)
		save("c", 20)
		for range 20 {
			m.store.load(place{key: "a"})
			m.store.load(place{key: "b"})
		}
		save("d", 40)
		want := map[Policy]string{LRU: "c", TTL: "b"}[policy]
		if _, found := m.store.load(place{key: want}); found && want != "" {
			t.Errorf("%s: %s is still there", policy, want)
		}
		if n := m.store.size(); n != 3 {
			t.Errorf("%s: %d entries, want 3", policy, n)
		}
		if policy == TinyLFU {
			for _, key := range []string{"a", "b"} { // asked for often
				if _, found := m.store.load(place{key: key}); !found {
					t.Errorf("%s: %s has left", policy, key)
				}
			}
		}
	}
}

// TestMemoryGeneration: what was read before an invalidation is not kept after it,
// whatever races.
func TestMemoryGeneration(t *testing.T) {
	for policy, m := range policies(t.Fatal, 1000) {
		at := place{key: "k"}
		generation := m.generation(at)
		m.drop(at)
		if m.keep(at, &entry{}, generation) {
			t.Errorf("%s: kept over an invalidation of the key", policy)
		}
		generation = m.generation(at)
		m.dropIf(func(place, *entry) bool { return false })
		if m.keep(at, &entry{}, generation) {
			t.Errorf("%s: kept over an invalidation of many", policy)
		}
		generation = m.generation(at)
		m.replace(at, &entry{}, generation)
		if _, found := m.store.load(at); !found || m.keep(at, &entry{}, generation) {
			t.Errorf("%s: a newer value did not stand", policy)
		}
		m.drop(at)
		m.replace(at, &entry{}, generation)
		if _, found := m.store.load(at); found {
			t.Errorf("%s: replaced over an invalidation", policy)
		}
		race(t, policy, m)
	}
}

// race has keepers carry the number of the last invalidation they saw; after one has
// ended nobody may find an older number.
func race(t *testing.T, policy Policy, m *memory) {
	var truth atomic.Int64
	var wg sync.WaitGroup
	stop := make(chan struct{})
	at := place{key: "race"}
	for range 4 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				generation := m.generation(at)
				m.keep(at, &entry{value: truth.Load()}, generation)
			}
		})
	}
	for i := int64(1); i <= 2000; i++ {
		truth.Store(i)
		if i%10 == 0 {
			m.dropIf(func(p place, _ *entry) bool { return p == at })
		} else {
			m.drop(at)
		}
		if e, found := m.store.load(at); found && e.value.(int64) < i {
			t.Errorf("%s: found %v after the invalidation of %d", policy, e.value, i)
			break
		}
	}
	close(stop)
	wg.Wait()
}

// TestBacklog is bounded, and forgets nothing by that.
func TestBacklog(t *testing.T) {
	b := newBacklog(10)
	for i := range 100 {
		b.add(order{space: fmt.Sprint("s", i%2), kind: oneKey, text: fmt.Sprint(i)})
		if n := b.size.Load(); n > 12 {
			t.Fatalf("%d orders wait", n)
		}
		for j := range i + 1 {
			if !b.holds(fmt.Sprint("s", j%2), fmt.Sprint(j)) {
				t.Fatalf("order %d was forgotten after %d", j, i)
			}
		}
	}
	orders, at := b.waiting()
	o := orders[0]
	b.add(o)
	b.done(o, at[o])
	if !b.holds(o.space, "anything") {
		t.Error("an order that was added again was done with the first")
	}
	_, at = b.waiting()
	for _, o := range orders {
		b.done(o, at[o])
	}
	if b.holds("s0", "0") || b.holds("s1", "1") || b.size.Load() != 0 {
		t.Error("something still waits")
	}
}
