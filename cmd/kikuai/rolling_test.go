package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
)

// TestE2ERolling: a few of the streams that make prove-rolling keeps going.
func TestE2ERolling(t *testing.T) {
	t.Parallel()
	rolling(t, rollout{streams: 40, cadence: 40 * time.Millisecond, short: 25, drain: 2 * time.Second})
}

// rollout is a rolling restart of two servers under live streams, of which every other one
// outlasts the time that a server gives them to finish.
type rollout struct {
	streams int
	cadence time.Duration // of each stream's tokens
	short   int           // tokens of the shorter streams; the longer ones have a hundred times as many
	drain   time.Duration
}

const rollingCatalogue = `providers:
  - {name: sim, protocol: openai, base_url: "%[1]s/v1", local: true}
  - {name: claude, protocol: anthropic, base_url: "%[1]s", local: true}
models:
  - {id: echo, prices: {input: "0", output: "1"}, context: 128000, max_output: 4096, deployments: [{provider: sim, model: short}]}
  - {id: long, prices: {input: "0", output: "1"}, context: 128000, max_output: 4096, deployments: [{provider: sim, model: long}]}
  - {id: echo-messages, prices: {input: "0", output: "1"}, context: 128000, max_output: 4096, deployments: [{provider: claude, model: short}]}
  - {id: long-messages, prices: {input: "0", output: "1"}, context: 128000, max_output: 4096, deployments: [{provider: claude, model: long}]}
`

