package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/doctor"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/redisinfo"
)

const doctorConns = 4 // to Postgres

// doctorCommand looks a deployment over. It ends with 0 without a fault and with 1 where
// there is one; warnings change nothing.
type doctorCommand struct {
	asJSON    `embed:""`
	Only      []string      `arg:"" optional:"" help:"Look at these alone: ${doctor_words}; or at one check by its whole name."`
	Backups   string        `placeholder:"DIR" help:"Where backups lie: the newest must not be too old."`
	BackupAge time.Duration `default:"26h" help:"How old the newest backup may be."`
}

func (c doctorCommand) Run(t *terminal) error {
	checks, done, err := c.checks(t)
	if err != nil {
		return err
	}
	chosen := doctor.Only(checks, c.Only)
	notes, err := c.unseen(checks)
	if err == nil && len(chosen) == 0 {
		err = errors.New(strings.Join(notes, "; "))
	}
	if err != nil {
		return errors.Join(err, done())
	}
	for _, note := range notes {
		fmt.Fprintln(t.errs, "Notice: "+note)
	}
	found := doctor.Examine(t.ctx, chosen)
	if err := errors.Join(c.tell(t.out, found), done()); err != nil {
		return err
	}
	if faults := doctor.Count(found, doctor.Fault); faults > 0 {
		return exitError{1, errors.New(count(faults, "fault", "faults"))}
	}
	return nil
}

// What can be looked at, and what must be there for that.
var (
	doctorWords = []string{"configuration", "secrets", "redis", "postgres", "keys", "clocks", "telegram", "catalogue", "provider", "cards", "web", "host"}
	doctorNeeds = map[string]string{
		"telegram": "TELEGRAM_BOT_TOKEN is not set", "cards": "STRIPE_SECRET_KEY is not set", "web": "PUBLIC_URL is not set, or is not https",
		"provider": "no provider of that name has a key", "redis.cluster": "REDIS_URL names one server", "redis.cache": "CACHE_REDIS_URL is not set", "postgres.replica": "DATABASE_REPLICA_URL is not set",
		"host.backups": "--backups is not given",
	}
)

// unseen says of each word that chooses nothing why. A word that means nothing is an error.
func (c doctorCommand) unseen(checks []doctor.Check) (notes []string, err error) {
	for _, word := range c.Only {
		if len(doctor.Only(checks, []string{word})) > 0 {
			continue
		}
		part, _, _ := strings.Cut(word, ".")
		why := cmp.Or(doctorNeeds[word], doctorNeeds[part])
		if len(checks) == 1 && slices.Contains(doctorWords, part) { // the configuration
			why = "the configuration has faults, which kikuai doctor configuration shows"
		}
		if why == "" {
			return nil, fmt.Errorf("there is nothing called %s to look at: there are %s, and each check by its whole name", word, strings.Join(doctorWords, ", "))
		}
		notes = append(notes, word+" was not looked at: "+why)
	}
	return notes, nil
}

// checks are all that this configuration has something to look at for. done closes what
// they look with.
func (c doctorCommand) checks(t *terminal) (checks []doctor.Check, done func() error, err error) {
	settings, faults := config.Load(t.lookup, config.NeedServe, t.names...)
	checks = []doctor.Check{{Name: "configuration", Run: func(context.Context) []doctor.Finding { return configured(settings, faults) }}}
	if faults != nil {
		return checks, func() error { return nil }, nil //nolint:nilerr // the faults are what that check finds
	}
	ward := &ward{config: settings}
	if err := ward.open(t.ctx); err != nil {
		return nil, nil, errors.Join(err, ward.close())
	}
	more, err := ward.checks(c)
	if err != nil {
		return nil, nil, errors.Join(err, ward.close())
	}
	return append(checks, more...), ward.close, nil
}

// configured is what the configuration's own checks found.
func configured(c *config.Config, err error) (found []doctor.Finding) {
	var faults *config.FaultsError
	if errors.As(err, &faults) {
		for _, f := range faults.Faults {
			found = append(found, doctor.Finding{Level: doctor.Fault, Says: f.Variable + " " + f.Problem + ".", Mend: f.Mend})
		}
		return append(found, doctor.Finding{Level: doctor.Warning, Says: "Nothing else was looked at.", Mend: "mend the configuration first"})
	}
	if err != nil {
		return []doctor.Finding{{Level: doctor.Fault, Says: err.Error()}}
	}
	for _, note := range c.Notes() {
		found = append(found, doctor.Finding{Level: doctor.Warning, Says: note, Mend: "correct it, or remove it"})
	}
	if c.Profile != config.Production {
		found = append(found, doctor.Finding{Level: doctor.Warning, Says: "The profile is " + string(c.Profile) + ", which demands less than production does.", Mend: "set KIKUAI_ENV=production where people pay"})
	}
	if len(found) == 0 {
		found = append(found, doctor.Finding{Level: doctor.OK, Says: "The configuration is whole."})
	}
	return found
}

