package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2EBroadcast: a broadcast through two servers, one of which is killed in its middle.
func TestE2EBroadcast(t *testing.T) {
	t.Parallel()
	broadcast(t, casting{people: 120, blocked: 5, servers: 2, kills: 1})
}

// casting is the size of a broadcast test.
type casting struct {
	people, blocked, servers, kills int
	binary                          string // empty: the one with the race detector
}

// broadcast sends a message to many while one server after another is killed: everybody
// whom the bot can reach gets it, and no more twice than were on their way at the kills,
// all of which are counted.
func broadcast(t *testing.T, c casting) {
	const first = 4_000_001
	s := newSite(t, func(o *telegramsim.Options) { o.HistoryLimit = 20 })
	if c.binary != "" {
		s.binary = c.binary
	}
	s.crowd(first, c.people)
	for n := range c.blocked {
		if err := s.telegram.Block(first+int64(n)*7, true); err != nil {
			t.Fatal(err)
		}
	}
	sites, serves := []*site{s}, []*process{s.serve()}
	for range c.servers - 1 {
		twin := s.another()
		sites, serves = append(sites, twin), append(serves, twin.serve())
	}
	var b broadcastAnswer
	start := []string{"broadcast", "start", "--text", "Hello, everybody!", "--language", "ru", "--idempotency-key", "hello"}
	s.admin(&b, start...)
	pool, err := pgxpool.New(t.Context(), s.database)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	progress := func() outbox.Progress { // a command takes too long to see when half are through
		t.Helper()
		p, err := outbox.New(pool).Progress(t.Context(), b.ID)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	within := time.Duration(c.people/10+120) * time.Second
	for kill := range c.kills {
		s.until(within, "as far as the next kill", func() bool { return progress().Sent >= int64((kill+1)*c.people/(c.kills+1)) })
		i := kill % c.servers
		serves[i].kill()
		serves[i] = sites[i].serve()
	}
	s.admin(&b, start...) // a repetition begins no second one
	s.until(within, "done", func() bool { return progress().State == outbox.Done })
	for _, serve := range serves {
		serve.stop()
	}

	missed, twice := 0, 0
	for n := range c.people {
		got := 0
		for _, m := range s.telegram.Messages(first + int64(n)) {
			if m.FromBot() && m.Text == "Hello, everybody!" {
				got++
			}
		}
		switch {
		case n%7 == 0 && n/7 < c.blocked && got > 0:
			t.Errorf("%d blocked the bot and got %d messages", n, got)
		case n%7 == 0 && n/7 < c.blocked:
		case got == 0:
			missed++
		default:
			twice += got - 1
		}
	}
	var end broadcastAnswer
	s.admin(&end, "broadcast", "show", fmt.Sprint(b.ID))
	if missed > 0 || end.Sent != int64(c.people-c.blocked) || end.Blocked != int64(c.blocked) || end.Failed != 0 {
		t.Errorf("%d were missed: %+v", missed, end)
	}
	if twice > c.kills*outbox.Slots || int64(twice) > end.Repeated || end.Repeated > int64(c.kills*outbox.Slots) {
		t.Errorf("%d came twice, %d are said to may have; on their way at %d kills were at most %d", twice, end.Repeated, c.kills, c.kills*outbox.Slots)
	}
	pace := s.telegram.Pace()
	t.Logf("broadcast: %d people, %d servers, %d kills: missed 0, sent twice %d (at most %d may have been), out of reach %d, most in a second %d",
		c.people, c.servers, c.kills, twice, end.Repeated, end.Blocked, pace.MostPerSecond)
}

// crowd is people who came to the bot and speak Russian.
func (s *site) crowd(first int64, n int) {
	s.t.Helper()
	for id := first; id < first+int64(n); id++ {
		s.telegram.User(id, "Reader")
		if _, err := s.telegram.StartBot(id, ""); err != nil { // a bot may not write first
			s.t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(s.t.Context()) }()
	if _, err := conn.Exec(s.t.Context(), `insert into accounts (telegram_id, name, language, met_at)
		select id, 'Reader', 'ru', now() from generate_series($1::bigint, $2::bigint) id`, first, first+int64(n)-1); err != nil {
		s.t.Fatal(err)
	}
}
