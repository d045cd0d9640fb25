package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/deploy/prometheus/metrics"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/telegramsim"
)

const (
	seriesMost = 6000 // of one instance, with a catalogue of a few models
	valuesMost = 80   // of one label of one metric
)

// ops asks the operators' listener.
func (s *site) ops(path string) string {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.env["OPS_ADDR"]+path, http.NoBody)
	if err != nil {
		s.t.Fatal(err)
	}
	status, body := s.do(request)
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", path, status, body)
	}
	return body
}

// scraped is one sample of /metrics.
type scraped struct {
	name   string
	labels map[string]string
	value  string
}

var (
	sampleShape = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$`)
	labelShape  = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"`)
)

// scrape reads /metrics as Prometheus does: the samples, and each family's type.
func (s *site) scrape() (samples []scraped, types map[string]string) {
	s.t.Helper()
	types = map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSpace(s.ops("/metrics")), "\n") {
		if typed, is := strings.CutPrefix(line, "# TYPE "); is {
			name, kind, _ := strings.Cut(typed, " ")
			types[name] = kind
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		found := sampleShape.FindStringSubmatch(line)
		if found == nil {
			s.t.Fatalf("/metrics has a line %q", line)
		}
		sample := scraped{name: found[1], labels: map[string]string{}, value: found[3]}
		for _, label := range labelShape.FindAllStringSubmatch(found[2], -1) {
			sample.labels[label[1]] = label[2]
		}
		samples = append(samples, sample)
	}
	return samples, types
}

// gauge waits until a metric without labels of its own has a value.
func (s *site) gauge(name, want string) {
	s.t.Helper()
	s.until(time.Minute, name+" "+want, func() bool {
		return strings.Contains("\n"+s.ops("/metrics"), "\n"+name+" "+want+"\n")
	})
}

// TestE2EObserved: a server that is used, misused and attacked shows what DESIGN promises,
// with bounded labels; says in its log whose requests and updates failed; and every command
// of the runbook works on it.
func TestE2EObserved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.excuses = func(telegramsim.Violation) bool { return true } // it is made to fail
	s.env["PUBLIC_PROBE_EVERY"] = "200ms"
	serve := s.serve()
	s.arrange("webhook", "set")
	key := s.key(personID, "1")
	s.use(key)
	t.Run("metrics", s.shown)
	t.Run("hostile", func(t *testing.T) { s.bounded(t, key) })
	t.Run("health", func(t *testing.T) { s.performance(t) })
	t.Run("logs", func(t *testing.T) { s.named(t, serve, key) })
	t.Run("dead letters", func(t *testing.T) { s.letters(t) })
	t.Run("runbook", s.runbook)
	serve.stop()
}

// use does what people do.
func (s *site) use(key string) {
	s.t.Helper()
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.telegram.Say(person, "hello"); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.telegram.WaitSent(s.t.Context(), person, said(`^hello`)); err != nil {
		s.t.Fatal(err)
	}
	for range 3 {
		if status, body := s.chat(key, "echo", "hello", 10); status != http.StatusOK {
			s.t.Fatalf("completion: %d %s", status, body)
		}
	}
	for _, path := range []string{"/api/v1/balance", "/api/v1/products", "/api/v1/usage", "/v1/models"} {
		if status, body := s.get(path, key); status != http.StatusOK {
			s.t.Fatalf("%s: %d %s", path, status, body)
		}
	}
	s.model.Enqueue(llmsim.Script{Status: 500}, llmsim.Script{Status: 500}, llmsim.Script{Status: 500})
	if status, body := s.chat(key, "echo", "fail", 10); status != http.StatusBadGateway {
		s.t.Fatalf("a provider that fails: %d %s", status, body)
	}
}

// promised are the metrics of DESIGN.md's contract, each with the labels it names.
func promised() map[string][]string {
	return map[string][]string{
		"http_requests_total": {"method", "endpoint", "status"}, "http_request_duration_seconds": {"endpoint"},
		"redis_pool_connections": {"type"}, "redis_command_duration_seconds": nil, "cache_hits_total": {"level", "result"},
		"ratelimit_decisions_total": nil, "circuit_breaker_state": nil, "db_query_duration_seconds": nil,
		"telegram_updates_total": nil, "telegram_inbox_lag": nil, "ledger_drain_lag_seconds": nil,
		"llm_upstream_duration_seconds": nil, "llm_tokens_total": nil,
	}
}

