package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv/child"
	"github.com/kikuai/kikuai/internal/testenv/nginxserver"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
	"github.com/kikuai/kikuai/internal/testenv/program"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	model         = "load"
	botToken      = "424242:load-test-bot-token-of-thirty-five-c"
	webhookSecret = "load-test-webhook-secret"
	welcome       = "0.50"    // USD, of each new person
	funds         = "1000000" // USD, of each account with a key: no call is refused for money
	accounts      = 32        // two on each shard
)

// catalogue has one model, which answers at once.
const catalogue = `providers:
  - {name: sim, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: ` + model + `
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 16384
    deployments: [{provider: sim, model: sim-instant, max_concurrency: 4096}]
`

// site is everything that a run starts. close ends all of it.
type site struct {
	dir       string
	url       string // where clients go
	ops       string // kikuai's own listener
	authority string // file of the certificate authority that vouches for url; "": it is http
	clients   string // addresses that clients come from, as k6 is told them
	keys      string // file of the API keys

	program  program.Program
	kikuai   int                 // its process
	client   atomic.Int64        // k6's, while it runs
	front    *nginxserver.Server // nil: clients go to kikuai itself
	redis    *redisserver.Server
	postgres *pgserver.Server
	telegram *telegramsim.Server
	closers  []func() error
}

func (here *site) close() {
	for i := len(here.closers) - 1; i >= 0; i-- {
		if err := here.closers[i](); err != nil {
			fmt.Fprintln(os.Stderr, "loadtest: close:", err)
		}
	}
}

func startSite(ctx context.Context, s settings) (_ *site, err error) {
	here := &site{}
	defer func() {
		if err != nil {
			here.close()
		}
	}()
	if here.dir, err = os.MkdirTemp("", "kikuai-loadtest-"); err != nil {
		return nil, err
	}
	here.closers = append(here.closers, func() error { return os.RemoveAll(here.dir) })
	if err := os.Chmod(here.dir, 0o755); err != nil { // nginx and Postgres run as other users
		return nil, err
	}
	if err := here.startStores(ctx); err != nil {
		return nil, err
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return nil, err
	}
	if err := here.startFront(ctx, addr, s.direct); err != nil {
		return nil, err
	}
	upstream, err := here.startSimulators(s)
	if err != nil {
		return nil, err
	}
	if err := here.startKikuai(ctx, s, addr, upstream); err != nil {
		return nil, err
	}
	return here, here.makeKeys(ctx)
}

// startStores starts Redis and Postgres as production has them: both keep what they are told.
func (here *site) startStores(ctx context.Context) (err error) {
	if here.redis, err = redisserver.Start(ctx, redisserver.Options{AppendOnly: true}); err != nil {
		return err
	}
	here.closers = append(here.closers, here.redis.Close)
	if here.postgres, err = pgserver.Start(ctx, pgserver.Options{Dir: filepath.Join(here.dir, "postgres")}); err != nil {
		return err
	}
	here.closers = append(here.closers, func() error {
		return errors.Join(here.postgres.Close(), os.RemoveAll(here.postgres.Dir()))
	})
	return nil
}

// startSimulators starts Telegram and the model's provider, and says where the latter is.
func (here *site) startSimulators(s settings) (upstream string, err error) {
	events, _ := loadOf("events")
	_, people, each := crowdOf(events, s)
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	options := telegramsim.Options{Token: botToken, Log: log, RecordLimit: people*each + spareRecords}
	if here.front != nil {
		options.Trust = here.front.TLS().RootCAs
	}
	if here.telegram, err = telegramsim.Start(options); err != nil {
		return "", err
	}
	here.closers = append(here.closers, here.telegram.Close)
	if err := here.telegram.SetFaults(telegramsim.Faults{EnforcePace: true}); err != nil {
		return "", err
	}
	provider, err := llmsim.Start(llmsim.Options{Log: log})
	if err != nil {
		return "", err
	}
	here.closers = append(here.closers, provider.Close)
	return provider.URL(), nil
}

func (here *site) startKikuai(ctx context.Context, s settings, addr, upstream string) error {
	binary := s.kikuai
	if binary == "" {
		var err error
		if binary, err = program.Build(ctx, here.dir); err != nil {
			return err
		}
	}
	file := filepath.Join(here.dir, "catalogue.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, catalogue, upstream), 0o600); err != nil {
		return err
	}
	ops, err := child.FreeAddress()
	if err != nil {
		return err
	}
	here.ops = "http://" + ops
	here.program = program.Program{Binary: binary, Environment: append(os.Environ(),
		"KIKUAI_ENV=testing", "LOG_LEVEL=error", "LISTEN_ADDR="+addr, "OPS_ADDR="+ops, "PUBLIC_URL="+here.url,
		"REDIS_URL="+here.redis.URL(), "DATABASE_URL="+here.postgres.URL("postgres"), "CATALOG_FILE="+file,
		"WEBHOOK_SECRET="+webhookSecret, "TELEGRAM_BOT_TOKEN="+botToken, "TELEGRAM_API_URL="+here.telegram.URL(),
		"KEY_PEPPER=load-test-pepper-of-thirty-two-bytes!", "CHAT_MODEL="+model, "WELCOME_CREDIT_USD="+welcome,
	)}
	process, err := here.program.Serve(ctx, addr)
	if err != nil {
		return err
	}
	here.kikuai = process.PID()
	here.closers = append(here.closers, func() error {
		if err := process.Stop(syscall.SIGTERM, program.StopIn); err != nil {
			return fmt.Errorf("kikuai: %w\n%s", err, process.Tail())
		}
		return nil
	})
	return nil
}

// makeKeys gives some accounts money and a key each, without the limits that keys have by
// default, and writes the keys into a file for the scripts.
func (here *site) makeKeys(ctx context.Context) error {
	keys := make([]string, accounts)
	for i := range keys {
		var err error
		if keys[i], err = here.program.FundedKey(ctx, i+1, funds); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(keys)
	if err != nil {
		return err
	}
	here.keys = filepath.Join(here.dir, "keys.json")
	return os.WriteFile(here.keys, raw, 0o600)
}
