package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/webapp"
)

const (
	telegramAPI = "https://api.telegram.org"
	notThere    = "none"

	byWebhook = "webhook"
	byPolling = "polling"
)

// turnedOn is what a start has made of the settings. It holds no secrets.
type turnedOn struct {
	version, profile string
	listen, ops      string

	postgres    string // host:port/database
	connections int32
	pooled      bool // through PgBouncer
	replica     string

	redis      []string // host:port
	redisTLS   bool
	cacheRedis []string // none: the same
	cache      string   // the policy
	entries    int
	answers    time.Duration // 0: none are kept

	perMinute, global, failures, topUps int
	perSecond                           float64 // of the token bucket; 0: there is none
	burst                               int64
	ledgerLag                           time.Duration

	bot, updates, telegram string // the last: the address, where it is not Telegram's own
	miniApp                string
	cards                  bool
	providers              []string
	models                 int
	traces                 string
	logDays                int
	drain                  time.Duration
}

// turnedOn reads it from what New has made.
func (a *App) turnedOn() turnedOn {
	c := a.config
	conn := a.postgres.Config().ConnConfig
	t := turnedOn{
		version: version(), profile: string(c.Profile), listen: a.listener.Addr().String(), ops: c.OpsAddr,
		postgres:    net.JoinHostPort(conn.Host, strconv.Itoa(int(conn.Port))) + "/" + conn.Database,
		connections: c.PostgresMaxConns, pooled: conn.DefaultQueryExecMode == pgx.QueryExecModeExec,
		replica: hostsOf(c.DatabaseReplicaURL.Reveal()), redis: placesOf(c.RedisURLs.Reveal()), cacheRedis: placesOf(c.CacheRedisURLs.Reveal()),
		redisTLS: strings.HasPrefix(c.RedisURLs.Reveal()[0], "rediss:"),
		cache:    c.CachePolicy, entries: c.CacheSize, answers: c.AnswerTTL,
		perMinute: c.RequestsPerMinute, global: c.GlobalPerMinute, failures: c.AuthFailures, topUps: c.TopUpsPerHour,
		ledgerLag: c.LedgerMaxLag, bot: a.botName, updates: a.delivery(), miniApp: a.miniAppPlace(),
		cards: c.StripeSecretKey.IsSet(), models: len(a.models.Models()), traces: hostsOf(c.TracesTo), logDays: c.LogDays, drain: c.DrainTimeout,
	}
	if c.TelegramAPIURL != telegramAPI {
		t.telegram = hostsOf(c.TelegramAPIURL)
	}
	refill, burst := c.Bucket()
	t.perSecond, t.burst = float64(refill)/1000, burst
	for _, p := range a.models.Providers() {
		t.providers = append(t.providers, p.Name)
	}
	return t
}

func (a *App) delivery() string {
	switch {
	case a.telegram == nil:
		return notThere
	case a.poller != nil:
		return byPolling
	}
	return byWebhook
}

func (a *App) miniAppPlace() string {
	if !webapp.Built() {
		return "not built"
	}
	return publicURL(a.config) + webapp.Prefix
}

// hostsOf is where an address leads, without user, password and query.
func hostsOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host + strings.TrimRight(u.Path, "/")
}

func placesOf(urls []string) []string {
	var all []string
	for _, u := range urls {
		all = append(all, hostsOf(u))
	}
	return all
}

// announce says once at the start what is on: a sentence where people read the log, and
// names with values where machines do.
func (a *App) announce() {
	on := a.turnedOn()
	if a.config.Text() {
		a.log.Info(on.sentence())
		return
	}
	a.log.LogAttrs(context.Background(), slog.LevelInfo, "started", on.attrs()...)
}