// shown holds a scrape to METRICS.md and to the contract.
func (s *site) shown(t *testing.T) {
	s.gauge("public_url_up", "1")
	s.gauge("ledger_partitions_ahead_months", "3")
	s.gauge("db_backup_timestamp_seconds", "0")
	samples, types := s.scrape()
	list := metrics.List()
	for name, kind := range types {
		if metrics.Ours(name) && list[name].Type != kind {
			t.Errorf("%s is a %s, and METRICS.md says %q", name, kind, list[name].Type)
		}
	}
	for name, labels := range promised() {
		if types[name] == "" {
			t.Errorf("%s is not shown", name)
		}
		for _, label := range labels {
			if !slices.Contains(list[name].Labels, label) {
				t.Errorf("%s has no label %s", name, label)
			}
		}
	}
	if _, listed := list["websocket_messages_total"]; !listed { // shown once a socket was opened
		t.Error("websocket_messages_total is not listed")
	}
	buckets := map[string]bool{}
	for _, sample := range samples {
		if sample.name == "http_request_duration_seconds_bucket" {
			buckets[sample.labels["le"]] = true
		}
		for label := range sample.labels {
			name := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(sample.name, "_bucket"), "_sum"), "_count")
			if m, is := list[name]; is && label != "le" && !slices.Contains(m.Labels, label) {
				t.Errorf("%s has a label %s that METRICS.md has not", sample.name, label)
			}
		}
	}
	for _, le := range []string{"0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5"} {
		if !buckets[le] {
			t.Errorf("http_request_duration_seconds has no bucket %s", le)
		}
	}
}

// bounded asks in every way that could make labels of what a caller sends, and finds no
// new series but a few of known words.
func (s *site) bounded(t *testing.T, key string) {
	before, _ := s.scrape()
	for i := range 40 {
		s.get(fmt.Sprintf("/nothing/%d", i), key)
		s.get(fmt.Sprintf("/api/v1/keys/%d", i), key)
		s.get(fmt.Sprintf("/v1/models/none-%d", i), key)
		s.get(fmt.Sprintf("/webapp/%d.js", i), "")
		s.get("/api/v1/balance", fmt.Sprintf("kk_%d_nobody", i))
		s.send(fmt.Sprintf("BREW%d", i), "/v1/models", key, "")
		s.chat(key, fmt.Sprintf("none-%d", i), "hello", 10)
		s.update(fmt.Sprintf(`{"update_id":%d,"kind_%d":{}}`, 900_000+i, i))
	}
	after, _ := s.scrape()
	values := map[[2]string]map[string]bool{}
	for _, sample := range after {
		for label, value := range sample.labels {
			at := [2]string{sample.name, label}
			if values[at] == nil {
				values[at] = map[string]bool{}
			}
			values[at][value] = true
		}
	}
	for at, found := range values {
		if len(found) > valuesMost {
			t.Errorf("%s has %d values of %s, such as %v", at[0], len(found), at[1], slices.Sorted(maps.Keys(found))[:5])
		}
	}
	for endpoint := range values[[2]string{"http_requests_total", "endpoint"}] {
		if strings.Contains(endpoint, "none-") || strings.Contains(endpoint, "nothing") || regexp.MustCompile(`/\d`).MatchString(endpoint) {
			t.Errorf("an endpoint is no route: %s", endpoint)
		}
	}
	if len(after) > seriesMost || len(after) > len(before)+700 {
		t.Errorf("%d series, %d before", len(after), len(before))
	}
}

// update delivers one update as Telegram does.
func (s *site) update(body string) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/webhook", strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-Telegram-Bot-Api-Secret-Token", simSecret)
	if status, answer := s.do(request); status != http.StatusOK {
		s.t.Fatalf("an update: %d %s", status, answer)
	}
}

