package main

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kikuai/kikuai/internal/doctor"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/internal/testenv"
)

// withParameter is a database's URL with a setting for the connections that it leads to.
func withParameter(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	query := u.Query()
	query.Set(name, value)
	u.RawQuery = query.Encode()
	return u.String()
}

// asOwner carries out a statement in the site's database with a superuser's rights.
func (s *site) asOwner(statement string) {
	s.t.Helper()
	pool, err := postgres.Open(s.t.Context(), withParameter(s.t, s.database, "default_transaction_read_only", "off"), postgres.Options{Owner: true, MaxConns: 1})
	if err != nil {
		s.t.Fatal(err)
	}
	defer pool.Close()
	if _, err := pool.Exec(s.t.Context(), statement); err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
}

// examined runs kikuai doctor and returns the gravest level of each check.
func (s *site) examined(only ...string) map[string]doctor.Level {
	s.t.Helper()
	out, errs, err := s.try(append([]string{"doctor", "--json"}, only...)...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.t.Fatal(err)
	}
	var answer struct {
		Findings         []doctor.Finding
		Faults, Warnings int
	}
	if err := json.Unmarshal(out, &answer); err != nil {
		s.t.Fatalf("doctor: %v\n%s%s", err, out, errs)
	}
	if (exit != nil) != (answer.Faults > 0) || exit != nil && exit.ExitCode() != 1 {
		s.t.Errorf("doctor finds %d faults and ends with %v", answer.Faults, err)
	}
	levels := map[string]doctor.Level{}
	rank := map[doctor.Level]int{doctor.OK: 1, doctor.Warning: 2, doctor.Fault: 3}
	for _, f := range answer.Findings {
		if rank[f.Level] > rank[levels[f.Check]] {
			levels[f.Check] = f.Level
		}
		if f.Level != doctor.OK {
			s.t.Logf("doctor: %s %s: %s (%s)", f.Level, f.Check, f.Says, f.Mend)
		}
	}
	for _, secret := range []string{s.env["WEBHOOK_SECRET"], s.env["KEY_PEPPER"], s.env["TELEGRAM_BOT_TOKEN"]} {
		if strings.Contains(string(out)+string(errs), secret) {
			s.t.Errorf("the doctor prints a secret:\n%s%s", out, errs)
		}
	}
	return levels
}

