package main

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestE2EBlackhole(t *testing.T) { blackholed(t, 1, 4*time.Second) }

// TestE2EBackPressure: without Postgres calls go on until the ledger is too far behind.
func TestE2EBackPressure(t *testing.T) { withoutPostgres(t, 10*time.Second, 3*time.Second) }

// modelCalls is how often the model was called, and how many calls the books have.
func (w *witness) modelCalls() (made, booked int64) {
	w.s.t.Helper()
	if err := w.pool.QueryRow(w.s.t.Context(), `select count(*) from usage`).Scan(&booked); err != nil {
		w.s.t.Fatal(err)
	}
	return w.s.model.Count(), booked
}

// blackholed freezes Redis again and again under mixed load: connections stay open and
// nothing answers. Every call ends in bounded time, none reaches the model unpaid, and
// nothing is lost.
func blackholed(t *testing.T, times int, each time.Duration) {
	// Half a second for each of the few calls to Redis that one may still try, and the
	// time that a busy machine adds.
	const callMost = 5 * time.Second
	sites, w := several(t, 2)
	s := sites[0]
	var serves []*process
	for _, one := range sites {
		serves = append(serves, one.serve())
	}
	length := time.Duration(times) * 2 * each
	l := newLoad(w, length, sites...)
	refused := 0
	var spans [][2]time.Time
	result := l.during(length, func(ctx context.Context) {
		for range times {
			sleep(ctx, each/2)
			s.redis.Pause()
			began := time.Now()
			sleep(ctx, each)
			spans = append(spans, [2]time.Time{began, time.Now()})
			s.redis.Resume()
			sleep(ctx, each/2)
		}
	})
	v := w.settled(time.Minute)
	for _, serve := range serves {
		serve.stop()
	}
	s.reconciled()
	v.exact(t)
	for _, span := range spans {
		refused += result.between(span[0], span[1], http.StatusServiceUnavailable)
		// One that was begun late may have waited until Redis was back.
		if paid := result.between(span[0].Add(time.Second/2), span[1].Add(-callMost/2), http.StatusOK); paid > 0 {
			t.Errorf("%d calls were begun and answered while Redis was frozen", paid)
		}
	}
	if result.slowest > callMost || refused == 0 || result.statuses[0] > 0 {
		t.Errorf("calls %s, %d of them refused while Redis was frozen", result, refused)
	}
	made, booked := w.modelCalls()
	if made != booked {
		t.Errorf("the model was called %d times, the books have %d calls", made, booked)
	}
	t.Logf("black hole: Redis frozen %d× for %s under load: calls %s; %d refused meanwhile; the model was called %d times, %d of them in the books; %d updates: missing %d, duplicates %d, differences 0",
		times, each, result, refused, made, booked, v.updates, v.missing(), v.duplicates)
}

// withoutPostgres stops Postgres under mixed load: calls go on, and where that takes
// longer than the ledger may be behind, they are refused until it is back. Then the
// ledger catches up with every one of them. maxLag 0: the default.
func withoutPostgres(t *testing.T, stopped, maxLag time.Duration) {
	database := testenv.PostgresServer(t)
	sites, w := several(t, 2, func(s *site) { s.useDatabase(database.URL()) })
	s := sites[0]
	for _, one := range sites {
		if maxLag > 0 {
			one.env["LEDGER_MAX_LAG"] = maxLag.String()
		}
	}
	for _, one := range sites {
		one.serve()
	}
	const before, after = 5 * time.Second, 10 * time.Second
	length := before + stopped + after
	l := newLoad(w, length, sites...)
	var away, back time.Time
	var backlog int64
	var caughtUp time.Duration
	result := l.during(length, func(ctx context.Context) {
		sleep(ctx, before)
		database.Stop()
		away = time.Now()
		sleep(ctx, stopped)
		backlog = s.waiting(ctx)
		database.Start()
		back = time.Now()
		s.until(time.Minute, "caught up", func() bool { return s.waiting(t.Context()) < backlog/20+50 })
		caughtUp = time.Since(back)
	})
	v := w.settled(time.Minute)
	s.reconciled()
	v.exact(t)
	const slack = 5 * time.Second // the backlog is looked at each second, and the machine is busy
	refusedFrom := away.Add(maxLag + slack)
	if maxLag == 0 {
		refusedFrom = back
	}
	// A backlog that a busy machine had before is older than the outage.
	early := result.between(away, away.Add(maxLag-2*time.Second), http.StatusServiceUnavailable)
	if maxLag == 0 {
		early = result.between(away, back, http.StatusServiceUnavailable)
	}
	late := result.between(refusedFrom, back, http.StatusOK)
	paid, refused := result.between(away, back, http.StatusOK), result.between(away, back, http.StatusServiceUnavailable)
	if early > refused/100 || late > refused/100 || paid == 0 || maxLag > 0 && refused == 0 {
		t.Errorf("without Postgres %d calls were answered and %d refused, %d of them early; %d answered late", paid, refused, early, late)
	}
	t.Logf("without Postgres for %s, LEDGER_MAX_LAG %s: %d calls answered, %d refused; %d events behind, caught up in %s; in all calls %s, %d updates: missing %d, duplicates %d, differences 0",
		stopped, maxLag, paid, refused, backlog, caughtUp.Round(10*time.Millisecond), result, v.updates, v.missing(), v.duplicates)
}
