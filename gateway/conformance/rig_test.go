// Package conformance_test drives the gateway with the official clients, changed
// in nothing but base URL and key.
package conformance_test

import (
	"context"
	"net"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// The HTTP server's housekeeping notices its end after up to ten seconds.
func TestMain(m *testing.M) {
	testenv.Main(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp/stackless.funcWorker")) // compresses, for the process' life
}

const (
	patience = time.Minute
	dollar   = billing.NanoPerUSD
	simKey   = "sk-sim" // which the provider asks for
)

// site is a gateway that listens, in front of a scripted provider.
type site struct {
	t        testing.TB
	desk     *billing.Desk
	pool     *pgxpool.Pool
	url      string // with /v1
	provider string // the provider's own, with /v1
	sim      *llmsim.Server
	people   int64
}

func open(t testing.TB) *site {
	t.Helper()
	s := &site{t: t, pool: testenv.Postgres(t)}
	log := testenv.Logger(t)
	handle := testenv.RedisServer(t)
	client := handle.Client()
	blocking := handle.ClientWith(redis.Options{PoolSize: 40, ContextTimeoutEnabled: true})
	var err error
	s.desk, err = billing.New(billing.Config{
		Redis: client, Blocking: blocking, Postgres: s.pool, Log: log, Peppers: []string{"the pepper of these tests"},
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: blocking, Log: log}),
	})
	s.must(err)
	s.background(s.desk.Engine.Run)

	s.sim, err = llmsim.New(llmsim.Options{Log: log, FirstToken: -1, Cadence: -1, Key: simKey, Models: []string{"claude-fast"}})
	s.must(err)
	s.background(s.sim.Run)
	s.provider = s.sim.URL() + "/v1"
	catalogue, err := llm.LoadCatalogue([]byte(catalogueFor(s.sim)), func(name string) string { return map[string]string{"SIM_KEY": simKey}[name] })
	s.must(err)
	provider := llm.NewClient(llm.ClientOptions{})
	t.Cleanup(provider.Close)
	meter, err := gateway.NewMeter(gateway.MeterOptions{
		Redis: client, Holds: s.desk.Holds, Catalogue: catalogue, Client: provider, Log: log, Limits: billing.Limits{RequestsPerMinute: 1_000_000}, Patience: patience,
	})
	s.must(err)
	kept, err := cache.New(cache.Options{Redis: client, RedisPatience: patience, Log: log})
	s.must(err)
	t.Cleanup(func() { s.must(kept.Close()) })
	server, err := gateway.New(gateway.Options{Meter: meter, Keys: s.desk.Keys, Log: log, Answers: gateway.NewAnswerSpace(kept, time.Hour)})
	s.must(err)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	s.must(err)
	s.url = "http://" + listener.Addr().String() + "/v1"
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for _, err := range []error{server.Shutdown(ctx), <-served, meter.Close(ctx)} {
			if err != nil {
				t.Error(err)
			}
		}
	})
	testenv.Until(s.t, "the shards open", func() bool {
		for shard := range stream.Shard(stream.Shards) {
			if client.Exists(t.Context(), shard.Key("epoch")).Val() == 0 {
				return false
			}
		}
		return true
	})
	return s
}

// background runs a service until the test ends.
func (s *site) background(run func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(ctx); err != nil {
			s.t.Error(err)
		}
	}()
	s.t.Cleanup(func() {
		cancel()
		<-done
	})
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// account opens an account and makes a key with a limit; 0: the default one.
func (s *site) account(nano int64, limit int) (id int64, key string) {
	s.t.Helper()
	s.people++
	account, _, err := s.desk.Accounts.Open(s.t.Context(), billing.Profile{TelegramID: s.people, Name: "Kiku"})
	s.must(err)
	if nano > 0 {
		_, err = s.desk.Accounts.Credit(s.t.Context(), billing.Credit{
			AccountID: account.ID, AmountNano: nano, Kind: billing.CreditAdjustment, IdempotencyKey: "conformance:" + strconv.FormatInt(account.ID, 10),
		})
		s.must(err)
	}
	return account.ID, s.key(account.ID, billing.Limits{RequestsPerMinute: int64(limit)})
}

// key makes one more key of an account.
func (s *site) key(account int64, limits billing.Limits) string {
	s.t.Helper()
	_, key, err := s.desk.Keys.Create(s.t.Context(), billing.KeySpec{AccountID: account, Name: "sdk", Limits: limits})
	s.must(err)
	return key
}

// wantLedger: what the answers said they cost, with what was cut short, is to the
// nano-dollar what the ledger took and what is missing from the balance.
func (s *site) wantLedger(account, credited, said int64, calls, estimated int) {
	s.t.Helper()
	var n, guessed int
	var spent, cut int64
	testenv.Until(s.t, "the ledger has every call", func() bool {
		s.must(s.pool.QueryRow(s.t.Context(), `
			select count(*), count(*) filter (where estimated), coalesce(sum(captured_nano), 0)::bigint,
				coalesce(sum(captured_nano) filter (where estimated), 0)::bigint
			from usage where account_id = $1`, account).Scan(&n, &guessed, &spent, &cut))
		return n >= calls
	})
	if n != calls || guessed != estimated || spent != said+cut || spent <= 0 {
		s.t.Errorf("the ledger has %d calls (%d estimated) for %d nano-USD, %d of it estimated; the answers said %d", n, guessed, spent, cut, said)
	}
	balance, err := s.desk.Accounts.Balance(s.t.Context(), account)
	s.must(err)
	if want := (billing.Balance{Available: credited - spent}); balance != want {
		s.t.Errorf("balance %+v, want %+v", balance, want)
	}
}

func nano(t testing.TB, usd string) int64 {
	t.Helper()
	n, err := billing.ParseUSD(usd)
	if err != nil {
		t.Fatalf("%q: %v", usd, err)
	}
	return n
}
