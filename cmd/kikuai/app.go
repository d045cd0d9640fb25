package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/ratelimit"
)

const (
	settleIn = 10 * time.Second // for calls and holds that are left after the drain
	meIn     = 3 * time.Second
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

	cacheRedis redis.UniversalClient
	cache      *cache.Cache
	lists      *cache.Space[[]byte]
	answers    *cache.Space[[]byte] // nil: none are kept

	postgres *pgxpool.Pool
	listener net.Listener

	moneyLeases *stream.Leases
	inboxLeases *stream.Leases

	desk       *billing.Desk
	drift      *billing.Drift
	provider   *llm.Client
	meter      *gateway.Meter
	breaker    *ratelimit.Breaker
	decisions  *ratelimit.Metrics
	limiter    *ratelimit.Limiter
	commands   *ratelimit.Guard
	topUps     *ratelimit.Guard
	telegram   *tg.Bot      // nil without a token
	webhook    *bot.Webhook // nil without a secret
	router     *handlers.Router
	dispatcher *bot.Dispatcher
	poller     *bot.Poller // nil unless polling
	server     *gateway.Server
	ops        *telemetry.Ops
	watch      *watch
}

// New wires the program. It binds the public listener and connects to nothing else:
// stores that are away are waited for by Run.
func New(c *config.Config, log *slog.Logger, o Options) (_ *App, err error) {
	a := &App{config: c, log: log, registry: telemetry.NewRegistry()}
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
	if a.stores, err = openRedis(a.config.RedisURLs.Reveal(), a.config.RedisAutoPipeline, a.log); err != nil {
		return err
	}
	if err = a.openCacheRedis(); err != nil {
		return err
	}
	hook := telemetry.RedisHook(a.registry)
	clients := append(a.stores.clients(), a.cacheRedis)
	for _, client := range clients {
		client.AddHook(hook)
	}
	telemetry.RedisPool(a.registry, clients...)
	a.postgres, err = postgres.New(context.Background(), a.config.DatabaseURL.Reveal(), postgres.Options{
		MaxConns: a.config.PostgresMaxConns, Registerer: a.registry, Tracer: telemetry.NewPostgresTracer(a.registry),
	})
	return err
}

