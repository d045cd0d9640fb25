//go:build prove

package main

import (
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv/processes"
)

const (
	proveSockets  = 5000
	proveEvents   = 500 // a second
	proveFor      = 20 * time.Second
	socketsMemory = 300 << 20 // bytes, of the whole process
)

// audience is people who listen, each for themselves.
type audience struct {
	s        *site
	accounts []int64
	members  map[int64]*member
	heard    atomic.Int64
	wrong    atomic.Int64
}

// member is one of them.
type member struct {
	listener *listener
	mu       sync.Mutex
	settled  []time.Time // calls that it has not heard of, the oldest first
	took     []time.Duration
}

// TestProveSockets opens five thousand sockets, each of another account, lets five hundred
// calls a second be settled, and measures what the server needs and how long it takes
// until each call is heard of. All are heard of, once and by their own account.
func TestProveSockets(t *testing.T) {
	s := newSiteOf(t, plainBinary)
	p := s.serve()
	empty := resident(t, p)
	c := &audience{s: s, accounts: make([]int64, proveSockets), members: map[int64]*member{}}
	c.gather()
	full := resident(t, p)
	t.Logf("%d sockets: %d MB, of which %d MB were there without any; %d bytes a socket",
		proveSockets, full>>20, empty>>20, (full-empty)/proveSockets)
	if full > socketsMemory {
		t.Errorf("the process has %d MB", full>>20)
	}
	sent := c.spend()
	s.until(time.Minute, "all is heard of", func() bool { return c.heard.Load() >= sent })
	var took []time.Duration
	for _, m := range c.members {
		took = append(took, m.took...)
	}
	slices.Sort(took)
	n := len(took)
	t.Logf("%d events in %s, %d a second asked for: heard of after p50 %s, p99 %s, at most %s; %d MB then",
		n, proveFor, proveEvents, took[n/2].Round(time.Millisecond), took[n*99/100].Round(time.Millisecond), took[n-1].Round(time.Millisecond), resident(t, p)>>20)
	if wrong := c.wrong.Load(); wrong > 0 || int64(n) != sent {
		t.Errorf("%d events for %d calls, %d of them for nobody", n, sent, wrong)
	}
}

// gather lets all of them open the Mini App and listen.
func (c *audience) gather() {
	c.s.t.Helper()
	var mu sync.Mutex
	c.each(func(i int) {
		token, account := c.s.session(int64(100_000 + i))
		m := &member{listener: c.s.hearLive(c.s.url, token, "")}
		m.listener.until("the balance", func(e liveEvent) bool { return e.Type == "balance" })
		c.accounts[i] = account
		mu.Lock()
		c.members[account] = m
		mu.Unlock()
	})
	for _, m := range c.members {
		go c.hear(m)
	}
}

// each does something for each of them, some at a time.
func (c *audience) each(do func(i int)) {
	var work sync.WaitGroup
	next := atomic.Int64{}
	for range 16 {
		work.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= proveSockets {
					return
				}
				do(i)
			}
		})
	}
	work.Wait()
}

// hear measures until the socket ends.
func (c *audience) hear(m *member) {
	for {
		events, _, err := m.listener.frame()
		now := time.Now()
		if err != nil {
			return
		}
		for _, e := range events {
			if e.Type != "usage" {
				continue
			}
			m.mu.Lock()
			if len(m.settled) == 0 {
				c.wrong.Add(1)
			} else {
				m.took = append(m.took, now.Sub(m.settled[0]))
				m.settled = m.settled[1:]
			}
			m.mu.Unlock()
			c.heard.Add(1)
		}
	}
}

// spend settles calls of accounts chosen by chance, at a steady pace, and says how many.
func (c *audience) spend() (sent int64) {
	c.s.t.Helper()
	desk, err := c.s.ownDesk()
	if err != nil {
		c.s.t.Fatal(err)
	}
	tick := time.NewTicker(time.Second / proveEvents)
	defer tick.Stop()
	var work sync.WaitGroup
	var failed atomic.Int64
	for end := time.Now().Add(proveFor); time.Now().Before(end); <-tick.C {
		account := c.accounts[rand.IntN(len(c.accounts))]
		sent++
		id := "sockets-" + strconv.FormatInt(sent, 10)
		work.Go(func() {
			if err := c.call(desk, account, id); err != nil {
				failed.Add(1)
			}
		})
	}
	work.Wait()
	if n := failed.Load(); n > 0 {
		c.s.t.Errorf("%d calls failed", n)
	}
	return sent - failed.Load()
}

func (c *audience) call(desk *billing.Desk, account int64, id string) error {
	ctx := c.s.t.Context()
	_, err := desk.Holds.Reserve(ctx, billing.Reservation{HoldID: id, AccountID: account, Want: 1000, Least: 1000, Life: time.Minute})
	if err != nil {
		return err
	}
	m := c.members[account]
	m.mu.Lock()
	m.settled = append(m.settled, time.Now())
	m.mu.Unlock()
	_, err = desk.Holds.Settle(ctx, billing.Settlement{HoldID: id, AccountID: account, Cost: 1000, Model: "echo", Deployment: "sim", Source: billing.SourceAPI})
	return err
}

// resident is what a process has of the memory, in bytes.
func resident(t *testing.T, p *process) int64 {
	t.Helper()
	bytes, err := processes.Resident(p.cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return bytes
}
