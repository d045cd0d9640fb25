package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/telegramsim/ui"
	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
	"github.com/kikuai/kikuai/webapp"
)

// devCommand runs everything on one machine. What the environment names is used;
// what it does not is brought along or simulated.
type devCommand struct {
	Data string `default:".kikuai" type:"path" help:"Where databases and chats are kept from one start to the next."`
	Chat string `default:"127.0.0.1:8081" help:"Where the chat page is served."`
}

const (
	devToken  = "424242:a-simulated-token-of-no-use-elsewhere"
	devSecret = "a-simulated-secret-of-no-use-elsewhere"
	devUser   = 1001
)

// devSite is what dev brings along, and the environment that leads the program to it.
type devSite struct {
	log     *slog.Logger
	data    string
	lookup  config.Lookup     // the real environment
	overlay map[string]string // what dev decides on top of it
	closers []func() error
	taken   []string // usual ports that others have, each with that said
	page    string   // address of the chat page; empty with the real Telegram
	store   *devStore
}

func (c devCommand) Run(t *terminal) (err error) {
	log := telemetry.NewTextLogger(t.errs, devLevel(t.lookup))
	d := &devSite{log: log, data: c.Data, lookup: t.lookup, overlay: map[string]string{}}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.build(t.ctx, c.Chat); err != nil {
		return err
	}
	settings, err := config.Load(d.find, config.NeedServe, t.names...)
	if err != nil {
		return err
	}
	for _, note := range settings.Notes() {
		log.Warn(note)
	}
	if err := postgres.Migrate(t.ctx, settings.DatabaseURL.Reveal()); err != nil {
		return err
	}
	app, err := New(settings, log, Options{Poll: d.page == ""})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	if err := d.introduce(t.ctx, app, settings); err != nil {
		return err
	}
	if err := d.welcome(t, settings, app.turnedOn()); err != nil {
		return err
	}
	return app.Run(t.ctx)
}

// introduce tells the simulated Telegram to deliver, and the real one not to: what is
// polled for must not have a webhook.
func (d *devSite) introduce(ctx context.Context, app *App, c *config.Config) error {
	if d.page != "" {
		m, err := listsOf(c)
		if err != nil {
			return err
		}
		if webapp.Built() { // which nobody can be asked yet
			m.app = c.PublicURL + miniAppAt
		}
		return errors.Join(bot.SetWebhook(ctx, app.telegram, c.PublicURL+"/webhook", c.WebhookSecret.Reveal()), m.show(ctx, app.telegram))
	}
	return errors.Join(
		bot.DeleteWebhook(ctx, app.telegram),
		showMenus(ctx, app.telegram, c),
	)
}

// devLevel keeps dev quiet unless LOG_LEVEL says otherwise: what a person wants to
// see stands on the page.
func devLevel(lookup config.Lookup) slog.Level {
	level := slog.LevelWarn
	if text, set := lookup("LOG_LEVEL"); set {
		_ = level.UnmarshalText([]byte(text)) // config reports what is wrong with it
	}
	return level
}

// find looks a variable up as the program will see it.
func (d *devSite) find(name string) (string, bool) {
	if value, ok := d.overlay[name]; ok {
		return value, true
	}
	return d.lookup(name)
}

// fallback sets a variable that is neither set nor named by a file.
func (d *devSite) fallback(name, value string) {
	if !d.has(name) {
		d.overlay[name] = value
	}
}

func (d *devSite) has(name string) bool {
	value, _ := d.find(name)
	file, _ := d.find(name + "_FILE")
	return value != "" || file != ""
}

func (d *devSite) build(ctx context.Context, chat string) error {
	if err := os.MkdirAll(d.data, 0o755); err != nil { // Postgres runs as another user below it
		return fmt.Errorf("data directory: %w", err)
	}
	d.fallback("KIKUAI_ENV", string(config.Development))
	for _, step := range []func(context.Context) error{
		d.addresses, d.redis, d.postgres, d.model,
		func(ctx context.Context) error { return d.telegram(ctx, chat) },
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// addresses takes the usual ports where they are free, and others where not.
func (d *devSite) addresses(context.Context) error {
	for name, usual := range map[string]string{"LISTEN_ADDR": "127.0.0.1:8080", "OPS_ADDR": "127.0.0.1:9091"} {
		if d.has(name) {
			continue
		}
		addr, err := d.freeOr(usual)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		d.overlay[name] = addr
	}
	listen, _ := d.find("LISTEN_ADDR")
	_, port, err := net.SplitHostPort(listen)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR %q is not an address like 127.0.0.1:8080", listen)
	}
	d.fallback("PUBLIC_URL", "http://127.0.0.1:"+port)
	return nil
}

// freeOr is the usual address, or another where somebody has it already.
func (d *devSite) freeOr(usual string) (string, error) {
	listener, err := net.Listen("tcp", usual)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(usual) // it was understood
		d.taken = append(d.taken, port+" was taken")
		listener, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		return "", err
	}
	addr := listener.Addr().String()
	return addr, listener.Close()
}

