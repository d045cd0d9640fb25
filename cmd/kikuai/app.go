package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
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
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/handlers/till"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llm/route"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/requestlog"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/ratelimit"
	"github.com/kikuai/kikuai/webapp"
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

func (a *App) openMeter() error {
	catalogue, err := loadCatalogue(a.config, os.Getenv)
	if err != nil {
		return err
	}
	if err := a.tellCatalogue(catalogue); err != nil {
		return err
	}
	a.models = catalogue
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
		Groups:     a.desk.Keys,
		Claims:     a.desk.Organisations,
		Breaker:    a.breaker,
		Circuits: route.BreakerOptions{
			Failures: a.config.BreakerFailures, Recovery: a.config.BreakerRecovery, Trials: a.config.BreakerHalfOpenCalls,
		},
		Silence:   a.stores.ears.silence,
		HoldLife:  a.config.HoldLife,
		Decisions: a.decisions,
	})
	return err
}

// loadCatalogue reads the file that CATALOG_FILE names, or the embedded one, with keys from
// getenv.
func loadCatalogue(c *config.Config, getenv func(string) string) (*llm.Catalogue, error) {
	name := c.CatalogFile
	if name == "" {
		return llm.LoadCatalogue(llm.DefaultCatalogue, getenv)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("CATALOG_FILE: %w", err) // which has the path
	}
	catalogue, err := llm.LoadCatalogue(text, getenv)
	if err != nil {
		return nil, fmt.Errorf("CATALOG_FILE %s: %w", name, err)
	}
	return catalogue, nil
}

// tellCatalogue says what of the catalogue cannot be used. Most need few of its providers:
// that others have no key is worth a warning where the chat suffers.
func (a *App) tellCatalogue(catalogue *llm.Catalogue) error {
	if len(catalogue.Models()) == 0 {
		a.log.Warn("no provider has a key, so no model can be reached and chat messages will be refused: set one, such as OPENAI_API_KEY")
		return nil
	}
	whole, err := loadCatalogue(a.config, func(name string) string { // as if each had one
		if strings.HasSuffix(name, "_FILE") {
			return ""
		}
		return "any"
	})
	if err != nil {
		return err
	}
	var without []string
	for _, p := range whole.Providers() {
		if !slices.ContainsFunc(catalogue.Providers(), func(has *llm.Provider) bool { return has.Name == p.Name }) {
			without = append(without, p.Name)
		}
	}
	if len(without) > 0 {
		a.log.Info("providers without a key are left out", "providers", strings.Join(without, ", "), "models_left_out", len(whole.Models())-len(catalogue.Models()))
	}
	if _, err := catalogue.Model(a.config.ChatModel); err != nil {
		a.log.Warn("CHAT_MODEL is not available: chat messages will be refused", "model", a.config.ChatModel)
	}
	return nil
}

func (a *App) openBot(o Options) (err error) {
	inbox := bot.NewInbox(a.stores.gathered)
	if a.config.TelegramToken.IsSet() {
		if a.telegram, err = bot.NewClient(a.config.TelegramToken.Reveal(), a.config.TelegramAPIURL, nil); err != nil {
			return err
		}
		a.botName = a.username()
	}
	sender := bot.NewSender(bot.SenderOptions{Client: a.telegram, Redis: a.stores.gathered, Log: a.log, Registerer: a.registry})
	a.outbox = outbox.New(a.postgres)
	a.courier = outbox.NewCourier(outbox.CourierOptions{
		Outbox: a.outbox, Sender: bot.NewBatcher(sender), Log: a.log, Registerer: a.registry,
	})
	book, err := texts.Load()
	if err != nil {
		return err
	}
	a.router = handlers.New(handlers.Options{
		Hall: hall.Options{
			Accounts: a.desk.Accounts,
			Keys:     a.desk.Keys,
			Settings: a.desk.Settings,
			Tiers:    a.desk.Tiers,
			Texts:    book,
			Sender:   sender,
			Outbox:   a.outbox,
			Redis:    a.stores.gathered,
			Cache:    a.cache,
			CacheTTL: a.config.CacheTTL,
			Answers:  a.forgetAnswers,
			Commands: a.commands,
			TopUps:   a.topUps,
			Log:      a.log,
			Username: a.botName,
			BotID:    botID(a.config.TelegramToken.Reveal()),
			Admins:   a.config.Admins,
			Support:  a.config.SupportContact,
			Model:    a.config.ChatModel,
			BaseURL:  a.baseURL(),
		},
		Till: till.Options{
			Payments:   a.desk.Payments,
			Gifts:      a.desk.Gifts,
			Ledger:     a.desk.Ledger,
			Notices:    a.desk.Notices,
			Jobs:       a.desk.Jobs,
			Registerer: a.registry,
		},
		Talk: talk.Options{
			Completer:    a.meter,
			Files:        bot.NewFiles(a.telegram, nil),
			Hearer:       a.meter,
			HearModel:    a.config.HearingModel,
			Subscriber:   a.stores.blocking,
			MaxOutput:    a.config.ChatMaxOutput,
			SummaryModel: a.config.SummaryModel,
			Catalogue:    a.models,
			Later:        inbox,
		},
		People: people.Options{Payments: a.desk.Payments, Gifts: a.desk.Gifts},
		App: func(ctx context.Context) string {
			return miniApp(ctx, http.DefaultClient, a.config.PublicURL, a.config.TelegramAPIURL)
		},
	})
	inbox.Heed(a.router.Talk.Heed)
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
	a.watch = newWatch(a.log, a.dependencies(), a.registry)
	probes := map[string]probe{checkRedis: a.watch.last(checkRedis), checkPostgres: a.watch.last(checkPostgres), checkLeases: a.watch.last(checkLeases)}
	var webhook fiber.Handler
	if a.webhook != nil {
		webhook = a.webhook.Handle
	}
	options := gateway.Options{
		Meter:      a.meter,
		Keys:       a.desk.Keys,
		KeyMaker:   a.desk.Keys,
		KeyBook:    a.desk.Keys,
		Checkouts:  a.desk.Checkouts,
		TopUps:     a.topUps,
		Proxies:    a.config.Proxies,
		Lists:      a.lists,
		Log:        a.log,
		Registerer: a.registry,
		Webhook:    webhook,
		Probes:     probes,
		BodyLimit:  a.config.BodyLimit,
		Notice:     a.config.DrainNotice,
	}
	options.Account = a.account()
	if a.telegram != nil {
		options.Invoices = a.router.Till
	}
	if most := a.config.AuthFailures; most > 0 {
		options.Failures = addresses{a.limiter, int64(most)}
	}
	if a.answers != nil {
		options.Answers = a.answers
	}
	if err = a.openTrails(&options); err != nil {
		return err
	}
	if err = a.openMiniApp(&options); err != nil {
		return err
	}
	a.server, err = gateway.New(options)
	if err != nil {
		return err
	}
	a.vitals = newVitals(a.stores.quick, a.desk.Ledger, a.postgres, a.log, a.registry)
	a.door = newFrontDoor(a.config.PublicURL, a.config.PublicProbe, a.log, a.registry)
	a.ops = telemetry.NewOps(a.config.OpsAddr, a.registry, a.health(probes), a.log)
	if a.listener, err = net.Listen("tcp", a.config.ListenAddr); err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	return nil
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

// operations answers operators until ctx ends. Where it cannot, its setting is what to mend.
func (a *App) operations(ctx context.Context) error {
	if err := a.ops.Run(ctx); err != nil {
		return fmt.Errorf("OPS_ADDR: %w", err)
	}
	return nil
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
