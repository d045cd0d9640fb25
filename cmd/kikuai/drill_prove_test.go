//go:build prove

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	drillFaster = 20 // the rules' times are divided by this
	drillEvery  = 500 * time.Millisecond
	drillIn     = 3 * time.Minute // for one component, each way
	drillLeast  = 10 * time.Second
	drillReport = "../../deploy/runbook/DRILL.md"
	drillPlan   = "../../deploy/runbook/README.md"
	drillPerson = 5_300_000
)

// fault is one component that goes away and comes back.
type fault struct {
	name       string
	begin, end func()
}

// drill is a site under load with a Prometheus that watches it.
type drill struct {
	*chatters
	front      *testenv.NginxHandle
	database   *testenv.PostgresHandle
	prometheus *testenv.PrometheusHandle
	key        string
	seen       *sightings
}

// TestProveDrill takes each component away in turn, under load, and holds what happens to
// what the runbook says: which alerts fire, what users see, and that all is well again when
// the component is back. PROVE_AWAY="Redis,nginx" takes those alone; PROVE_WRITE=1 writes what
// it saw into the runbook.
func TestProveDrill(t *testing.T) {
	d := newDrill(t)
	promised := runbookPlan(t)
	var report strings.Builder
	fmt.Fprintf(&report, "| away | alerts, after | users saw | well again after | quiet after |\n|---|---|---|---|---|\n")
	only := os.Getenv("PROVE_AWAY")
	for _, f := range d.faults() {
		if only != "" && !slices.Contains(strings.Split(only, ","), f.name) {
			continue
		}
		expected := promised[f.name]
		if len(expected) == 0 {
			t.Fatalf("the runbook does not say what fires without %s", f.name)
		}
		row := d.take(f, expected)
		t.Log(row)
		report.WriteString(row + "\n")
	}
	d.finish()
	if os.Getenv("PROVE_WRITE") == "" {
		return
	}
	head := fmt.Sprintf("# Drill\n\nWhat `make prove-drill` saw last (%s): each component of a site of two instances behind nginx taken away under load, with the rules' times divided by %d; "+
		"the times are multiplied by as much, and with them the second or two that a fault takes to show itself.\n\n", time.Now().UTC().Format(time.DateOnly), drillFaster)
	if err := os.WriteFile(drillReport, []byte(head+report.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

func newDrill(t *testing.T) *drill {
	t.Helper()
	s := newSiteOf(t, plainBinary, func(o *telegramsim.Options) { o.RecordLimit = 100_000 })
	s.excuses = func(telegramsim.Violation) bool { return true }
	d := &drill{database: testenv.PostgresServer(t), seen: &sightings{}}
	s.redis = testenv.RedisServerWith(t, redisserver.Options{AppendOnly: true})
	s.env["REDIS_URL"], s.env["CIRCUIT_BREAKER_RECOVERY_TIMEOUT"], s.env["PUBLIC_PROBE_EVERY"] = s.redis.URL(), "3s", drillEvery.String()
	s.useDatabase(d.database.URL())
	other := s.another()
	d.chatters = &chatters{site: s, sites: []*site{s, other}, pool: d.database.Pool()}
	behindFront(t, d.sites...) // Telegram's way in, which is not drilled
	s.arrange("webhook", "set")
	var servers, watched []string
	for _, one := range d.sites {
		servers, watched = append(servers, one.env["LISTEN_ADDR"]), append(watched, one.env["OPS_ADDR"])
	}
	d.front = testenv.Nginx(t, testenv.NginxOptions{Upstreams: servers})
	for _, one := range d.sites {
		one.env["PUBLIC_URL"], one.env["SSL_CERT_FILE"] = d.front.URL(), d.front.CAFile()
		d.serves = append(d.serves, one.serve())
	}
	d.key = s.key(personID, "1000")
	s.asOwner(`select note_backup(1)`) // or its alert is true, and fires
	d.prometheus = testenv.Prometheus(t, testenv.PrometheusOptions{Targets: watched, Rules: fasterRules(t), Every: drillEvery})
	// It begins to scrape some seconds after it answers, and would miss the instances until then.
	d.until(drillIn, "seen by Prometheus", func() bool {
		up, _ := d.prometheus.Value(`sum(up{job="kikuai"})`)
		return int(up) == len(watched)
	})
	d.load()
	return d
}

func (d *drill) faults() []fault {
	telegram := func(percent float64) func() {
		return func() {
			if err := d.telegram.SetFaults(telegramsim.Faults{BadGatewayPercent: percent}); err != nil {
				d.t.Error(err)
			}
		}
	}
	return []fault{
		{"Redis", d.redis.Stop, d.redis.Start},
		{"Postgres", d.database.Stop, d.database.Start},
		{"an instance", d.serves[1].kill, func() { d.serves[1] = d.sites[1].serve() }},
		{"nginx", d.front.Kill, d.front.Start},
		{"the provider", func() { d.model.Assign("", llmsim.Script{Status: 500}) }, d.model.Reset},
		{"Telegram", telegram(100), telegram(0)},
	}
}

// take takes one component away until what is expected fires, and brings it back.
func (d *drill) take(f fault, expected []string) (row string) {
	d.t.Helper()
	d.until(drillIn, "quiet before "+f.name+" goes", func() bool {
		_, some := d.prometheus.Value(`ALERTS{alertname!="CertificateExpiring"}`) // pending ones, too
		return !some && d.seen.well()
	})
	d.seen.reset()
	began := time.Now()
	f.begin()
	fired := map[string]time.Duration{}
	deadline := began.Add(drillIn)
	missing := func() bool {
		return slices.ContainsFunc(expected, func(name string) bool { return fired[name] == 0 })
	}
	for (missing() || time.Since(began) < drillLeast) && time.Now().Before(deadline) {
		for _, name := range d.firing() {
			if fired[name] == 0 {
				fired[name] = time.Since(began)
			}
		}
		time.Sleep(drillEvery / 2)
	}
	saw := d.seen.summary()
	for _, name := range expected {
		if fired[name] == 0 {
			d.t.Errorf("without %s %s did not fire within %s; %s", f.name, name, drillIn, saw)
		}
	}
	d.seen.reset()
	f.end()
	back := time.Now()
	d.until(drillIn, "well after "+f.name+" is back", d.seen.well)
	well := time.Since(back)
	d.until(drillIn, "quiet after "+f.name+" is back", func() bool { return len(d.firing()) == 0 })
	quiet := time.Since(back)
	var alerts []string
	for name, after := range fired {
		mark := ""
		if !slices.Contains(expected, name) {
			mark = " (also)"
		}
		alerts = append(alerts, fmt.Sprintf("%s%s %s", name, mark, (after*drillFaster).Round(time.Second)))
	}
	slices.Sort(alerts)
	return fmt.Sprintf("| %s | %s | %s | %s | %s |", f.name, strings.Join(alerts, ", "), saw,
		well.Round(100*time.Millisecond), (quiet * drillFaster).Round(time.Second))
}

// firing are the alerts that fire now, but for the one on the front's certificate, which is
// made for two days.
func (d *drill) firing() []string {
	return slices.DeleteFunc(d.prometheus.Firing(), func(name string) bool { return name == "CertificateExpiring" })
}

// load asks for balances and answers by way of nginx, and chats, until the test ends.
func (d *drill) load() {
	ctx, cancel := context.WithCancel(context.Background())
	var work sync.WaitGroup
	d.t.Cleanup(func() {
		cancel()
		work.Wait()
	})
	through := *d.site
	through.url, through.client = d.front.URL(), d.front.Client()
	repeat := func(every time.Duration, do func()) {
		work.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for ctx.Err() == nil {
				do()
				select {
				case <-ctx.Done():
				case <-tick.C:
				}
			}
		})
	}
	for range 4 {
		repeat(200*time.Millisecond, func() {
			began := time.Now()
			status, _ := through.get("/api/v1/balance", d.key)
			d.seen.note("balance", status, time.Since(began))
		})
		repeat(200*time.Millisecond, func() {
			began := time.Now()
			status, _ := through.chat(d.key, "echo", "hello", 10)
			d.seen.note("completion", status, time.Since(began))
		})
	}
	person := d.telegram.User(drillPerson, "Ada").ID
	asked := 0
	repeat(500*time.Millisecond, func() {
		asked++
		word := "question-" + strconv.Itoa(asked)
		began := time.Now()
		if _, err := d.telegram.Say(person, word); err != nil {
			return
		}
		within, stop := context.WithTimeout(ctx, 20*time.Second)
		defer stop()
		status := 200
		if _, err := d.telegram.WaitSent(within, person, said("^"+word)); err != nil {
			status = 0
		}
		if ctx.Err() == nil {
			d.seen.note("chat", status, time.Since(began))
		}
	})
}

// sightings are what users saw: of each kind of call how it ended, and the longest wait.
type sightings struct {
	mu      sync.Mutex
	ends    map[string]map[int]int
	longest map[string]time.Duration
	row     map[string]int // successes since the last failure
}

func (s *sightings) note(kind string, status int, took time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends[kind] == nil {
		s.ends[kind] = map[int]int{}
	}
	s.ends[kind][status]++
	s.longest[kind] = max(s.longest[kind], took)
	if s.row[kind]++; status != 200 {
		s.row[kind] = 0
	}
}

func (s *sightings) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends, s.longest, s.row = map[string]map[int]int{}, map[string]time.Duration{}, map[string]int{}
}