// performance reads /performance/health and /performance/metrics as operators do.
func (s *site) performance(t *testing.T) {
	var health struct {
		Status      string
		RateLimiter struct {
			Enabled        bool
			RedisConnected bool `json:"redis_connected"`
		} `json:"rate_limiter"`
		Cache struct {
			L1 struct {
				Items   int
				Bytes   int64 `json:"size_bytes"`
				MaxSize int   `json:"max_size"`
			} `json:"l1_cache"`
			L2 struct{ Enabled, Connected bool } `json:"l2_cache"`
		}
		Breakers map[string]struct {
			State    string
			Failures int   `json:"failure_count"`
			Last     int64 `json:"last_failure_time"`
		} `json:"circuit_breakers"`
		Pools map[string]struct{ Total, Used int } `json:"connection_pools"`
	}
	if err := json.Unmarshal([]byte(s.ops("/performance/health")), &health); err != nil {
		t.Fatal(err)
	}
	if health.Status != "ok" || !health.RateLimiter.Enabled || !health.RateLimiter.RedisConnected {
		t.Errorf("status %q, rate limiter %+v", health.Status, health.RateLimiter)
	}
	if c := health.Cache; c.L1.Items == 0 || c.L1.Bytes == 0 || c.L1.MaxSize != 10_000 || !c.L2.Enabled || !c.L2.Connected {
		t.Errorf("cache %+v", c)
	}
	b, known := health.Breakers["sim/sim-echo"]
	if !known || b.State != "CLOSED" || b.Failures == 0 || time.Since(time.Unix(b.Last, 0)) > time.Hour {
		t.Errorf("circuit breakers %+v", health.Breakers)
	}
	if health.Pools["postgres"].Total == 0 || health.Pools["redis_blocking"].Total == 0 {
		t.Errorf("pools %+v", health.Pools)
	}
	var summed map[string][]struct{ P99 *float64 }
	if err := json.Unmarshal([]byte(s.ops("/performance/metrics")), &summed); err != nil || summed["http_request_duration_seconds"][0].P99 == nil {
		t.Errorf("/performance/metrics: %v", err)
	}
}

// named: log lines of failures say whose they are, and no secret.
func (s *site) named(t *testing.T, serve *process, key string) {
	account := strings.Split(key, "_")[1]
	line := func(what string, has ...string) {
		t.Helper()
		s.until(90*time.Second, "log of "+what, func() bool {
			for text := range strings.SplitSeq(serve.log.String(), "\n") {
				if strings.Contains(text, what) && !slices.ContainsFunc(has, func(part string) bool { return !strings.Contains(text, part) }) {
					return true
				}
			}
			return false
		})
	}
	line(`"request failed"`, `"request_id":"`, `"status":502`, `"account_id":`+account)
	if err := s.telegram.SetFaults(telegramsim.Faults{BadGatewayPercent: 100, Methods: []string{"sendMessage"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.Say(personID, "/balance"); err != nil {
		t.Fatal(err)
	}
	line(`"update not handled yet"`, `"update_id":`, `"account_id":`+account)
	if err := s.telegram.SetFaults(telegramsim.Faults{}); err != nil {
		t.Fatal(err)
	}
	if text := serve.log.String(); strings.Contains(text, key) || strings.Contains(text, simSecret) || strings.Contains(text, simToken) {
		t.Error("a secret is in the log")
	}
}

// letters: a dead letter is shown until somebody has looked at it.
func (s *site) letters(t *testing.T) {
	s.update(`{"update_id":`)
	s.gauge("telegram_dead_letters", "1")
	var list []struct{ ID string }
	s.until(time.Minute, "listed", func() bool {
		out, _, err := s.try("admin", "dead-letters", "list", "--json")
		return err == nil && json.Unmarshal(out, &list) == nil && len(list) == 1
	})
	s.command("admin", "dead-letters", "drop", list[0].ID)
	if _, _, err := s.try("admin", "dead-letters", "drop", list[0].ID); err == nil {
		t.Error("a letter was dropped twice")
	}
	s.gauge("telegram_dead_letters", "0")
}