func (t turnedOn) attrs() []slog.Attr {
	return []slog.Attr{
		slog.String("version", t.version), slog.String("profile", t.profile), slog.String("listen", t.listen), slog.String("ops", t.ops),
		slog.Group("postgres", "at", t.postgres, "connections", t.connections, "pgbouncer", t.pooled, "replica", cmp.Or(t.replica, notThere)),
		slog.Group("redis", "at", t.redis, "cluster", len(t.redis) > 1, "tls", t.redisTLS),
		slog.Group("cache", "at", t.cacheAt(), "policy", t.cache, "entries", t.entries, "answers_seconds", t.answers.Seconds()),
		slog.Group("limits", "requests_per_minute", t.perMinute, "per_second", t.perSecond, "burst", t.burst, "global_per_minute", t.global,
			"auth_failures_per_minute", t.failures, "topups_per_hour", t.topUps, "ledger_lag_seconds", t.ledgerLag.Seconds()),
		slog.Group("telegram", "bot", t.bot, "updates", t.updates, "api", cmp.Or(t.telegram, "telegram.org")),
		slog.Group("payments", "stars", t.updates != notThere, "cards", t.cards),
		slog.Group("catalogue", "providers", t.providers, "models", t.models),
		slog.String("mini_app", t.miniApp), slog.String("traces", cmp.Or(t.traces, notThere)),
		slog.Int("request_log_days", t.logDays), slog.Float64("drain_seconds", t.drain.Seconds()),
	}
}

// cacheAt is where the cache's Redis is.
func (t turnedOn) cacheAt() []string {
	if len(t.cacheRedis) == 0 {
		return t.redis
	}
	return t.cacheRedis
}

// sentence is for people: what is on, and what is off for want of a setting.
func (t turnedOn) sentence() string {
	parts := []string{
		fmt.Sprintf("kikuai %s, profile %s: API on %s, metrics on %s", t.version, t.profile, t.listen, t.ops),
		t.stores(), t.limits(), t.people(),
		fmt.Sprintf("%d models by %s", t.models, cmp.Or(strings.Join(t.providers, ", "), "no provider at all (set a provider's key)")),
	}
	off := []string{}
	if t.cards {
		parts = append(parts, "cards by Stripe")
	} else {
		off = append(off, "card payments")
	}
	if t.traces != "" {
		parts = append(parts, "traces to "+t.traces)
	} else {
		off = append(off, "traces")
	}
	if t.logDays > 0 {
		parts = append(parts, fmt.Sprintf("request log of %d days", t.logDays))
	} else {
		off = append(off, "request log")
	}
	if t.answers == 0 {
		off = append(off, "kept answers")
	}
	text := strings.Join(parts, "; ") + "."
	if len(off) > 0 {
		text += " Off: " + strings.Join(off, ", ") + "."
	}
	return text
}

func (t turnedOn) stores() string {
	text := "Postgres " + t.postgres
	if t.pooled {
		text += " through PgBouncer"
	}
	if t.replica != "" {
		text += ", replica " + t.replica
	}
	text += "; Redis " + strings.Join(t.redis, ", ")
	if len(t.redis) > 1 {
		text += " (a cluster)"
	}
	if len(t.cacheRedis) > 0 {
		text += ", the cache's " + strings.Join(t.cacheRedis, ", ")
	}
	return text
}

func (t turnedOn) limits() string {
	text := fmt.Sprintf("%d requests a minute for a key", t.perMinute)
	if t.burst > 0 {
		text += fmt.Sprintf(", %g a second with bursts of %d", t.perSecond, t.burst)
	}
	if t.global > 0 {
		text += fmt.Sprintf(", %d for all together", t.global)
	}
	return text
}

func (t turnedOn) people() string {
	if t.updates == notThere {
		return "no bot (set TELEGRAM_BOT_TOKEN)"
	}
	text := "a bot that Telegram does not name"
	if t.bot != "" {
		text = "bot @" + t.bot
	}
	text += " by " + t.updates
	if t.telegram != "" {
		text += " from " + t.telegram
	}
	return text + "; Mini App " + t.miniApp
}