// well: the last calls of each kind went well.
func (s *sightings) well() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ends == nil {
		s.ends, s.longest, s.row = map[string]map[int]int{}, map[string]time.Duration{}, map[string]int{}
	}
	return s.row["balance"] >= 10 && s.row["completion"] >= 10 && s.row["chat"] >= 2
}

func (s *sightings) summary() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var kinds []string
	for kind, ends := range s.ends {
		var parts []string
		for status, n := range ends {
			name := strconv.Itoa(status)
			if status == 0 {
				name = "no answer"
			}
			parts = append(parts, fmt.Sprintf("%s × %d", name, n))
		}
		slices.Sort(parts)
		kinds = append(kinds, fmt.Sprintf("%s: %s, at most %s", kind, strings.Join(parts, ", "), s.longest[kind].Round(10*time.Millisecond)))
	}
	slices.Sort(kinds)
	return strings.Join(kinds, "; ")
}

var (
	ruleTimes    = regexp.MustCompile(`(for: |\[)(\d+)([smhd])`)
	ruleInterval = regexp.MustCompile(`(?m)^ *interval: .*\n`)
)

// fasterRules are the rules with their times divided; windows keep room for six scrapes.
func fasterRules(t *testing.T) (files []string) {
	t.Helper()
	paths, err := filepath.Glob("../../deploy/prometheus/rules/*.yml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	units := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		text := ruleTimes.ReplaceAllStringFunc(string(raw), func(found string) string {
			part := ruleTimes.FindStringSubmatch(found)
			n, _ := strconv.Atoi(part[2]) // digits
			quick := time.Duration(n) * units[part[3]] / drillFaster
			if part[1] == "[" {
				quick = max(quick, 6*drillEvery)
			}
			return part[1] + strconv.FormatInt(quick.Milliseconds(), 10) + "ms"
		})
		file := filepath.Join(t.TempDir(), filepath.Base(path))
		if err := os.WriteFile(file, []byte(ruleInterval.ReplaceAllString(text, "")), 0o600); err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

var (
	planRow  = regexp.MustCompile(`(?m)^\| ([^|]+) is away \| ([^|]+) \|`)
	planName = regexp.MustCompile(`\[(\w+)\]`)
)

// runbookPlan is what the runbook says fires without each component.
func runbookPlan(t *testing.T) map[string][]string {
	t.Helper()
	raw, err := os.ReadFile(drillPlan)
	if err != nil {
		t.Fatal(err)
	}
	plan := map[string][]string{}
	for _, row := range planRow.FindAllStringSubmatch(string(raw), -1) {
		for _, name := range planName.FindAllStringSubmatch(row[2], -1) {
			plan[row[1]] = append(plan[row[1]], name[1])
		}
	}
	return plan
}