// TestE2EUnfitStores: a Redis that may evict money is refused in a sentence; a Postgres
// that only reads is named and waited for; and a start says what it has turned on.
func TestE2EUnfitStores(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	set := func(policy string) {
		t.Helper()
		if err := s.redis.Client().ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	set("allkeys-lru")
	out, errs, err := s.try("serve")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(errs), "Redis may evict balances and limits") ||
		!strings.Contains(string(errs), s.redis.Addr+" (maxmemory-policy allkeys-lru)") || !strings.Contains(string(errs), "set maxmemory-policy noeviction") {
		t.Fatalf("serve on a Redis that evicts: %v\n%s%s", err, out, errs)
	}
	if level := s.examined("redis.policy")["redis.policy"]; level != doctor.Fault {
		t.Errorf("the doctor finds %q", level)
	}
	set("noeviction")

	u, err := url.Parse(s.database)
	if err != nil {
		t.Fatal(err)
	}
	base := strings.Trim(u.Path, "/")
	onlyReads := func(state string) {
		t.Helper()
		s.asOwner(`alter database ` + base + ` set default_transaction_read_only = ` + state)
		s.asOwner(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`)
	}
	onlyReads("on")
	s.env["RATE_LIMIT_PER_MINUTE"] = "5"
	serve := s.spawn("serve")
	const reads = "Postgres answers, but it cannot be used as it is: the database only reads"
	s.until(startIn, "said", func() bool { return strings.Contains(serve.log.String(), reads) })
	if status, body := s.get("/readyz", ""); status != http.StatusServiceUnavailable || !strings.Contains(body, `"postgres":"failing"`) {
		t.Errorf("/readyz: %d %s", status, body)
	}
	if level := s.examined("postgres.writes")["postgres.writes"]; level != doctor.Fault {
		t.Errorf("the doctor finds %q", level)
	}
	onlyReads("off")
	serve.waitReady()
	if text := serve.log.String(); strings.Contains(text, "goroutine ") || strings.Count(text, reads) != 1 {
		t.Errorf("not told once, or with a stack:\n%s", text)
	}
	if text := serve.log.String(); !strings.Contains(text, "RATE_LIMIT_PER_MINUTE is set, and nothing reads it: did you mean RATE_LIMIT_REQUESTS_PER_MINUTE?") {
		t.Errorf("a variable that nothing reads is not told:\n%s", text)
	}
	s.toldOnce(serve)

	// It turns read-only while calls run: they go on, and what must be written at once is refused.
	key := s.key(personID, "1")
	onlyReads("on")
	s.until(30*time.Second, "not ready", func() bool {
		status, _ := s.get("/readyz", "")
		return status == http.StatusServiceUnavailable
	})
	if status, _, body := s.paid(key); status != http.StatusOK {
		t.Errorf("a paid call while Postgres only reads: %d %s", status, body)
	}
	if status, code, text := s.call(http.MethodPost, "/api/v1/keys", key, `{"name":"second"}`, "Content-Type", "application/json"); status != http.StatusServiceUnavailable {
		t.Errorf("a key while Postgres only reads: %d %s %s", status, code, text)
	}
	onlyReads("off")
	serve.waitReady()
	serve.stop()
	s.until(30*time.Second, "applied", func() bool { _, code := s.reconcile(); return code == 0 })
}

// toldOnce holds the line that a start writes to what is turned on.
func (s *site) toldOnce(serve *process) {
	s.t.Helper()
	var line struct {
		Msg, Profile, Listen, Ops string
		Postgres                  struct{ At, Replica string }
		Redis                     struct{ At []string }
		Telegram                  struct{ Updates string }
		Payments                  struct{ Stars, Cards bool }
		Catalogue                 struct {
			Providers []string
			Models    int
		}
		Limits map[string]float64
	}
	found := 0
	for text := range strings.Lines(serve.log.String()) {
		if strings.Contains(text, `"msg":"started"`) {
			found++
			if err := json.Unmarshal([]byte(text), &line); err != nil {
				s.t.Error(err)
			}
		}
	}
	at, err := url.Parse(s.database)
	if err != nil {
		s.t.Fatal(err)
	}
	if found != 1 || line.Profile != "testing" || line.Listen != s.env["LISTEN_ADDR"] || line.Ops != s.env["OPS_ADDR"] ||
		line.Postgres.At != at.Host+at.Path || line.Postgres.Replica != "none" || len(line.Redis.At) != 1 || line.Redis.At[0] != s.redis.Addr+"/0" ||
		line.Telegram.Updates != "webhook" || !line.Payments.Stars || line.Payments.Cards ||
		len(line.Catalogue.Providers) != 1 || line.Catalogue.Models != 3 || line.Limits["requests_per_minute"] != 1_000_000 {
		s.t.Errorf("told %d times: %+v\n%s", found, line, serve.log)
	}
	if password, _ := at.User.Password(); strings.Contains(serve.log.String(), password) {
		s.t.Error("a password stands in the log")
	}
}

// TestEvictionGuard: one node of a cluster is enough to be refused at the first look; at a
// later one it is said once, counted, and taken back.
func TestEvictionGuard(t *testing.T) {
	t.Parallel()
	cluster := testenv.RedisCluster(t)
	client := cluster.Client()
	set := func(policy string) {
		t.Helper()
		if err := cluster.Nodes[2].Client().ConfigSet(t.Context(), "maxmemory-policy", policy).Err(); err != nil {
			t.Fatal(err)
		}
	}
	log := &lines{}
	guard := func() (*evictionGuard, func(eviction string) float64) {
		g := newEvictionGuard(client, telemetry.NewTextLogger(log, slog.LevelInfo), prometheus.NewPedanticRegistry(), false)
		return g, func(eviction string) float64 { return testutil.ToFloat64(g.nodes.WithLabelValues(eviction)) }
	}
	set("volatile-lru")
	g, _ := guard()
	var evicting *evictingError
	if err := g.look(t.Context()); !errors.As(err, &evicting) || len(evicting.servers) != 1 || evicting.servers[0].Addr != cluster.Nodes[2].Addr {
		t.Fatalf("the first look: %v", err)
	}
	set("noeviction")
	g, count := guard()
	if err := g.look(t.Context()); err != nil || count("never") != 3 || count("possible") != 0 || count("unknown") != 0 {
		t.Fatalf("%v; %g never, %g possible, %g unknown", err, count("never"), count("possible"), count("unknown"))
	}
	set("allkeys-random")
	for range 2 {
		if err := g.look(t.Context()); err != nil || count("never") != 2 || count("possible") != 1 {
			t.Errorf("%v; %g never, %g possible", err, count("never"), count("possible"))
		}
	}
	set("noeviction")
	if err := g.look(t.Context()); err != nil || count("possible") != 0 {
		t.Errorf("%v; %g possible", err, count("possible"))
	}
	if text := log.String(); strings.Count(text, "maxmemory-policy allkeys-random") != 1 || strings.Count(text, "evicts no longer") != 1 {
		t.Errorf("said:\n%s", text)
	}
}