func (a *App) openMoney() (err error) {
	a.desk, err = billing.New(billing.Config{
		Redis:         a.stores.gathered,
		Blocking:      a.stores.blocking,
		Postgres:      a.postgres,
		Leases:        a.moneyLeases,
		Log:           a.log,
		Registerer:    a.registry,
		Peppers:       a.config.KeyPeppers.Reveal(),
		WelcomeCredit: a.config.WelcomeCredit.Nano(),
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

func (a *App) openMeter() error {
	catalogue, err := a.catalogue()
	if err != nil {
		return err
	}
	for _, note := range catalogue.Notes() {
		a.log.Warn(note)
	}
	if _, err := catalogue.Model(a.config.ChatModel); err != nil {
		a.log.Warn("CHAT_MODEL is not available: chat messages will be refused", "model", a.config.ChatModel)
	}
	a.provider = llm.NewClient(llm.ClientOptions{Registerer: a.registry})
	a.meter, err = gateway.NewMeter(gateway.MeterOptions{
		Redis:      a.stores.gathered,
		Holds:      a.desk.Holds,
		Backlog:    a.desk.Backlog,
		Catalogue:  catalogue,
		Client:     a.provider,
		Log:        a.log,
		Registerer: a.registry,
		Limits:     a.houseLimits(),
		Everyone:   int64(a.config.GlobalPerMinute),
		Claims:     a.desk.Organisations,
		Breaker:    a.breaker,
		Silence:    a.stores.ears.silence,
		Decisions:  a.decisions,
	})
	return err
}

// catalogue reads the file that CATALOG_FILE names, or the embedded one.
func (a *App) catalogue() (*llm.Catalogue, error) {
	text := llm.DefaultCatalogue
	if name := a.config.CatalogFile; name != "" {
		var err error
		if text, err = os.ReadFile(name); err != nil {
			return nil, fmt.Errorf("CATALOG_FILE: %w", err)
		}
	}
	return llm.LoadCatalogue(text, os.Getenv)
}

func (a *App) openBot(o Options) (err error) {
	inbox := bot.NewInbox(a.stores.gathered)
	username := ""
	if a.config.TelegramToken.IsSet() {
		if a.telegram, err = bot.NewClient(a.config.TelegramToken.Reveal(), a.config.TelegramAPIURL, nil); err != nil {
			return err
		}
		username = a.username()
	}
	a.router = handlers.New(handlers.Options{
		Accounts:   a.desk.Accounts,
		Keys:       a.desk.Keys,
		Payments:   a.desk.Payments,
		Ledger:     a.desk.Ledger,
		Notices:    a.desk.Notices,
		Jobs:       a.desk.Jobs,
		Tiers:      a.desk.Tiers,
		Sender:     bot.NewSender(bot.SenderOptions{Client: a.telegram, Log: a.log, Registerer: a.registry}),
		Completer:  a.meter,
		Redis:      a.stores.gathered,
		Cache:      a.cache,
		CacheTTL:   a.config.CacheTTL,
		Answers:    a.forgetAnswers,
		Commands:   a.commands,
		TopUps:     a.topUps,
		Log:        a.log,
		Registerer: a.registry,
		Username:   username,
		BotID:      botID(a.config.TelegramToken.Reveal()),
		Support:    a.config.SupportContact,
		Model:      a.config.ChatModel,
		MaxOutput:  a.config.ChatMaxOutput,
		BaseURL:    a.baseURL(),
	})
	a.dispatcher = bot.NewDispatcher(bot.DispatcherOptions{
		Redis:       a.stores.quick,
		Blocking:    a.stores.blocking,
		Leases:      a.inboxLeases,
		Handler:     a.router,
		Log:         a.log,
		Registerer:  a.registry,
		Concurrency: a.config.BotConcurrency,
		Deadline:    a.config.BotDeadline,
		Drain:       a.config.DrainTimeout,
	})
	if o.Poll {
		a.poller = bot.NewPoller(bot.PollerOptions{
			Token: a.config.TelegramToken.Reveal(), ServerURL: a.config.TelegramAPIURL, Inbox: inbox, Log: a.log,
		})
	}
	if secret := a.config.WebhookSecret.Reveal(); secret != "" {
		a.webhook = bot.NewWebhook(bot.WebhookOptions{Inbox: inbox, Secret: secret, Log: a.log, Registerer: a.registry})
	}
	return nil
}

// openServer binds the public listener, so that an address in use is told at once.
func (a *App) openServer() (err error) {
	probes := map[string]func(context.Context) error{
		"redis":    redisServes(a.stores.quick),
		"postgres": postgresProbe(a.postgres, a.log),
		"leases":   leasesProbe(a.moneyLeases, a.stores.quick),
	}
	var webhook fiber.Handler
	if a.webhook != nil {
		webhook = a.webhook.Handle
	}
	options := gateway.Options{
		Meter:      a.meter,
		Keys:       a.desk.Keys,
		Checkouts:  a.desk.Checkouts,
		TopUps:     a.topUps,
		Proxies:    a.config.Proxies,
		Lists:      a.lists,
		Log:        a.log,
		Registerer: a.registry,
		Webhook:    webhook,
		Probes:     probes,
		BodyLimit:  a.config.BodyLimit,
	}
	if a.telegram != nil {
		options.Invoices = a.router
	}
	if most := a.config.AuthFailures; most > 0 {
		options.Failures = addresses{a.limiter, int64(most)}
	}
	if a.answers != nil {
		options.Answers = a.answers
	}
	a.server, err = gateway.New(options)
	if err != nil {
		return err
	}
	a.watch = &watch{log: a.log, probes: map[string]probe{"Redis": redisProbe(a.stores.quick), "Postgres": probes["postgres"]}}
	a.ops = telemetry.NewOps(a.config.OpsAddr, a.registry, a.health(probes), a.log)
	if a.listener, err = net.Listen("tcp", a.config.ListenAddr); err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	return nil
}

// Run serves until ctx ends, then stops in order: first what takes work in, with the
// drain time for what is under way, then what settles it, then what records it.
func (a *App) Run(ctx context.Context) error {
	edge := stage{{"HTTP", a.serve}, {"jobs", a.runJobs}}
	if a.telegram != nil {
		edge = append(edge, service{"dispatcher", a.dispatcher.Run})
	} else {
		a.log.Warn("no TELEGRAM_BOT_TOKEN: updates are kept until a server with one runs")
	}
	if a.poller != nil {
		edge = append(edge, service{"poller", a.poller.Run})
	}
	a.log.Info("started", "version", version(), "listen", a.listener.Addr().String(), "ops", a.config.OpsAddr, "profile", string(a.config.Profile))
	err := runStages(ctx, a.log, []stage{
		edge,
		{{"meter", a.closeMeter}},
		{{"money", a.desk.Engine.Run}},
		{{"operations", a.ops.Run}, {"watch", a.watch.run}, {"backlog", a.desk.Backlog.Run}, {"drift", a.drift.Run}, {"cache", a.runCache}, {"limits", a.limiter.Run}},
	})
	a.log.Info("stopped")
	return err
}

// serve answers HTTP until ctx ends, and then what is under way.
func (a *App) serve(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- a.server.Serve(a.listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.DrainTimeout)
	defer cancel()
	return errors.Join(a.server.Shutdown(drain), <-served)
}

// closeMeter waits, once nothing new comes in, for the last calls and holds.
func (a *App) closeMeter(ctx context.Context) error {
	<-ctx.Done()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleIn)
	defer cancel()
	return a.meter.Close(within)
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
	if a.postgres != nil {
		a.postgres.Close()
	}
	if a.stores != nil {
		errs = append(errs, a.stores.close())
	}
	return errors.Join(errs...)
}

// botID is the number before the colon of a bot's token.
func botID(token string) int64 {
	number, _, _ := strings.Cut(token, ":")
	id, _ := strconv.ParseInt(number, 10, 64) // the configuration has seen to it
	return id
}

// username asks Telegram for the bot's own name. Without an answer every command
// counts as ours, which is right in private chats.
func (a *App) username() string {
	ctx, cancel := context.WithTimeout(context.Background(), meIn)
	defer cancel()
	me, err := bot.Me(ctx, a.telegram)
	if err != nil {
		a.log.Warn("Telegram does not say who this bot is", "error", err)
		return ""
	}
	return me.Username
}

// baseURL is what key holders put into their SDK.
func (a *App) baseURL() string { return publicURL(a.config) + "/v1" }
