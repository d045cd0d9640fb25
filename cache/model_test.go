package cache

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestModel drives three instances on one Redis with random reads, writes of the
// source, invalidations of every kind, slow loads, lost messages, lost data and clocks
// of memory that move on. The source counts versions of each key. The claim: a read
// gives at least the version that the source had when the last invalidation of the key
// ended, where the reader may still have the one before for L1TTL unless it made the
// invalidation itself; and a slow load brings nothing older back into Redis.
func TestModel(t *testing.T) {
	client := testenv.Redis(t)
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, rt, client)
		defer m.close()
		rt.Repeat(map[string]func(*rapid.T){
			"read":       m.read,
			"read again": m.read,
			"write":      m.write,
			"invalidate": m.invalidate,
			"put":        m.put,
			"begin slow": m.beginSlow,
			"end slow":   m.endSlow,
			"hear":       m.hear,
			"lose":       m.lose,
			"advance":    m.advance,
			"wipe":       m.wipe,
		})
	})
}

const (
	modelL1TTL = 5 * time.Second
	modelKeys  = 4
)

// machine is the model: what the source has, and what each instance must at least give.
type machine struct {
	t         *testing.T
	client    *redis.Client
	now       *clock
	instances []*instance
	inbox     [][]string // messages that an instance has not heard yet
	truth     [modelKeys]int

	floors [][]bound        // by instance: what was promised it later
	own    [][modelKeys]int // by instance: least version since its own invalidation
	slow   []*slowLoad
}

// bound is an invalidation as another instance sees it: from then on nothing older than
// version of key. lost: its message was, and brings it into force no earlier.
type bound struct {
	from         time.Duration
	key, version int
	lost         bool
}

// slowLoad is a load that has read the source and does not end yet.
type slowLoad struct {
	release chan struct{}
	done    chan struct{}
}

func newModel(t *testing.T, rt *rapid.T, client *redis.Client) *machine {
	client.FlushAll(context.Background())
	m := &machine{t: t, client: client, now: newClock()}
	for n := range 3 {
		o := Options{Redis: client, RedisPatience: patience, LockWait: time.Millisecond, Now: m.now.Now, MaxEntries: 100}
		o.Policy = []Policy{TinyLFU, LRU, TTL}[n]
		c, err := New(o)
		if err != nil {
			rt.Fatal(err)
		}
		m.instances = append(m.instances, &instance{Cache: c, things: NewSpace[thing](c, SpaceOptions{
			Name: "things", TTL: time.Hour, L1TTL: modelL1TTL,
			Tags: func(key string) []string { return []string{"tag " + key, "all"} },
		})})
		m.inbox = append(m.inbox, nil)
		m.floors = append(m.floors, nil)
		m.own = append(m.own, [modelKeys]int{})
	}
	return m
}

func (m *machine) close() {
	for _, s := range m.slow {
		close(s.release)
		<-s.done
	}
	for _, i := range m.instances {
		if err := i.Close(); err != nil {
			m.t.Error(err)
		}
	}
}

func (m *machine) draw(rt *rapid.T) (instance, key int) {
	return rapid.IntRange(0, len(m.instances)-1).Draw(rt, "instance"), rapid.IntRange(0, modelKeys-1).Draw(rt, "key")
}

// least is what an instance may give of a key at the least.
func (m *machine) least(instance, key int) int {
	least := m.own[instance][key]
	for _, b := range m.floors[instance] {
		if b.key == key && m.instances[0].now() >= b.from {
			least = max(least, b.version)
		}
	}
	return least
}

func (m *machine) read(rt *rapid.T) {
	n, key := m.draw(rt)
	least := m.least(n, key)
	v, err := m.instances[n].things.Fetch(context.Background(), fmt.Sprint(key), func(context.Context) (thing, error) {
		return thing{Number: m.truth[key]}, nil
	})
	if err != nil {
		rt.Fatal(err)
	}
	if v.Number < least || v.Number > m.truth[key] {
		rt.Fatalf("instance %d gave version %d of key %d; the least is %d, the newest %d", n, v.Number, key, least, m.truth[key])
	}
}

func (m *machine) write(rt *rapid.T) {
	_, key := m.draw(rt)
	m.truth[key]++
}

