package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// onCluster is a site whose Redis is a real cluster of three nodes.
func onCluster(t *testing.T) (*site, *testenv.RedisClusterHandle) {
	t.Helper()
	s := newSite(t)
	cluster := testenv.RedisCluster(t)
	s.env["REDIS_URL"] = cluster.URL()
	return s, cluster
}

// TestE2ECluster: two servers on a Redis Cluster do all that they do on one Redis,
// and a node that loses everything costs its shards a rebuild and the others nothing.
func TestE2ECluster(t *testing.T) {
	t.Parallel()
	s, cluster := onCluster(t)
	serve := s.serve()
	other := s.another()
	second := other.serve()
	s.arrange("webhook", "set")

	// By webhook: a person presses Start, chats, and makes a key.
	const first, people = 6_000_001, 6 // on several shards
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := range int64(people) {
		person := s.telegram.User(first+n, "Ada").ID
		for text, answer := range map[string]string{"the quick brown fox": `^the quick brown fox\n\n\$`, "/newkey laptop": `kk_\S+`} {
			if _, err := s.telegram.Say(person, text); err != nil {
				t.Fatal(err)
			}
			if _, err := s.telegram.WaitSent(ctx, person, said(answer)); err != nil {
				t.Fatalf("%s of %d: %v", text, person, err)
			}
		}
	}
	// By the API: money for 30 calls admits 30, on accounts of several shards.
	customers := make([]customer, 4)
	for n := range customers {
		customers[n] = s.customer(personID+n, 3_000_007)
		key := customers[n].key
		paid, refused := s.rush(key, 60, s, other)
		if available, held := s.balance(key); paid != 30 || refused != 30 || available != 7 || held != 0 {
			t.Errorf("account %d: paid %d, refused %d, available %d, held %d", n, paid, refused, available, held)
		}
	}
	s.deadLettersOnCluster()

	// One node loses everything, mid-life.
	lost := cluster.NodeOf(stream.ShardOf(1).Key("epoch"))
	lost.FlushAll()
	s.opened(cluster.Client())
	for n, c := range customers {
		var credited accountAnswer
		id := fmt.Sprint(personID + n)
		s.admin(&credited, "credit", "--telegram-id", id, "--usd", "0.0001", "--idempotency-key", id)
		if status, body := other.chat(c.key, "exact", "go", 100); status != http.StatusOK {
			t.Errorf("account %d after the loss: %d %s", n, status, body)
		}
		if available, held := s.balance(c.key); available != 7 || held != 0 {
			t.Errorf("account %d after the loss: available %d, held %d", n, available, held)
		}
	}
	second.stop()
	serve.stop()
	s.reconciled()
}

// deadLettersOnCluster buries an update that cannot be read and lists it.
func (s *site) deadLettersOnCluster() {
	s.t.Helper()
	if status := s.deliver(`{"update_id":`); status != http.StatusOK {
		s.t.Fatalf("an unreadable update: %d", status)
	}
	var letters []struct{ Kind string }
	s.admin(&letters, "dead-letters", "list")
	if len(letters) != 1 || letters[0].Kind != "unreadable" {
		s.t.Errorf("dead letters %+v", letters)
	}
	if out := s.command("admin", "dead-letters", "replay", "--all"); string(out) != "Replayed 0.\n" {
		s.t.Errorf("replay: %s", out)
	}
}

// TestE2EClusterNodeAway: while a node is away its shards answer 503 in bounded time,
// the others go on, and all is well when it is back.
func TestE2EClusterNodeAway(t *testing.T) {
	t.Parallel()
	// The library sends a command that timed out once more, and each may wait behind
	// another: four times half a second, and the connections to be made; and the time that
	// a busy machine adds.
	const callMost = 10 * time.Second
	s, cluster := onCluster(t)
	serve := s.serve()
	node := cluster.NodeOf(billing.EpochKey(1))
	var away, there []customer
	for n := range 8 {
		c := s.customer(personID+n, billing.NanoPerUSD)
		if cluster.NodeOf(billing.EpochKey(c.account)) == node {
			away = append(away, c)
		} else {
			there = append(there, c)
		}
	}
	if len(away) == 0 || len(there) == 0 {
		t.Fatalf("accounts on the node %v, elsewhere %v", away, there)
	}
	for name, outage := range map[string]struct{ begin, end func() }{
		"refused":    {node.Stop, node.Start},
		"black hole": {node.Pause, node.Resume},
	} {
		outage.begin()
		for _, c := range away {
			started := time.Now()
			status, body := s.chat(c.key, "echo", "hello", 10)
			if took := time.Since(started); status != http.StatusServiceUnavailable || took > callMost {
				t.Errorf("%s: a call of the lost node: %d after %s: %s", name, status, took, body)
			}
		}
		for _, c := range there {
			// Half a second is little on a busy machine: one that was late is made again.
			s.until(callMost, name+": answered by another node", func() bool {
				status, _ := s.chat(c.key, "echo", "hello", 10)
				return status == http.StatusOK
			})
		}
		outage.end()
		s.until(30*time.Second, fmt.Sprintf("back from %s", name), func() bool {
			for _, c := range slices.Concat(away, there) {
				if status, _ := s.chat(c.key, "echo", "hello", 10); status != http.StatusOK {
					return false
				}
			}
			return true
		})
	}
	serve.stop()
	s.reconciled()
}
