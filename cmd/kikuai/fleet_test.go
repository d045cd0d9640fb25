package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// TestE2EFleet: three servers behind the front. One is replaced, and nobody notices; one
// dies, and only what it was doing is lost.
func TestE2EFleet(t *testing.T) {
	t.Parallel()
	fleet(t, voyage{reads: 4, calls: 4, streams: 8, pause: 100 * time.Millisecond, replaced: 1, killed: 1})
}

// voyage is who asks a fleet's front, and what becomes of its servers meanwhile.
type voyage struct {
	reads, calls, streams int           // clients, each with one request after another
	pause                 time.Duration // between a client's requests
	replaced, killed      int           // servers, one after another
}

// servers is how many stand behind the front.
const servers = 3

// streamed is what a stream of these tests takes: long enough to be under way whenever
// something happens.
const (
	streamTokens = 60
	streamPace   = 25 * time.Millisecond
)

// fleet replaces servers behind the front and kills them, under load. No request may fail
// for a replacement. What a killed server was doing fails, and nothing else: its streams
// break off, its other calls are told to come back, and the next request is another
// server's.
func fleet(t *testing.T, v voyage) {
	s := newSite(t)
	s.model.Assign("sim-slow", llmsim.Script{Tokens: streamTokens, Cadence: streamPace})
	sites := []*site{s, s.another(), s.another()}
	addresses := make([]string, servers)
	for i, one := range sites {
		addresses[i] = strings.TrimPrefix(one.url, "http://")
	}
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: addresses})
	serves := make([]*process, servers)
	for i, one := range sites {
		one.env["PUBLIC_URL"], one.env["DRAIN_NOTICE"] = front.URL(), "5s" // as in production
		serves[i] = one.serve()
	}
	c := newVisitors(front, s.key(personID, "1000"))
	c.begin(v)
	c.each(t, 2, "asks")

	for n := range v.replaced {
		i := n % servers
		serves[i].stop()
		serves[i] = sites[i].serve()
		c.each(t, 2, "goes on")
	}
	kills := make([]kill, v.killed)
	for n := range v.killed {
		i := servers - 1 - n%servers
		sites[i].streaming()
		kills[n] = kill{addresses[i], time.Now()}
		serves[i].kill()
		c.each(t, 2, "goes on")
		serves[i] = sites[i].serve()
		c.each(t, 2, "goes on")
	}
	c.end()
	asked, err := c.know(t)
	if err != nil {
		t.Fatal(err)
	}
	told := c.judge(t, asked, kills)
	front.Stop() // or its idle connections would be waited for
	for _, serve := range serves {
		serve.stop()
	}
	s.reconciled()
	t.Logf("fleet: %d servers behind nginx, %d replaced and %d killed under load: %s; drift 0", servers, v.replaced, v.killed, told)
}

// streaming waits until a stream is under way at the site's server: what is there at three
// looks is no call of milliseconds.
func (s *site) streaming() {
	s.t.Helper()
	found := 0
	s.until(time.Minute, "a stream under way", func() bool {
		_, text := s.metrics()
		if strings.Contains(text, "\ngateway_calls_in_flight 0\n") {
			found = 0
		} else {
			found++
		}
		return found == 3
	})
}

// kill is that a server died.
type kill struct {
	address string
	at      time.Time
}

// slack is what a killed server's end may take to be known, and a clock's step.
const slack = time.Second

// judge holds what visitors saw against what happened to the servers.
func (c *visitors) judge(t *testing.T, asked map[string]relayed, kills []kill) string {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	kinds := map[string]int{}
	busy, broken, refused := 0, 0, 0
	for _, visit := range c.seen {
		kinds[visit.kind]++
		by := asked[visit.id]
		if by.upstream == "" {
			t.Errorf("%s %s is not in the front's log: %v", visit.kind, visit.id, visit.err)
			continue
		}
		switch {
		case visit.whole:
		case visit.status == 503 && by.last() == "503": // by a server: Redis was too slow for it on a busy machine
			busy++
		case !slices.ContainsFunc(kills, func(k kill) bool {
			return by.by(k.address) && visit.began.Before(k.at.Add(slack)) && visit.ended.After(k.at.Add(-slack))
		}):
			t.Errorf("%s failed, and no server of its died: status %d %q, by %+v, after %s: %v",
				visit.kind, visit.status, visit.code, by, visit.ended.Sub(visit.began), visit.err)
		case visit.status == 200:
			broken++
		case visit.status == 503 && visit.code == "service_unavailable" && visit.later != "":
			refused++
		default:
			t.Errorf("%s of a killed server: status %d %q, Retry-After %q, %v", visit.kind, visit.status, visit.code, visit.later, visit.err)
		}
	}
	for _, k := range kills {
		for _, visit := range c.seen {
			if asked[visit.id].by(k.address) && visit.kind == "stream" && visit.whole &&
				visit.began.Before(k.at.Add(-slack)) && visit.ended.After(k.at.Add(slack)) {
				t.Errorf("a stream of a dead server went on: %+v", visit)
			}
		}
	}
	if len(kills) > 0 && broken == 0 {
		t.Error("no stream was under way at a server that was killed")
	}
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(&b, "%d %ss, ", kinds[kind], kind)
	}
	fmt.Fprintf(&b, "%s; %d streams broke off and %d other requests were told to come back, all of them under way at a server that was killed; %d told so by a server that was too busy; 0 failed otherwise",
		c.latencies(), broken, refused, busy)
	return b.String()
}
