package main

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"

	tg "github.com/go-telegram/bot"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/requestlog"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/ratelimit"
	"github.com/kikuai/kikuai/webapp"
)

// Options are what a command decides about the app beyond the settings.
type Options struct {
	Poll bool // fetch updates from Telegram instead of waiting for the webhook
}

// App is the whole program: New wires it, Run serves until its context ends, Close
// frees what Run used.
type App struct {
	config *config.Config
	log    *slog.Logger

	registry *prometheus.Registry
	stores   *stores
	pools    map[string]func() *redis.PoolStats // of all clients of Redis, by what /performance/health calls them; none waits
	eviction *evictionGuard

	cacheRedis redis.UniversalClient
	cache      *cache.Cache
	lists      *cache.Space[[]byte]
	answers    *cache.Space[[]byte] // nil: none are kept

	postgres *pgxpool.Pool
	replica  *pgxpool.Pool // nil: there is none
	reads    *postgres.Reads
	listener net.Listener

	moneyLeases *stream.Leases
	inboxLeases *stream.Leases

	desk       *billing.Desk
	drift      *billing.Drift
	provider   *llm.Client
	models     *llm.Catalogue
	meter      *gateway.Meter
	breaker    *ratelimit.Breaker
	decisions  *ratelimit.Metrics
	limiter    *ratelimit.Limiter
	commands   *ratelimit.Guard
	topUps     *ratelimit.Guard
	files      *ratelimit.Guard
	telegram   *tg.Bot      // nil without a token
	webhook    *bot.Webhook // nil without a secret
	router     *handlers.Router
	botName    string // without @; "": not known
	dispatcher *bot.Dispatcher
	outbox     *outbox.Outbox
	courier    *outbox.Courier
	poller     *bot.Poller        // nil unless polling
	requests   *requestlog.Writer // nil: no request log
	traces     *telemetry.Traces  // nil: nothing is traced
	live       *webapp.Live
	server     *gateway.Server
	ops        *telemetry.Ops
	watch      *watch
	vitals     *vitals
	door       *frontDoor
}

// New wires the program. It binds the public listener and connects to nothing else:
// stores that are away are waited for by Run.
func New(c *config.Config, log *slog.Logger, o Options) (_ *App, err error) {
	a := &App{config: c, log: log, registry: telemetry.NewRegistry()}
	telemetry.BuildInfo(a.registry, version(), string(c.Profile))
	defer func() {
		if err != nil {
			err = errors.Join(err, a.Close())
		}
	}()
	for _, step := range []func() error{
		a.openStores, a.openCache, a.openLimits, a.openMoney, a.openMeter, a.openGuards, func() error { return a.openBot(o) }, a.openServer,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

func (a *App) openStores() (err error) {
	exchanges := telemetry.RedisExchanges(a.registry)
	if a.stores, err = openRedis(a.config.RedisURLs.Reveal(), a.config.RedisAutoPipeline, exchanges, a.log); err != nil {
		return err
	}
	if err = a.openCacheRedis(); err != nil {
		return err
	}
	hook := telemetry.RedisHook(a.registry)
	a.pools = map[string]func() *redis.PoolStats{}
	for name, client := range map[string]redis.UniversalClient{
		"redis": a.stores.hot, "redis_background": a.stores.quick, "redis_blocking": a.stores.blocking, "redis_cache": a.cacheRedis,
	} {
		if client != a.stores.hot { // whose exchanges are observed
			client.AddHook(hook)
		}
		a.pools[name] = telemetry.Promptly(client.PoolStats)
	}
	telemetry.RedisPool(a.registry, slices.Collect(maps.Values(a.pools))...)
	a.eviction = newEvictionGuard(a.stores.quick, a.log, a.registry, a.config.Profile == config.Development)
	return a.openPostgres()
}

func (a *App) openMoney() (err error) {
	a.desk, err = billing.New(billing.Config{
		Redis:         a.stores.gathered,
		Blocking:      a.stores.blocking,
		Postgres:      a.postgres,
		Reads:         a.reads,
		Leases:        a.moneyLeases,
		Log:           a.log,
		Registerer:    a.registry,
		Peppers:       a.config.KeyPeppers.Reveal(),
		WelcomeCredit: a.config.WelcomeCredit.Nano(),
		ReferralNano:  a.config.Referral.Nano(),
		ReferralMost:  a.config.ReferralMost,
		StarNano:      a.config.StarValue.Nano(),
		LowBalance:    a.config.LowBalance.Nano(),
		Stripe:        stripeOptions(a.config),
		MaxLag:        a.config.LedgerMaxLag,
		MaxBacklog:    a.config.LedgerMaxBacklog,
	})
	a.drift = billing.NewDrift(billing.DriftOptions{
		Reconciler: billing.NewReconciler(billing.ReconcilerOptions{Redis: a.stores.blocking, Postgres: a.postgres}),
		Leases:     a.moneyLeases, Log: a.log, Registerer: a.registry,
	})
	return err
}

func (a *App) leases(name string) *stream.Leases {
	return stream.NewLeases(stream.LeasesOptions{Name: name, Redis: a.stores.quick, Log: a.log})
}

// Run serves until ctx ends, then stops in order: first what takes work in, with the
// drain time for what is under way, then what settles it, then what records it.
//
// A Redis that may evict money is refused before anything is taken in.
func (a *App) Run(ctx context.Context) error {
	if err := a.eviction.look(ctx); err != nil {
		return err
	}
	edge := stage{{"HTTP", a.serve}, {"sockets", a.live.Run}, {"jobs", a.runJobs}, {"front door", a.door.run}}
	if a.telegram != nil {
		edge = append(edge, service{"dispatcher", a.dispatcher.Run}, service{"stops", a.router.Talk.Listen}, service{"courier", a.courier.Run})
	} else {
		a.log.Warn("no TELEGRAM_BOT_TOKEN: updates are kept until a server with one runs")
	}
	if a.poller != nil {
		edge = append(edge, service{"poller", a.poller.Run})
	}
	a.announce()
	err := runStages(ctx, a.log, []stage{
		edge,
		append(stage{{"meter", a.closeMeter}}, a.trails()...),
		{{"money", a.desk.Engine.Run}},
		{{"operations", a.operations}, {"watch", a.watch.run}, {"vitals", a.vitals.run}, {"eviction", a.eviction.run}, {"replica", a.reads.Run}, {"backlog", a.desk.Backlog.Run}, {"drift", a.drift.Run}, {"cache", a.runCache}, {"limits", a.limiter.Run}, {"providers", a.meter.Watch}},
	})
	a.log.Info("stopped")
	return err
}

// Close frees what New opened. It follows Run.
func (a *App) Close() error {
	var errs []error
	if a.listener != nil {
		if err := a.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	if a.provider != nil {
		a.provider.Close()
	}
	if a.breaker != nil {
		a.breaker.Close()
	}
	if a.cache != nil { // before its sources
		errs = append(errs, a.cache.Close())
	}
	if a.cacheRedis != nil {
		errs = append(errs, a.cacheRedis.Close())
	}
	for _, pool := range []*pgxpool.Pool{a.replica, a.postgres} {
		if pool != nil {
			pool.Close()
		}
	}
	if a.stores != nil {
		errs = append(errs, a.stores.close())
	}
	return errors.Join(errs...)
}