// ward is what the doctor looks with.
type ward struct {
	config  *config.Config
	stores  *stores
	cache   redis.UniversalClient // nil: it has no Redis of its own
	books   doctor.Postgres
	desk    *billing.Desk
	client  *llm.Client
	closers []func() error
}

// open makes clients; it connects to nothing.
func (w *ward) open(ctx context.Context) (err error) {
	quiet := slog.New(slog.DiscardHandler)
	if w.stores, err = openRedis(w.config.RedisURLs.Reveal(), false, nil, quiet); err != nil {
		return err
	}
	w.closers = append(w.closers, w.stores.close)
	if urls := w.config.CacheRedisURLs.Reveal(); len(urls) > 0 {
		if w.cache, err = cacheClient(urls); err != nil {
			return err
		}
		w.closers = append(w.closers, w.cache.Close)
	}
	if w.books.Pool, err = postgres.New(ctx, w.config.DatabaseURL.Reveal(), postgres.Options{MaxConns: doctorConns}); err != nil {
		return err
	}
	w.closers = append(w.closers, func() error { w.books.Pool.Close(); return nil })
	if url := w.config.DatabaseReplicaURL; url.IsSet() {
		if w.books.Replica, err = postgres.New(ctx, url.Reveal(), postgres.Options{MaxConns: 1}); err != nil {
			return err
		}
		w.closers = append(w.closers, func() error { w.books.Replica.Close(); return nil })
	}
	w.client = llm.NewClient(llm.ClientOptions{})
	w.closers = append(w.closers, func() error { w.client.Close(); return nil })
	w.desk, err = billing.New(billing.Config{Redis: w.stores.quick, Postgres: w.books.Pool, Log: quiet, Peppers: w.config.KeyPeppers.Reveal()})
	return err
}