func (d *devSite) redis(context.Context) error {
	if d.has("REDIS_URL") {
		return nil
	}
	store, err := startDevStore(filepath.Join(d.data, "conversations.json"))
	if err != nil {
		return fmt.Errorf("embedded Redis: %w", err)
	}
	d.store = store
	d.closers = append(d.closers, store.close)
	d.overlay["REDIS_URL"] = "redis://" + store.addr()
	return nil
}

func (d *devSite) postgres(ctx context.Context) error {
	if d.has("DATABASE_URL") {
		return nil
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = d.data
	}
	binaries, err := pgserver.Find(ctx, filepath.Join(cache, "kikuai"))
	if err != nil {
		return err
	}
	server, err := pgserver.Start(ctx, pgserver.Options{BinDir: binaries, Dir: filepath.Join(d.data, "postgres")})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, server.Close)
	d.overlay["DATABASE_URL"] = server.URL("postgres")
	return nil
}

// model simulates the model unless there is a key for a real one or a catalogue.
func (d *devSite) model(context.Context) error {
	if d.has("CATALOG_FILE") || d.has("OPENAI_API_KEY") {
		return nil
	}
	sim, err := llmsim.Start(llmsim.Options{Log: d.log})
	if err != nil {
		return fmt.Errorf("simulated model: %w", err)
	}
	d.closers = append(d.closers, sim.Close)
	catalogue, err := simulated(llm.DefaultCatalogue, sim.URL())
	if err != nil {
		return err
	}
	file := filepath.Join(d.data, "catalogue.yaml")
	if err := os.WriteFile(file, catalogue, 0o600); err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	d.overlay["CATALOG_FILE"] = file
	return nil
}

// telegram simulates Telegram unless there is a token for the real one.
func (d *devSite) telegram(_ context.Context, chat string) error {
	if d.has("TELEGRAM_BOT_TOKEN") {
		return nil
	}
	addr, err := d.freeOr(chat)
	if err != nil {
		return fmt.Errorf("--chat is %q, where the chat page cannot be served: %w; give an address such as 127.0.0.1:8081", chat, err)
	}
	sim, err := telegramsim.Start(telegramsim.Options{
		Token: devToken, Username: "kikuai_bot", Name: "KikuAI", Log: d.log, Addr: addr,
		DataFile: filepath.Join(d.data, "telegram.json"), UI: ui.Files, Privacy: true,
	})
	if err != nil {
		return fmt.Errorf("simulated Telegram: %w", err)
	}
	d.closers = append(d.closers, sim.Close)
	if len(sim.Users()) == 0 {
		sim.User(devUser, "You")
	}
	d.page = sim.URL() + "/"
	d.overlay["TELEGRAM_BOT_TOKEN"], d.overlay["TELEGRAM_API_URL"] = devToken, sim.URL()
	d.fallback("WEBHOOK_SECRET", devSecret)
	return nil
}

// welcome says where everything is. Of the stores it names those that dev brought:
// kikuai admin is led to them by REDIS_URL and DATABASE_URL, and they listen on
// loopback alone. Others have passwords that are not ours to show.
func (d *devSite) welcome(t *terminal, c *config.Config, on turnedOn) error {
	chat := d.page
	if chat == "" {
		chat = "in Telegram, with your bot"
	}
	lines := []string{
		"KikuAI is running. Ctrl-C stops it; the data stays in " + d.data + ".", "",
		"  Chat      " + chat,
		"  API       " + c.PublicURL + "/v1      (press Start, then /newkey makes a key)",
		"  Metrics   http://" + c.OpsAddr + "/metrics",
	}
	for _, store := range [][2]string{{"Redis", "REDIS_URL"}, {"Postgres", "DATABASE_URL"}} {
		if url, brought := d.overlay[store[1]]; brought {
			lines = append(lines, fmt.Sprintf("  %-9s %s", store[0], url))
		}
	}
	if len(d.taken) > 0 {
		slices.Sort(d.taken)
		lines = append(lines, "  Ports     "+strings.Join(d.taken, ", ")+": another is used in its place")
	}
	lines = append(lines, "  Commands  "+d.adminLine(os.Args[0]), "", on.sentence())
	_, err := fmt.Fprintln(t.out, strings.Join(lines, "\n")+"\n")
	return err
}

// adminLine is what leads an admin command here: the profile, which has its pepper, and
// the stores that dev brought. What else it needs is set where dev was started.
func (d *devSite) adminLine(program string) string {
	profile, _ := d.find("KIKUAI_ENV")
	words := []string{"KIKUAI_ENV=" + profile}
	for _, name := range []string{"REDIS_URL", "DATABASE_URL"} {
		if value, brought := d.overlay[name]; brought {
			words = append(words, fmt.Sprintf("%s='%s'", name, value))
		}
	}
	return strings.Join(append(words, program, "admin …"), " ")
}

// close ends what was brought along, the newest first.
func (d *devSite) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}