// rolling restarts two servers one after the other while every client behind a balancer
// has a stream, and begins another as soon as one is over. Every stream ends in its
// protocol's own way or in an error event; each is billed for exactly the tokens that were
// delivered; and nothing stays held.
func rolling(t *testing.T, o rollout) {
	s := newSite(t)
	for model, tokens := range map[string]int{"short": o.short, "long": 100 * o.short} {
		s.model.Assign(model, llmsim.Script{Text: strings.Repeat(rollingWord, tokens), Cadence: o.cadence})
	}
	catalogue := filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(catalogue, fmt.Appendf(nil, rollingCatalogue, s.model.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.env["CATALOG_FILE"], s.env["DRAIN_TIMEOUT"] = catalogue, o.drain.String()
	sites := []*site{s, s.another()}
	serves := []*process{sites[0].serve(), sites[1].serve()}
	front := newBalancer(t, sites...)
	key := s.key(personID, "1000")
	before, _ := s.balance(key)

	crowd := &listeners{url: front.url(), key: key}
	crowd.begin(o.streams)
	s.until(time.Minute, "every stream flows", func() bool { return crowd.flowing.Load() == int64(o.streams) })
	for i, one := range sites {
		front.take(one)
		serves[i].stop()
		serves[i] = one.serve()
		front.put(one)
	}
	crowd.over.Store(true)
	for i, one := range sites { // which ends the long streams that are left
		front.take(one)
		serves[i].stop()
	}
	crowd.work.Wait()
	for _, err := range crowd.failures {
		t.Error(err)
	}
	serves[0] = sites[0].serve()
	available, held := sites[0].balance(key)
	client := s.redis.Client()
	for shard := range stream.Shard(stream.Shards) {
		if n := client.ZCard(t.Context(), shard.Key("exp")).Val(); n > 0 || held != 0 {
			t.Errorf("shard %d: %d holds, %d held", shard, n, held)
		}
	}
	billed := s.billed(len(crowd.delivered))
	slices.Sort(crowd.delivered)
	if !slices.Equal(billed, crowd.delivered) {
		t.Errorf("delivered %v\nbilled %v", crowd.delivered, billed)
	}
	sum := int64(0)
	for _, tokens := range billed {
		sum += tokens
	}
	if spent := before - available; spent != sum*1000 {
		t.Errorf("%d nano-USD spent for %d tokens", spent, sum)
	}
	serves[0].stop()
	s.reconciled()
	t.Logf("rolling: %d streams at a time through two servers restarted in turn: %d streams, %d finished, %d ended in an error event, 0 otherwise, %d calls told to come back; tokens delivered %d, billed %d, held 0, drift 0",
		o.streams, len(crowd.delivered), crowd.finished, crowd.cut, crowd.refused.Load(), sum, sum)
}

const rollingWord = " the" // one token for everybody

// billed are the tokens of every call in the ledger, once it has all of them.
func (s *site) billed(calls int) (tokens []int64) {
	s.t.Helper()
	s.until(time.Minute, "all calls in the ledger", func() bool { return s.one(`select count(*) from usage`) >= int64(calls) })
	conn, err := pgx.Connect(s.t.Context(), s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(s.t.Context(), `select completion_tokens from usage order by 1`)
	if err != nil {
		s.t.Fatal(err)
	}
	if tokens, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		s.t.Fatal(err)
	}
	return tokens
}

// errLater is a 503 with word of when to come back: on a busy machine Redis may be silent
// for longer than a call waits.
var errLater = errors.New("refused for now")

// listeners are clients that begin one stream after the other.
type listeners struct {
	url, key string
	work     sync.WaitGroup
	over     atomic.Bool  // nobody begins another
	flowing  atomic.Int64 // clients whose first stream has begun
	refused  atomic.Int64 // calls that were told to come back

	mu        sync.Mutex
	delivered []int64 // tokens, of each stream
	finished  int
	cut       int
	failures  []error
}

func (l *listeners) begin(n int) {
	for i := range n {
		l.work.Go(func() {
			for first := true; first || !l.over.Load(); first = false {
				if !l.listen(i, first) {
					return
				}
			}
		})
	}
}

// listen reads one stream to its end, and says whether it had one.
func (l *listeners) listen(i int, first bool) bool {
	flows := func() {
		if first {
			l.flowing.Add(1)
		}
	}
	tokens, finished, err := l.stream(i, flows)
	for tries := 1; errors.Is(err, errLater) && tries < 30; tries++ { // as the official clients do
		l.refused.Add(1)
		time.Sleep(time.Second) // which is what it was told to wait
		tokens, finished, err = l.stream(i, flows)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.failures = append(l.failures, fmt.Errorf("client %d, after %d tokens: %w", i, tokens, err))
		return false
	case finished:
		l.finished++
	default:
		l.cut++
	}
	l.delivered = append(l.delivered, tokens)
	return true
}

// stream makes a call in one of the protocols; flows is told of the first token.
func (l *listeners) stream(i int, flows func()) (tokens int64, finished bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	path, model := "/v1/chat/completions", "echo"
	if i%4 >= 2 {
		path, model = "/v1/messages", "echo-messages"
	}
	if i%2 == 1 {
		model = strings.Replace(model, "echo", "long", 1)
	}
	body := fmt.Sprintf(`{"model":%q,"max_tokens":4096,"stream":true,"messages":[{"role":"user","content":"Go on."}]}`, model)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, l.url+path, strings.NewReader(body))
	if err != nil {
		return 0, false, err
	}
	request.Header.Set("X-Api-Key", l.key)
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return 0, false, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == "1" {
		return 0, false, errLater
	}
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(response.Body)
		return 0, false, fmt.Errorf("answered %d %s", response.StatusCode, text)
	}
	failed := false
	for lines := bufio.NewReader(response.Body); ; {
		line, err := lines.ReadBytes('\n')
		if n := bytes.Count(line, []byte(`"`+rollingWord+`"`)); n > 0 {
			if tokens == 0 {
				flows()
			}
			tokens += int64(n)
		}
		finished = finished || bytes.HasPrefix(line, []byte("data: [DONE]")) || bytes.Contains(line, []byte(`"type":"message_stop"`))
		failed = failed || bytes.Contains(line, []byte(`"error":{`))
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return tokens, false, err
		}
	}
	if finished == failed {
		return tokens, false, errors.New("the stream ends without an end")
	}
	return tokens, finished, nil
}
