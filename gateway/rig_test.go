package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"github.com/tidwall/gjson"
	"go.uber.org/goleak"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
	"github.com/kikuai/kikuai/webapp"
)

// The HTTP server's housekeeping notices its end after up to ten seconds.
func TestMain(m *testing.M) {
	testenv.Main(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp/stackless.funcWorker")) // compresses, for the process' life
}

const patience = time.Minute

// rig is the gateway on real servers, with a scripted provider.
type rig struct {
	t        testing.TB
	redis    *testenv.RedisHandle
	client   *redis.Client
	tap      *tap
	gathered redis.Cmdable
	pool     *pgxpool.Pool
	desk     *billing.Desk
	provider *llm.Client
	meter    *Meter
	server   *Server
	sim      *llmsim.Server
	registry *prometheus.Registry
	url      string
	accounts int64
	stopped  bool
	reports  *reportTray
}

// setup is what a test may change about the rig.
type setup struct {
	meter    MeterOptions
	server   Options
	timeouts llm.Timeouts
	own      string // URL of a provider of the test's own, which the model "own" is at
	claude   string // URL of a provider of Anthropic's protocol
	models   string // more models, as lines of the catalogue
	peppers  []string

	maxBacklog int           // 0: the default
	reapGrace  time.Duration // 0: the default

	stripe      *billing.StripeOptions // nil: no card payments
	starNano    int64                  // 0: no Stars
	reportGuard reportGuard
	pool        *pgxpool.Pool // nil: one of the rig's own

	sessionless bool // there is no bot
}

// patient is how long callers wait for Redis in tests where it is always there: a machine
// that does other work may keep it from answering for a while.
const patient = 5 * time.Second

// impatient makes callers wait no longer than they do in earnest.
func impatient(s *setup) { s.meter.Patience = silenceMost }

// quick are the timeouts of a client that must fail fast.
func quick(patience time.Duration) redis.Options {
	return redis.Options{
		ContextTimeoutEnabled: true, MaxRetries: -1, DialerRetries: 1,
		DialTimeout: patience, ReadTimeout: 2 * patience,
		WriteTimeout: 2 * patience, PoolTimeout: 2 * patience, PoolSize: 50,
	}
}

func newRig(t testing.TB, edit ...func(*setup)) *rig {
	t.Helper()
	s := setup{peppers: []string{"the pepper of these tests"}}
	for _, e := range edit {
		e(&s)
	}
	r := &rig{t: t, redis: testenv.RedisServer(t), pool: s.pool, registry: prometheus.NewRegistry()}
	if r.pool == nil {
		r.pool = testenv.Postgres(t)
	}
	if s.meter.Patience == 0 {
		s.meter.Patience = patient
	}
	r.client, r.tap = r.redis.ClientWith(quick(s.meter.Patience)), &tap{}
	r.client.AddHook(r.tap)
	gathered, err := r.client.AsyncAutoPipelineWithOptions(redis.DefaultBlockingAutoPipelineOptions())
	r.must(err)
	r.gathered = Joining(gathered, r.client)
	r.sim = simulator(t)
	r.openMoney(&s)

	catalogue, err := llm.LoadCatalogue([]byte(catalogueFor(r.sim.URL()+"/v1", s.own, s.claude)+s.models), func(string) string { return "" })
	r.must(err)
	r.provider = llm.NewClient(llm.ClientOptions{Timeouts: s.timeouts})
	t.Cleanup(r.provider.Close)
	s.meter.Redis, s.meter.Holds, s.meter.Backlog, s.meter.Catalogue, s.meter.Client = r.gathered, r.desk.Holds, r.desk.Backlog, catalogue, r.provider
	s.meter.Log, s.meter.Registerer = testenv.Logger(t), r.registry
	s.meter.Groups, s.meter.Claims, s.meter.Decisions = r.desk.Keys, r.desk.Organisations, ratelimit.NewMetrics(r.registry)
	if s.meter.Limits.RequestsPerMinute == 0 {
		s.meter.Limits.RequestsPerMinute = 1_000_000
	}
	r.meter, err = NewMeter(s.meter)
	r.must(err)
	r.tap.gate.Store(r.meter.gate)
	s.server.Meter, s.server.Keys, s.server.Log, s.server.Registerer = r.meter, r.desk.Keys, testenv.Logger(t), r.registry
	s.server.Checkouts = r.desk.Checkouts
	s.server.KeyMaker, s.server.KeyBook = r.desk.Keys, r.desk.Keys
	if !s.sessionless {
		s.server.Sessions, err = webapp.NewSessions(webapp.SessionsOptions{
			BotToken: rigBot, Peppers: s.peppers, Accounts: r.desk.Accounts, Languages: r.desk.Settings,
		})
		r.must(err)
	}
	r.reports = &reportTray{}
	s.server.Account = &AccountOptions{Usage: r.desk.Ledger, Movements: r.desk.Ledger, Seals: r.desk.Keys, Settings: r.desk.Settings,
		Organisations: r.desk.Organisations, Reports: r.reports, ReportGuard: s.reportGuard, StarNano: s.starNano, ChatModel: "paid"}
	r.server, err = New(s.server)
	r.must(err)
	r.serve()
	return r
}

func simulator(t testing.TB) *llmsim.Server {
	t.Helper()
	sim, err := llmsim.New(llmsim.Options{Log: testenv.Logger(t), FirstToken: -1, Cadence: -1})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := sim.Run(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	t.Cleanup(func() {
		sim.Close()
		<-done
	})
	return sim
}

// catalogueFor prices "paid" at 2 and 8 USD per million tokens, "word" at 1 USD
// per million output tokens only, and gives every scripted model the paid prices.
func catalogueFor(url, own, claude string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "providers:\n  - {name: sim, protocol: openai, base_url: %q, local: true}\n", url)
	fmt.Fprintf(&b, "  - {name: native, protocol: openai, base_url: %q, local: true, responses: true}\n", url)
	b.WriteString("  - {name: dead, protocol: openai, base_url: \"http://127.0.0.1:1/v1\", local: true}\n")
	if own != "" {
		fmt.Fprintf(&b, "  - {name: own, protocol: openai, base_url: %q, local: true, responses: true, health: true}\n", own)
	}
	if claude != "" {
		fmt.Fprintf(&b, "  - {name: claude, protocol: anthropic, base_url: %q, local: true}\n", claude)
	}
	b.WriteString("models:\n")
	model := func(id, provider, name, in, out string) {
		fmt.Fprintf(&b, "  - {id: %s, prices: {input: %q, output: %q}, context: 32000, max_output: 4000, deployments: [{provider: %s, model: %s}]}\n", id, in, out, provider, name)
	}
	model("paid", "sim", "sim-fast", "2", "8")
	model("word", "sim", "sim-tokens-10", "0", "1")
	model("free", "sim", "sim-fast", "0", "0")
	model("gone", "dead", "x", "2", "8")
	model("native", "native", "sim-fast", "2", "8")
	for _, name := range []string{"cut", "cut-early", "stall", "silent", "error-stream", "no-usage", "error-400", "429", "tokens-500"} {
		model("native-"+name, "native", "sim-"+name, "2", "8")
	}
	if own != "" {
		model("own", "own", "x", "2", "8")
		model("own-word", "own", "x", "0", "1")
	}
	if claude != "" {
		model("claude-word", "claude", "x", "0", "1")
		for _, name := range claudeModels {
			model(name, "claude", name, "2", "8")
		}
	}
	for _, name := range []string{
		"sim-tokens-10", "sim-tokens-500", "sim-hang", "sim-silent", "sim-stall", "sim-cut", "sim-cut-early", "sim-429",
		"sim-error-400", "sim-error-401", "sim-error-404", "sim-error-500", "sim-error-200", "sim-error-stream", "sim-html", "sim-html-200",
		"sim-empty", "sim-no-done", "sim-no-usage", "sim-usage-negative", "sim-usage-huge", "sim-usage-string", "sim-usage-null",
		"sim-ignores-max", "sim-reasoning", "sim-torn", "sim-unknown", "sim-instant", "sim-slow",
	} {
		model(name, "sim", name, "2", "8")
	}
	return b.String()
}

// openMoney runs the engine of money until the test ends.
func (r *rig) openMoney(s *setup) {
	r.t.Helper()
	log := testenv.Logger(r.t)
	blocking := r.redis.ClientWith(redis.Options{PoolSize: 40, ContextTimeoutEnabled: true})
	var err error
	r.desk, err = billing.New(billing.Config{
		Redis: r.gathered, Blocking: blocking, Postgres: r.pool, Log: log, Peppers: s.peppers,
		MaxBacklog: s.maxBacklog, ReapGrace: s.reapGrace, Stripe: s.stripe, StarNano: s.starNano,
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: blocking, Log: log}),
	})
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{r.desk.Engine.Run, r.desk.Backlog.Run} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	testenv.Until(r.t, "the shards open", func() bool {
		for s := range stream.Shard(stream.Shards) {
			if r.client.Exists(r.t.Context(), s.Key("epoch")).Val() == 0 {
				return false
			}
		}
		return true
	})
}