func (w *ward) close() error {
	var errs []error
	for _, end := range w.closers {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

func (w *ward) checks(c doctorCommand) ([]doctor.Check, error) {
	web := doctor.NewWebClient(nil)
	w.closers = append(w.closers, func() error { web.CloseIdleConnections(); return nil })
	checks := w.secrets().Checks()
	checks = append(checks, doctor.Redis{Client: w.stores.quick, Cache: w.cache}.Checks()...)
	checks = append(checks, w.books.Checks()...)
	checks = append(checks, doctor.Keys{Count: w.keys}.Checks()...)
	clocks := doctor.Clocks{Redis: w.stores.quick, Postgres: w.books.Pool, Web: web, Now: time.Now}
	if w.config.TelegramToken.IsSet() {
		clocks.Telegram = w.config.TelegramAPIURL
		telegram, err := w.telegram()
		if err != nil {
			return nil, err
		}
		checks = append(checks, telegram.Checks()...)
	}
	checks = append(checks, clocks.Checks()...)
	checks = append(checks, w.providers()...)
	if key := w.config.StripeSecretKey; key.IsSet() {
		checks = append(checks, doctor.Cards{Key: key.Reveal(), API: w.config.StripeAPIURL, Client: web}.Checks()...)
	}
	checks = append(checks, doctor.Web{URL: w.config.PublicURL, Client: web, Question: w.question, Now: time.Now}.Checks()...)
	return append(checks, doctor.Host{Disks: w.disks, Backups: c.Backups, Oldest: c.BackupAge, Now: time.Now}.Checks()...), nil
}

// question is one that only this installation can ask, and its servers answer.
func (w *ward) question() (name, value string) {
	moment := decimal(time.Now().Unix())
	return gateway.HeaderDoctor, moment + "." + w.desk.Keys.Seal(gateway.PurposeDoctor, moment)
}

// keys counts those that can be used, and those whose pepper is not configured.
func (w *ward) keys(ctx context.Context) (found, lost int64, err error) {
	p, err := w.desk.Keys.Peppered(ctx)
	return p.Found, p.Lost, err
}

func (w *ward) secrets() (s doctor.Secrets) {
	c := w.config
	for i, pepper := range c.KeyPeppers.Reveal() {
		s = append(s, doctor.Secret{Name: fmt.Sprintf("KEY_PEPPER (number %d)", i+1), Value: pepper, Bits: doctor.BitsOfPepper})
	}
	s = append(s, doctor.Secret{Name: "WEBHOOK_SECRET", Value: c.WebhookSecret.Reveal(), Bits: doctor.BitsOfWebhook})
	for name, urls := range map[string][]string{
		"REDIS_URL": c.RedisURLs.Reveal()[:1], "DATABASE_URL": {c.DatabaseURL.Reveal()},
	} {
		for _, text := range urls {
			u, err := url.Parse(text)
			if err != nil || u.User == nil || local(u) {
				continue
			}
			password, _ := u.User.Password()
			s = append(s, doctor.Secret{Name: "the password in " + name, Value: password, Bits: doctor.BitsOfPassword})
		}
	}
	return s
}

// local tells whether a store is on this machine.
func local(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

func (w *ward) telegram() (doctor.Telegram, error) {
	client, err := bot.NewClient(w.config.TelegramToken.Reveal(), w.config.TelegramAPIURL, nil)
	if err != nil {
		return doctor.Telegram{}, err
	}
	book, err := texts.Load()
	if err != nil {
		return doctor.Telegram{}, err
	}
	t := doctor.Telegram{Client: client, Updates: bot.AllowedUpdates(), Now: time.Now}
	for _, menu := range handlers.Menus(book, nil) {
		if _, private := menu.Scope.(*models.BotCommandScopeAllPrivateChats); private && menu.Language == "" {
			t.Commands = menu.Commands
		}
	}
	if w.config.PublicURL != "" {
		t.Webhook = w.config.PublicURL + "/webhook"
	}
	t.App = func(ctx context.Context) string {
		return miniApp(ctx, http.DefaultClient, w.config.PublicURL, w.config.TelegramAPIURL)
	}
	return t, nil
}

func (w *ward) providers() []doctor.Check {
	catalogue, err := loadCatalogue(w.config, os.Getenv)
	if err != nil {
		return []doctor.Check{{Name: "catalogue", Run: func(context.Context) []doctor.Finding {
			return []doctor.Finding{{Level: doctor.Fault, Says: "The catalogue cannot be used: " + err.Error() + ".", Mend: "correct it, or unset CATALOG_FILE to use the built-in one"}}
		}}}
	}
	return doctor.Providers{Catalogue: catalogue, Client: w.client, ChatModel: w.config.ChatModel}.Checks()
}

// disks are where stores on this machine keep their files, as far as they tell.
func (w *ward) disks(ctx context.Context) map[string]string {
	dirs := map[string]string{}
	if here, err := os.Getwd(); err == nil {
		dirs["kikuai"] = here
	}
	if one, is := w.stores.quick.(*redis.Client); is && loopback(one.Options().Addr) {
		dirs["Redis"] = redisinfo.Setting(ctx, one, "dir")
	}
	var dir string
	at := w.books.Pool.Config().ConnConfig
	if err := w.books.Pool.QueryRow(ctx, `select setting from pg_settings where name = 'data_directory'`).Scan(&dir); err == nil && loopback(net.JoinHostPort(at.Host, "0")) {
		dirs["Postgres"] = dir
	}
	return dirs
}

func loopback(address string) bool { return local(&url.URL{Host: address}) }

// tell prints the findings: for people the grave ones last, where they are seen.
func (c doctorCommand) tell(out io.Writer, found []doctor.Finding) error {
	faults, warnings := doctor.Count(found, doctor.Fault), doctor.Count(found, doctor.Warning)
	if c.JSON {
		return c.print(out, struct {
			Findings []doctor.Finding `json:"findings"`
			Faults   int              `json:"faults"`
			Warnings int              `json:"warnings"`
		}{found, faults, warnings})
	}
	for _, level := range []doctor.Level{doctor.OK, doctor.Warning, doctor.Fault} {
		for _, f := range found {
			if f.Level != level {
				continue
			}
			if _, err := fmt.Fprintf(out, "%-8s %-20s %s\n", f.Level, f.Check, f.Says); err != nil {
				return err
			}
			if f.Mend != "" {
				if _, err := fmt.Fprintf(out, "%29s → %s\n", "", f.Mend); err != nil {
					return err
				}
			}
		}
	}
	_, err := fmt.Fprintf(out, "\n%s, %s, %d well.\n", count(faults, "fault", "faults"), count(warnings, "warning", "warnings"), len(found)-faults-warnings)
	return err
}
