package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

// visitors are clients of a front: each makes one request after another, over connections
// that it keeps.
type visitors struct {
	front  *testenv.NginxHandle
	client *http.Client
	key    string
	work   sync.WaitGroup
	over   atomic.Bool
	lines  []atomic.Int64 // requests that each client has done with

	mu   sync.Mutex
	seen []errand
}

// errand is one request and what came of it.
type errand struct {
	kind         string // read, call or stream
	id           string
	began, ended time.Time
	status       int    // 0: none
	code         string // of an error
	later        string // Retry-After
	whole        bool   // it was answered 200, to its end
	err          error
}

func newVisitors(front *testenv.NginxHandle, key string) *visitors {
	return &visitors{front: front, client: front.Client(), key: key}
}

func (c *visitors) begin(v voyage) {
	c.lines = make([]atomic.Int64, v.reads+v.calls+v.streams)
	for line := range c.lines {
		kind := "stream"
		switch {
		case line < v.reads:
			kind = "read"
		case line < v.reads+v.calls:
			kind = "call"
		}
		c.work.Go(func() {
			for n := 0; !c.over.Load(); n++ {
				seen := c.visit(kind, fmt.Sprintf("%s-%d-%d", kind, line, n))
				c.mu.Lock()
				c.seen = append(c.seen, seen)
				c.mu.Unlock()
				c.lines[line].Add(1)
				time.Sleep(v.pause)
			}
		})
	}
}

// each waits until every client has done with so many more requests.
func (c *visitors) each(t *testing.T, more int64, what string) {
	t.Helper()
	want := make([]int64, len(c.lines))
	for i := range c.lines {
		want[i] = c.lines[i].Load() + more
	}
	deadline := time.Now().Add(2 * time.Minute)
	for i := range c.lines {
		for c.lines[i].Load() < want[i] {
			if time.Now().After(deadline) {
				t.Fatalf("not every client %s", what)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func (c *visitors) end() {
	c.over.Store(true)
	c.work.Wait()
}

// visit makes one request.
func (c *visitors) visit(kind, id string) (v errand) {
	v = errand{kind: kind, id: id, began: time.Now()}
	defer func() { v.ended = time.Now() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	method, path, body := http.MethodPost, "/v1/chat/completions", `{"model":"echo","max_tokens":20,"messages":[{"role":"user","content":"Hi."}]}`
	switch kind {
	case "read":
		method, path, body = http.MethodGet, "/api/v1/balance", ""
	case "stream":
		body = fmt.Sprintf(`{"model":"slow","stream":true,"max_tokens":%d,"messages":[{"role":"user","content":"Hi."}]}`, streamTokens)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.front.URL()+path, strings.NewReader(body))
	if err != nil {
		v.err = err
		return v
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Request-Id", id)
	response, err := c.client.Do(request)
	if err != nil {
		v.err = err
		return v
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	v.status, v.later, v.err = response.StatusCode, response.Header.Get("Retry-After"), err
	v.code = gjson.GetBytes(text, "error.code").Str
	if kind == "stream" && v.status == http.StatusOK && err == nil && !strings.Contains(string(text), "data: [DONE]") {
		v.err = errors.New("the stream ends without an end")
	}
	v.whole = v.status == http.StatusOK && v.err == nil
	return v
}

// relayed is how the front answered a request.
type relayed struct {
	upstream string // servers that were asked, one after another, with commas between
	statuses string // theirs, likewise
}

func (p relayed) by(address string) bool { return strings.Contains(p.upstream, address) }

// last is the status of the server that was asked last.
func (p relayed) last() string { return p.statuses[strings.LastIndex(p.statuses, " ")+1:] }

// know reads in the front's log who answered what, once it has all of it.
func (c *visitors) know(t *testing.T) (map[string]relayed, error) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		asked := map[string]relayed{}
		for line := range strings.Lines(c.front.AccessLog()) {
			asked[gjson.Get(line, "request_id").Str] = relayed{gjson.Get(line, "upstream").Str, gjson.Get(line, "upstream_status").Str}
		}
		if len(asked) >= len(c.seen) {
			return asked, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("%d requests in the front's log, of %d", len(asked), len(c.seen))
		}
	}
}

// latencies are what answers took but for streams: half of them, 99 in 100, the slowest.
func (c *visitors) latencies() string {
	var took []time.Duration
	for _, v := range c.seen {
		if v.whole && v.kind != "stream" {
			took = append(took, v.ended.Sub(v.began))
		}
	}
	if len(took) == 0 {
		return "no answers"
	}
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return took[int(share*float64(len(took)-1))].Round(100 * time.Microsecond)
	}
	return fmt.Sprintf("answered within p50 %s, p99 %s, at most %s", at(0.5), at(0.99), at(1))
}
