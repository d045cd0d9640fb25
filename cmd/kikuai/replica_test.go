package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

// TestE2EReplica: behind PgBouncer in transaction mode, with a replica. What may be a
// little out of date is read from the replica while it is near; a payment is in the list
// as soon as it is in the balance; and a replica that is behind, away or promoted costs
// nobody an answer.
func TestE2EReplica(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	primary, replica := testenv.PostgresPair(t)
	s.useDatabase(primary.URL())
	s.env["DATABASE_URL"] = testenv.PgBouncer(t, primary.URL())
	s.env["DATABASE_REPLICA_URL"] = replica.URL()
	serve := s.serve()
	key := s.key(personID, "1")
	s.reading("replica", key)

	s.wantCall(200, "", "POST", chatPath, key, chatOf("exact"))
	s.until(30*time.Second, "the call is told", func() bool { return gjson.Get(s.asked(key, "/api/v1/usage"), "total.calls").Int() == 1 })

	// What was paid is in the list whoever answers, and however far the replica is behind.
	replica.Hold()
	for n := range 3 {
		s.paidIn(key, fmt.Sprintf("held-%d", n))
	}
	s.reading("primary", key)
	replica.Release()
	s.reading("replica", key)

	for name, outage := range map[string]struct{ begin, end func() }{
		"refused":    {replica.Stop, replica.Start},
		"black hole": {replica.Pause, replica.Resume},
	} {
		outage.begin()
		s.paidIn(key, name)
		s.reading("primary", key)
		outage.end()
		s.reading("replica", key)
	}

	replica.Promote()
	s.paidIn(key, "promoted")
	s.reading("primary", key)
	serve.stop()
	s.env["DATABASE_URL"] = primary.URL()
	s.reconciled()
}

// paidIn credits the key's account and holds its list to the balance, at once.
func (s *site) paidIn(key, name string) {
	s.t.Helper()
	var credited accountAnswer
	s.admin(&credited, "credit", "--telegram-id", fmt.Sprint(personID), "--usd", "0.25", "--idempotency-key", name)
	if !credited.BalanceCurrent {
		s.t.Fatalf("%s: Redis was not told of the credit", name)
	}
	list := s.asked(key, "/api/v1/transactions?calls=false&limit=1")
	if got := gjson.Get(list, "transactions.0.amount_usd").Str; got != "0.25" {
		s.t.Errorf("%s: the newest payment is of %q: %s", name, got, list)
	}
}

// asked is the answer to what may be a little out of date.
func (s *site) asked(key, path string) string {
	s.t.Helper()
	return s.wantCall(200, "", "GET", path, key, "")
}

// reading waits until the server of that name answers what may be a little out of date.
func (s *site) reading(server, key string) {
	s.t.Helper()
	s.until(time.Minute, "reading from the "+server, func() bool {
		before := s.reads(server)
		for _, path := range []string{"/api/v1/usage?group_by=model", "/api/v1/transactions", "/api/v1/usage/calls", "/api/v1/usage/export"} {
			s.asked(key, path)
		}
		graph := s.wantCall(200, "", "POST", "/graphql", key, `{"query":"{account{transactions(first:5){transactions{id}}}}"}`)
		if strings.Contains(graph, "errors") {
			s.t.Fatal(graph)
		}
		return s.reads(server) == before+5
	})
}

// reads is how many reads that server has answered.
func (s *site) reads(server string) int64 {
	s.t.Helper()
	_, text := s.metrics()
	for line := range strings.Lines(text) {
		if rest, is := strings.CutPrefix(line, fmt.Sprintf("db_reads_total{server=%q} ", server)); is {
			return gjson.Parse(strings.TrimSpace(rest)).Int()
		}
	}
	s.t.Fatal("db_reads_total is not among the metrics")
	return 0
}
