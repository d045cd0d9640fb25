package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// load is one kind of request, sent over and over.
type load struct {
	name    string
	url     string
	headers map[string]string
	bearers []string                   // API keys, one after the other for each connection; none: headers alone
	body    func(worker, n int) []byte // nil: a GET
}

// sample is one measurement.
type sample struct {
	perSecond float64
	p50, p99  time.Duration
}

// drive sends the load over the given number of connections, one request at a time
// on each, and fails on the first answer that is not 200. rate is how many a second are
// sent, and then their times are since they were due; 0: as many as there can be.
func drive(ctx context.Context, l load, connections, rate int, length time.Duration) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	client := &fasthttp.Client{
		MaxConnsPerHost:     connections,
		ReadTimeout:         10 * time.Second,
		WriteTimeout:        10 * time.Second,
		MaxIdleConnDuration: time.Minute,
	}
	defer client.CloseIdleConnections()

	latencies := make([][]time.Duration, connections)
	failures := make([]error, connections)
	start := time.Now()
	var group sync.WaitGroup
	for worker := range connections {
		group.Go(func() {
			due := func(int) time.Time { return time.Now() }
			if rate > 0 {
				due = func(n int) time.Time {
					return start.Add(time.Duration(n*connections+worker) * time.Second / time.Duration(rate))
				}
			}
			latencies[worker], failures[worker] = repeat(ctx, client, l, worker, due)
		})
	}
	group.Wait()
	elapsed := time.Since(start)
	for _, err := range failures {
		if err != nil {
			return sample{}, fmt.Errorf("%s: %w", l.name, err)
		}
	}
	return sampleOf(latencies, elapsed)
}

// sampleOf sums up what took how long within the time.
func sampleOf(latencies [][]time.Duration, elapsed time.Duration) (sample, error) {
	all := slices.Concat(latencies...)
	if len(all) == 0 {
		return sample{}, fmt.Errorf("nothing was done in %s", elapsed)
	}
	slices.Sort(all)
	return sample{
		perSecond: float64(len(all)) / elapsed.Seconds(),
		p50:       all[len(all)/2],
		p99:       all[len(all)*99/100],
	}, nil
}

func repeat(ctx context.Context, client *fasthttp.Client, l load, worker int, due func(n int) time.Time) ([]time.Duration, error) {
	request, response := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(request)
	defer fasthttp.ReleaseResponse(response)
	request.SetRequestURI(l.url)
	if l.body != nil {
		request.Header.SetMethod(fasthttp.MethodPost)
		request.Header.SetContentType("application/json")
	}
	for name, value := range l.headers {
		request.Header.Set(name, value)
	}
	if len(l.bearers) > 0 {
		request.Header.Set("Authorization", "Bearer "+l.bearers[worker%len(l.bearers)])
	}
	latencies := make([]time.Duration, 0, 1<<16)
	for n := 0; ctx.Err() == nil; n++ {
		if l.body != nil {
			request.SetBodyRaw(l.body(worker, n))
		}
		start := due(n)
		time.Sleep(time.Until(start))
		if err := client.Do(request, response); err != nil {
			return nil, err
		}
		latencies = append(latencies, time.Since(start))
		if code := response.StatusCode(); code != fasthttp.StatusOK {
			return nil, fmt.Errorf("status %d: %s", code, response.Body())
		}
	}
	return latencies, nil
}
