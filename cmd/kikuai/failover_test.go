package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestE2EFailover: a master of a Redis Cluster dies, and its replica takes its place with all
// that it had. make prove-failover does it under load, nine times.
func TestE2EFailover(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	cluster := testenv.RedisClusterReplicated(t)
	s.env["REDIS_URL"] = cluster.URL()
	serve := s.serve()
	c := s.customer(personID, billing.NanoPerUSD)
	call := func() {
		t.Helper()
		if status, body := s.chat(c.key, "exact", "hello", 100); status != http.StatusOK {
			t.Fatalf("a call is answered %d: %s", status, body)
		}
	}
	call()
	cluster.Synced()
	lost := s.loseMaster(t.Context(), cluster, c, true)
	call()
	s.until(time.Minute, "all three calls in the ledger", func() bool { return s.one(`select count(*) from usage`) >= 3 })
	serve.stop()
	s.reconciled()
	t.Logf("failover: another was master within %s of the loss, its shards' calls served within %s", lost.promoted.Round(10*time.Millisecond), lost.served.Round(10*time.Millisecond))
}

// failover is how often masters of a Redis Cluster are lost.
type failover struct {
	kills, freezes int // by a crash; by a pause from which a master comes back as if nothing were
	every          time.Duration
}

const (
	// frozen is long enough for the others to give a master up.
	frozen = 4 * time.Second
	// failoverIn bounds the wait for a replica in its master's place, and servedIn the one
	// for calls to it, which on a busy machine take longer than the second or two that the
	// layout does.
	failoverIn = time.Minute
	servedIn   = 30 * time.Second
)

// failedOver takes one master after another from a Redis Cluster with replicas, under mixed
// load. What the ledger had is all there afterwards, what was decided in Postgres too; what
// was answered and is forgotten is measured, and so is how long calls of the lost shards
// were refused.
func failedOver(t *testing.T, c failover) {
	var cluster *testenv.RedisClusterHandle
	sites, w := several(t, 2, func(s *site) {
		cluster = testenv.RedisClusterReplicated(t)
		s.env["REDIS_URL"] = cluster.URL()
	})
	s := sites[0]
	for _, one := range sites {
		one.serve()
	}
	probes := make([]customer, c.kills+c.freezes) // of another shard each
	for n := range probes {
		probes[n] = s.customer(9_700_000+n, billing.NanoPerUSD)
	}
	length := time.Duration(len(probes)) * (c.every + frozen + 3*time.Second)
	l := newLoad(w, 2*length, sites...)
	var losses []loss
	var promoted, served time.Duration // the slowest, from the loss on
	result := l.while(length, func(ctx context.Context) {
		for n, probe := range probes {
			sleep(ctx, c.every)
			cluster.Synced()
			l.administer(n)
			lost := s.loseMaster(ctx, cluster, probe, n < c.kills)
			losses = append(losses, loss{kept: lost.at.Add(-published), at: lost.at})
			promoted, served = max(promoted, lost.promoted), max(served, lost.served)
			cluster.Synced()
		}
		sleep(ctx, c.every)
	})
	v := w.settled(time.Minute)
	s.reconciled()
	v.forgot(t, losses)
	t.Logf("failover: masters of a Redis Cluster killed %d× and frozen %d× under load: calls %s; another was master within %s of the loss, its shards' calls served within %s; forgotten %s; %d credits and %d keys all there, duplicates %d, differences 0",
		c.kills, c.freezes, result, promoted.Round(10*time.Millisecond), served.Round(10*time.Millisecond), v.forgotten(losses), v.credits, v.keys, v.duplicates)
}

// masterLost is that a master went, and what it took until another was there, and until the
// calls of its shards were served.
type masterLost struct {
	at               time.Time
	promoted, served time.Duration
}

// loseMaster takes the master of a customer's shard away until its replica has taken its
// place and the customer is served again. The master comes back as the other's replica.
func (s *site) loseMaster(ctx context.Context, cluster *testenv.RedisClusterHandle, probe customer, kill bool) (lost masterLost) {
	s.t.Helper()
	key := billing.AcctKey(probe.account)
	master := cluster.NodeOf(key)
	lost.at = time.Now()
	if kill {
		master.Kill()
	} else {
		master.Pause()
		sleep(ctx, frozen)
	}
	s.until(failoverIn, "another is master", func() bool { return cluster.NodeOf(key).Addr != master.Addr })
	lost.promoted = time.Since(lost.at)
	if !kill {
		master.Resume()
	}
	s.until(servedIn, "served by the new master", func() bool {
		status, _ := s.chat(probe.key, "echo", "hello", 10)
		return status == http.StatusOK
	})
	lost.served = time.Since(lost.at)
	if kill {
		master.Start()
	}
	return lost
}
