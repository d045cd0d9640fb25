package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

// load is what clients and people do all at once.
type load struct {
	w     *witness
	sites []*site // whose servers take the calls
	lines int     // of API calls, each one call after another
	chats int     // people who write
	rate  float64 // messages a second of all people
	pause time.Duration

	customers [][]customer // of each line, one after another
	firstChat int64
}

// seen is what the load saw.
type seen struct {
	calls    []callMade
	statuses map[int]int // of API calls; 0: no answer, or none to its end
	slowest  time.Duration
	report   telegramsim.ReplayReport
}

type callMade struct {
	began  time.Time
	took   time.Duration
	status int
}

// between counts the calls of a status that began in a span of time.
func (s seen) between(from, to time.Time, status int) (n int) {
	for _, call := range s.calls {
		if call.status == status && !call.began.Before(from) && call.began.Before(to) {
			n++
		}
	}
	return n
}

func (s seen) String() string {
	var b strings.Builder
	for _, status := range slices.Sorted(maps.Keys(s.statuses)) {
		fmt.Fprintf(&b, "%d× %d, ", s.statuses[status], status)
	}
	return b.String() + fmt.Sprintf("slowest %s", s.slowest.Round(time.Millisecond))
}

// newLoad opens as many accounts as the load needs in that time.
func newLoad(w *witness, length time.Duration, sites ...*site) *load {
	w.s.t.Helper()
	l := &load{w: w, sites: sites, lines: 6, chats: 20, rate: 8, pause: 60 * time.Millisecond, firstChat: 4_000_001}
	perLine := int(length/l.pause)/numbered + 1
	for line := range l.lines {
		l.customers = append(l.customers, nil)
		for n := range perLine {
			c := w.s.customer(9_000_000+line*perLine+n, billing.NanoPerUSD)
			l.customers[line] = append(l.customers[line], c)
		}
	}
	return l
}

// during puts the load on for that time while something happens to the servers.
func (l *load) during(length time.Duration, happens func(ctx context.Context)) seen {
	return l.while(length, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, length)
		defer cancel()
		happens(ctx)
		<-ctx.Done()
	})
}

// while puts the load on until something has happened to the servers, and waits until
// Telegram has had every update acknowledged. People write for about that time.
func (l *load) while(writing time.Duration, happens func(ctx context.Context)) seen {
	t := l.w.s.t
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	result := seen{statuses: map[int]int{}}
	var mu sync.Mutex
	var all sync.WaitGroup
	for line := range l.lines {
		all.Go(func() {
			calls := l.line(ctx, line)
			mu.Lock()
			defer mu.Unlock()
			result.calls = append(result.calls, calls...)
			for _, call := range calls {
				result.statuses[call.status]++
				result.slowest = max(result.slowest, call.took)
			}
		})
	}
	all.Go(func() {
		var err error
		result.report, err = l.w.s.telegram.Replay(t.Context(), telegramsim.ReplayOptions{
			Chats: l.chats, PerChat: max(1, int(l.rate*writing.Seconds())/l.chats), FirstChat: l.firstChat, Rate: l.rate, Topics: true,
			Wait: 2 * time.Minute, Written: l.w.wrote,
			Text: func(_ int64, i int) string { return fmt.Sprintf("message %d", i) },
		})
		if err != nil || len(result.report.Missing)+len(result.report.Lost) > 0 {
			t.Errorf("updates unacknowledged %v, given up %v: %v", result.report.Missing, result.report.Lost, err)
		}
	})
	happens(ctx)
	cancel()
	all.Wait()
	return result
}

// line calls, streamed and not, until ctx ends. The calls under way then are let finish.
func (l *load) line(ctx context.Context, line int) (calls []callMade) {
	within := context.WithoutCancel(ctx)
	for n := 0; ctx.Err() == nil && n < numbered*len(l.customers[line]); n++ {
		call := callMade{began: time.Now()}
		at := l.sites[rand.IntN(len(l.sites))]
		var made bool
		call.status, made = l.w.call(within, at.url, l.customers[line][n/numbered], n%numbered, n%2 == 0)
		call.took = time.Since(call.began)
		if made {
			calls = append(calls, call)
		}
		sleep(ctx, l.pause-call.took)
	}
	return calls
}

// behindBalancer lets Telegram reach whichever of the servers is there, as a front
// would. It is called before webhook set.
func behindBalancer(t *testing.T, sites ...*site) {
	t.Helper()
	var targets []*url.URL
	for _, s := range sites {
		target, err := url.Parse(s.url)
		if err != nil {
			t.Fatal(err)
		}
		targets = append(targets, target)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(targets[rand.IntN(len(targets))]) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	front := httptest.NewServer(proxy)
	t.Cleanup(front.Close)
	for _, s := range sites {
		s.env["PUBLIC_URL"] = front.URL
	}
}