func (r *rig) serve() {
	r.t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	r.url = "http://" + listener.Addr().String()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.server.Serve(listener); err != nil {
			r.t.Error(err)
		}
	}()
	testenv.Until(r.t, "the server answers", func() bool {
		response, err := http.Get(r.url + "/health")
		if err != nil {
			return false
		}
		_ = response.Body.Close()
		return true
	})
	r.t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		if !r.stopped {
			r.stop(patience)
		}
		<-done
	})
}

// stop shuts server and meter down, with so long for what is under way.
func (r *rig) stop(drain time.Duration) {
	r.t.Helper()
	r.stopped = true
	ctx, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	r.must(r.server.Shutdown(ctx))
	settle, cancelSettle := context.WithTimeout(context.Background(), patience)
	defer cancelSettle()
	r.must(r.meter.Close(settle))
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// account opens an account with money and returns its id and a key.
func (r *rig) account(nano int64, limit ...int) (id int64, key string) {
	r.t.Helper()
	r.accounts++
	account, _, err := r.desk.Accounts.Open(r.t.Context(), billing.Profile{TelegramID: r.accounts, Name: "Kiku"})
	r.must(err)
	if nano > 0 {
		_, err = r.desk.Accounts.Credit(r.t.Context(), billing.Credit{
			AccountID: account.ID, AmountNano: nano, Kind: billing.CreditAdjustment, IdempotencyKey: "test:" + strconv.FormatInt(account.ID, 10),
		})
		r.must(err)
	}
	spec := billing.KeySpec{AccountID: account.ID, Name: "test"}
	if len(limit) > 0 {
		spec.Limits.RequestsPerMinute = int64(limit[0])
	}
	_, key, err = r.desk.Keys.Create(r.t.Context(), spec)
	r.must(err)
	return account.ID, key
}

func (r *rig) balance(account int64) billing.Balance {
	r.t.Helper()
	b, err := r.desk.Accounts.Balance(r.t.Context(), account)
	r.must(err)
	return b
}

// wantBalance waits for what is settled behind the answer.
func (r *rig) wantBalance(account, available int64) {
	r.t.Helper()
	var got billing.Balance
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		var err error // Redis may be slow for once
		if got, err = r.desk.Accounts.Balance(r.t.Context(), account); err == nil && got == (billing.Balance{Available: available}) {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	r.t.Fatalf("account %d has %+v, want %d available and nothing held", account, got, available)
}

// settled waits until nothing is held and returns what is available.
func (r *rig) settled(account int64) int64 {
	r.t.Helper()
	testenv.Until(r.t, "nothing is held", func() bool { return r.balance(account).Held == 0 })
	return r.balance(account).Available
}

// ledger waits until Postgres has applied every event and returns what the
// account has spent according to it.
func (r *rig) ledger(account int64, calls int64) (spent int64) {
	r.t.Helper()
	testenv.Until(r.t, "the ledger has all calls", func() bool {
		var n int64
		err := r.pool.QueryRow(r.t.Context(), `select count(*), coalesce(sum(captured_nano), 0)::bigint from usage where account_id = $1`, account).Scan(&n, &spent)
		r.must(err)
		return n >= calls
	})
	return spent
}

// answer is a response read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) get(path string) gjson.Result { return gjson.Get(a.body, path) }

func (r *rig) do(method, path, key, body string, headers ...string) answer {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	r.must(err)
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	r.must(err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	r.must(err)
	return answer{response.StatusCode, response.Header, string(text)}
}

func (r *rig) chat(key, model string, more ...string) answer {
	r.t.Helper()
	return r.do("POST", "/v1/chat/completions", key, chatBody(model, more...))
}

// persist asks again while the answer is 503: a busy machine is slower than clients that
// fail fast can wait.
func (r *rig) persist(ask func() answer) (a answer) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); ; {
		if a = ask(); a.status != 503 || time.Now().After(deadline) {
			return a
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func chatBody(model string, more ...string) string {
	members := append([]string{fmt.Sprintf(`"model":%q`, model), `"messages":[{"role":"user","content":"Say something."}]`}, more...)
	return "{" + strings.Join(members, ",") + "}"
}

// want checks an answer's status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("answered %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// wantError checks an error's status and that it has OpenAI's form.
func (a answer) wantError(t testing.TB, status int, code string) {
	t.Helper()
	fault := a.get("error")
	if a.status != status || fault.Get("code").Str != code || fault.Get("message").Str == "" || !fault.Get("type").Exists() || !fault.Get("param").Exists() {
		t.Errorf("answered %d %s, want %d %s", a.status, a.body, status, code)
	}
	if a.header.Get("X-Request-Id") == "" || a.header.Get("Content-Type") != fiber.MIMEApplicationJSON {
		t.Errorf("headers %v", a.header)
	}
	for _, internal := range []string{"gateway:", "billing:", "llm:", "redis", "127.0.0.1", "dial"} {
		if strings.Contains(a.body, internal) {
			t.Errorf("the answer tells of the inside: %s", a.body)
		}
	}
}

// nano reads a decimal of USD exactly.
func nano(t testing.TB, usd string) int64 {
	t.Helper()
	n, err := billing.ParseUSD(usd)
	if err != nil {
		t.Fatalf("%q: %v", usd, err)
	}
	return n
}

// streamed cuts an answer into its events' data.
func streamed(t testing.TB, body string) (events []string) {
	t.Helper()
	reader := llm.NewEventReader(bytes.NewReader([]byte(body)), 0)
	for {
		e, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return events
		}
		if err != nil {
			t.Fatal(err)
		}
		events = append(events, string(e.Data))
	}
}
