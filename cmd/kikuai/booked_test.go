package main

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
)

// TestE2EAnsweredIsBooked: Redis falls silent while the model works; the answers go out,
// whole and streamed, and then the server is killed. Another one, on the same Redis, has
// every answered call in the books, once, and holds nothing of them any more. An answer
// that a busy Postgres was too late to book is withheld, which is not the rule.
func TestE2EAnsweredIsBooked(t *testing.T) {
	t.Parallel()
	const people, each = 4, 3
	s := newSite(t)
	w := newWitness(s)
	desk := s.desk() // past the valve
	redis := newValve(t, s.redis.Addr)
	var arrived atomic.Int64
	all := make(chan struct{})
	s.before(func() {
		if arrived.Add(1) == people*each {
			redis.shut()
			close(all)
		}
		<-all
	})
	s.env["REDIS_URL"] = redis.url()
	dying := s.serve()
	s.opened(s.redis.Client())
	var callers []customer
	for n := range people {
		callers = append(callers, s.customer(personID+n, billing.NanoPerUSD))
	}
	if err := desk.Accounts.SetBudget(t.Context(), callers[0].account, billing.Budget{DayNano: billing.NanoPerUSD}, billing.House); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var calling sync.WaitGroup
	for n, c := range callers {
		for model := range each {
			calling.Go(func() {
				stream := (n+model)%2 == 0
				status, _ := w.call(ctx, s.url, c, model, stream)
				for status == http.StatusServiceUnavailable && !redis.isShut() { // it did not reach the model
					status, _ = w.call(ctx, s.url, c, model, stream)
				}
				if withheld := status == http.StatusServiceUnavailable || stream && status == 0; status != http.StatusOK && !withheld {
					t.Errorf("a call was answered %d", status)
				}
			})
		}
	}
	calling.Wait()
	dying.kill()

	s.env["REDIS_URL"] = s.redis.URL()
	serve := s.serve()
	v := w.settled(time.Minute)
	v.exact(t)
	for _, c := range callers {
		s.until(30*time.Second, "nothing is held", func() bool {
			b, err := desk.Accounts.Balance(t.Context(), c.account)
			return err == nil && b.Held == 0
		})
		b, err := desk.Accounts.Balance(t.Context(), c.account)
		if spent := s.one(`select coalesce(sum(captured_nano), 0)::bigint from usage where account_id = $1`, c.account); err != nil || b.Available != billing.NanoPerUSD-spent {
			t.Errorf("%+v, %v, with %d spent", b, err, spent)
		}
	}
	serve.stop()
	s.reconciled()
	if v.calls < people*each/2 {
		t.Errorf("%d of %d calls were answered", v.calls, people*each)
	}
	t.Logf("answered is booked: %d calls answered while Redis was silent, their server killed: missing %d, duplicates %d, differences 0", v.calls, v.missing(), v.duplicates)
}

// before has something done before each request that the model is asked to answer.
func (s *site) before(do func()) {
	s.t.Helper()
	model, err := url.Parse(s.model.URL())
	if err != nil {
		s.t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(model)
	proxy.FlushInterval = -1
	gate := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			do()
		}
		proxy.ServeHTTP(w, r)
	}))
	s.t.Cleanup(gate.Close)
	file := s.env["CATALOG_FILE"]
	catalogue, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, bytes.ReplaceAll(catalogue, []byte(s.model.URL()), []byte(gate.URL)), 0o600)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}
