package ratelimit_test

import (
	"fmt"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// TestCluster: on a Redis Cluster the limits of one holder, and the mark of a call's end,
// share a slot, whatever the holder is called; renewals find each shard; and a script that
// a node has forgotten is sent again.
func TestCluster(t *testing.T) {
	cluster := testenv.RedisCluster(t)
	c := newClock()
	s := asked{t, ratelimit.NewRedisAt(cluster.Client(), c.Now), c}
	var tickets []ratelimit.Ticket
	for shard := range 16 {
		limits, err := ratelimit.Expand("10|1000|1|2000|10", ratelimit.Key(fmt.Sprintf("s%02d", shard), "ip", fmt.Sprintf("}{%d", shard)), "ip", 600)
		if err != nil {
			t.Fatal(err)
		}
		d, ticket := s.take("one", limits...)
		if !d.Allowed {
			t.Fatalf("%+v", d)
		}
		for range 2 {
			s.finish(ticket, ratelimit.Used{"tokens": 100})
		}
		s.wantLeft(limits[1], 900)
		if d, ticket = s.take("two", limits...); !d.Allowed {
			t.Fatalf("%+v", d)
		}
		tickets = append(tickets, ticket)
	}
	for _, node := range cluster.Nodes {
		if err := node.Client().ScriptFlush(t.Context()).Err(); err != nil {
			t.Fatal(err)
		}
	}
	s.Advance(life / 2)
	if err := s.Renew(t.Context(), tickets, life); err != nil {
		t.Fatal(err)
	}
	s.Advance(life/2 + 1)
	for _, ticket := range tickets {
		s.wantLeft(ticket.Taken[3].Limit, 0)
		s.giveBack(ticket)
		s.wantLeft(ticket.Taken[3].Limit, 1)
	}
}