// promise records that keys were invalidated by an instance.
func (m *machine) promise(by int, keys []int, text string, kind kind) {
	for n := range m.instances {
		for _, key := range keys {
			if n == by {
				m.own[n][key] = m.truth[key]
			} else {
				m.floors[n] = append(m.floors[n], bound{from: m.instances[0].now() + modelL1TTL, key: key, version: m.truth[key]})
			}
		}
		if n != by {
			m.inbox[n] = append(m.inbox[n], message{from: m.instances[by].id, order: order{space: "things", kind: kind, text: text}}.String())
		}
	}
}

func (m *machine) invalidate(rt *rapid.T) {
	by, key := m.draw(rt)
	s, text, keys := m.instances[by].things, fmt.Sprint(key), []int{key}
	all := []int{0, 1, 2, 3}
	var err error
	kind := oneKey
	switch rapid.IntRange(0, 4).Draw(rt, "kind") {
	case 0:
		kind, text = oneTag, "tag "+text
		err = s.InvalidateTag(context.Background(), text)
	case 1:
		kind, text, keys = oneTag, "all", all
		err = s.InvalidateTag(context.Background(), text)
	case 2:
		kind, text, keys = wildcard, "?", all
		err = s.InvalidatePattern(context.Background(), text)
	default:
		err = s.Invalidate(context.Background(), text)
	}
	if err != nil {
		rt.Fatal(err)
	}
	m.promise(by, keys, text, kind)
}

func (m *machine) put(rt *rapid.T) {
	by, key := m.draw(rt)
	m.truth[key]++
	if err := m.instances[by].things.Put(context.Background(), fmt.Sprint(key), thing{Number: m.truth[key]}); err != nil {
		rt.Fatal(err)
	}
	m.promise(by, []int{key}, fmt.Sprint(key), oneKey)
}

// beginSlow has a reader's load read the source and hang. It is not there to be joined:
// it goes around the flights, as if its process were another.
func (m *machine) beginSlow(rt *rapid.T) {
	if len(m.slow) >= 3 {
		return
	}
	n, key := m.draw(rt)
	i, s := m.instances[n], &slowLoad{release: make(chan struct{}), done: make(chan struct{})}
	a := aim{place: i.things.s.at(strings.Clone(fmt.Sprint(key))), generation: i.memory.generation(i.things.s.at(fmt.Sprint(key)))}
	entered, version := make(chan struct{}), m.truth[key]
	go func() {
		defer close(s.done)
		first := true
		_, err := i.things.s.read(context.Background(), a, func(context.Context) (any, error) {
			if !first {
				return nil, errors.New("once is enough")
			}
			first = false
			close(entered)
			<-s.release
			return thing{Number: version}, nil
		})
		_ = err // its reader is none of the model's
	}()
	select {
	case <-entered:
		m.slow = append(m.slow, s)
	case <-s.done: // it found a value
	}
}

func (m *machine) endSlow(rt *rapid.T) {
	if len(m.slow) == 0 {
		return
	}
	n := rapid.IntRange(0, len(m.slow)-1).Draw(rt, "which")
	s := m.slow[n]
	m.slow = append(m.slow[:n:n], m.slow[n+1:]...)
	close(s.release)
	<-s.done
}

// hear brings an instance all its messages; from then on they are in force for it.
func (m *machine) hear(rt *rapid.T) {
	n, _ := m.draw(rt)
	for _, text := range m.inbox[n] {
		m.instances[n].take(text)
	}
	m.inbox[n] = nil
	for at := range m.floors[n] {
		if !m.floors[n][at].lost {
			m.floors[n][at].from = 0
		}
	}
}

// lose has an instance miss its messages: it subscribes anew, as Run does then.
func (m *machine) lose(rt *rapid.T) {
	n, _ := m.draw(rt)
	m.inbox[n] = nil
	heard := rapid.Bool().Draw(rt, "heard of it")
	if heard {
		m.instances[n].resync()
	}
	for at := range m.floors[n] {
		if heard {
			m.floors[n][at].from = 0
		} else if m.floors[n][at].from > 0 {
			m.floors[n][at].lost = true
		}
	}
}

func (m *machine) advance(rt *rapid.T) {
	m.now.Advance(time.Duration(rapid.Int64Range(0, int64(modelL1TTL)).Draw(rt, "step")))
}

// wipe has Redis lose all its data.
func (m *machine) wipe(*rapid.T) { m.client.FlushAll(context.Background()) }
