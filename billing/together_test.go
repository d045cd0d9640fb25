package billing

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// perShard makes an account with money on each shard.
func (r *rig) perShard(nano int64) [stream.Shards]int64 {
	r.t.Helper()
	var accounts [stream.Shards]int64
	for range stream.Shards {
		account := r.account(nano)
		accounts[shardOf(account)] = account
	}
	return accounts
}

// together does all of it at once: nobody has the turn until all wait for it.
func (r *rig) together(t *testing.T, work func(s stream.Shard) error) (results [stream.Shards]error) {
	t.Helper()
	g := &r.engine.gathering
	g.mu.Lock()
	g.busy = true
	g.mu.Unlock()
	var all sync.WaitGroup
	for s := range stream.Shard(stream.Shards) {
		all.Go(func() { results[s] = work(s) })
	}
	testenv.Until(t, "all of them", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.waiting) == stream.Shards
	})
	g.leave()
	all.Wait()
	return results
}

func (r *rig) drainOnce(s stream.Shard) error {
	_, err := r.owners[s].drain(r.t.Context())
	return err
}

// TestTogether: what all shards have at one moment is in the ledger by one transaction.
func TestTogether(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	accounts := r.perShard(1000)
	for round := range 3 {
		for _, account := range accounts {
			r.spend(account, fmt.Sprintf("%d-%d", account, round), 100)
		}
		for s, err := range r.together(t, r.drainOnce) {
			if err != nil {
				t.Errorf("shard %d: %v", s, err)
			}
		}
		want := int64(stream.Shards * (round + 1))
		if n := r.count(`select count(*) from usage`); n != want {
			t.Fatalf("%d of %d calls in the ledger", n, want)
		}
	}
	if n := r.count(`select count(distinct xmin::text) from ledger_transactions where kind = 'settle'`); n != 3 {
		t.Errorf("%d transactions of three rounds", n)
	}
	if n := r.count(`select count(*) from ledger_transactions where kind = 'settle' and shard is distinct from account_id % 16`); n != 0 {
		t.Errorf("%d under another shard", n)
	}
	r.wantBooks(t.Context())
}

// TestApart: of portions that fail together, each is applied for which nothing speaks
// against it alone; and one whose position another owner has moved is not applied twice.
func TestApart(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	accounts := r.perShard(1000)
	const stale, repeated = 3, 7
	for s, account := range accounts {
		r.spend(account, fmt.Sprintf("%d", account), 100)
		if s == repeated {
			r.drain(r.owners[s])
			r.redis.Del(t.Context(), HoldKey(account, fmt.Sprintf("%d", account)))
			r.spend(account, fmt.Sprintf("%d", account), 100) // charged again under a name that the ledger has
		}
	}
	seen, err := r.owners[stale].fetch(t.Context())
	r.must(err)
	other := r.newOwner(stale)
	r.must(other.open(t.Context()))
	r.drain(other)
	results := r.together(t, func(s stream.Shard) error {
		if s == stale {
			o := r.owners[stale]
			return o.apply(t.Context(), seen, position{epoch: o.at.epoch, last: seen[len(seen)-1].id}, false)
		}
		return r.drainOnce(s)
	})
	for s, err := range results {
		if s == stale && !errors.Is(err, errMoved) || s != stale && err != nil {
			t.Errorf("shard %d: %v", s, err)
		}
	}
	if n := r.count(`select count(*) from usage`); n != stream.Shards+1 {
		t.Errorf("%d calls in the ledger, want %d", n, stream.Shards+1)
	}
	r.wantBooks(t.Context())
}

// TestTogetherPanics: whoever makes the transaction may panic, and is caught and begun anew
// above. The others are not left waiting, nor is the next one.
func TestTogetherPanics(t *testing.T) {
	r := newRig(t, testenv.Redis(t))
	for _, account := range r.perShard(1000) {
		r.spend(account, fmt.Sprint(account), 100)
	}
	var panicked atomic.Int64
	r.engine.pause = func(step string) error {
		if step == "applied" && panicked.Add(1) == 1 {
			panic("as a driver might")
		}
		return nil
	}
	caught := errors.New("caught")
	broken := -1
	for s, err := range r.together(t, func(s stream.Shard) (err error) {
		defer func() {
			if recover() != nil {
				err = caught
			}
		}()
		return r.drainOnce(s)
	}) {
		switch {
		case errors.Is(err, caught) && broken < 0:
			broken = s
		case err != nil:
			t.Errorf("shard %d: %v", s, err)
		}
	}
	if broken < 0 {
		t.Fatal("nobody panicked")
	}
	if r.engine.gathering.busy {
		t.Fatal("the turn is with somebody who is gone")
	}
	r.must(r.drainOnce(stream.Shard(broken)))
	if n := r.count(`select count(*) from usage`); n != stream.Shards {
		t.Errorf("%d of %d calls in the ledger", n, stream.Shards)
	}
	r.wantBooks(t.Context())
}
