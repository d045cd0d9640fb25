package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
	"github.com/kikuai/kikuai/internal/testenv/program"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	webhookSecret = "bench-webhook-secret"
	credit        = "1000000" // USD; no call is refused for money
	model         = "bench"
	others        = 64 // accounts
	othersAtOnce  = 4
)

// catalogue declares the instant upstream as a local provider.
const catalogue = `providers:
  - {name: bench, protocol: openai, base_url: %s/v1, local: true}
  - {name: flow, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: ` + model + `
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 16384
    deployments: [{provider: bench, model: bench}]
  - {id: ` + flowModel + `, prices: {input: "0.15", output: "0.60"}, context: 128000, max_output: 16384, deployments: [{provider: flow, model: flow, max_concurrency: 4096}]}
  - {id: ` + heldModel + `, prices: {input: "0.15", output: "0.60"}, context: 128000, max_output: 16384, deployments: [{provider: flow, model: held, max_concurrency: 4096}]}
`

// site is everything that one run starts: Redis, Postgres, the upstream, kikuai and
// the bare handler. close ends all of it.
type site struct {
	key          string
	keys         []string // of other accounts
	kikuai       string
	program      program.Program // kikuai's
	redisURL     string
	databaseURL  string
	kikuaiPID    int
	redisPID     int // kikuai's
	postgres     int // its first process
	ops          string
	bare         string
	barePID      int
	bareRedisPID int
	upstreamPID  int
	upstream     string
	flow         string       // the upstream of streams
	updates      atomic.Int64 // the last update's id
	closers      []func() error
}

func (s *site) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil {
			fmt.Fprintln(os.Stderr, "bench: close:", err)
		}
	}
}

// build starts everything. binary is a kikuai that was built elsewhere; "": this tree's.
func build(ctx context.Context, binary string) (_ *site, err error) {
	s := &site{}
	s.updates.Store(time.Now().Unix())
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	dir, err := os.MkdirTemp("", "kikuai-bench-")
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error { return os.RemoveAll(dir) })
	if err := s.startUpstream(ctx); err != nil {
		return nil, err
	}
	if s.flow, err = s.serveFlow(); err != nil {
		return nil, err
	}
	// Each handler has a Redis of its own, so that neither pays for the other's keys.
	stores := make([]*redisserver.Server, 2)
	for i := range stores {
		if stores[i], err = redisserver.Start(ctx, redisserver.Options{}); err != nil {
			return nil, err
		}
		s.closers = append(s.closers, stores[i].Close)
	}
	database, err := pgserver.Start(ctx, pgserver.Options{})
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, database.Close)
	s.redisPID, s.bareRedisPID, s.postgres = stores[0].PID(), stores[1].PID(), database.PID()
	if err := s.startKikuai(ctx, dir, binary, stores[0].URL(), database.URL("postgres")); err != nil {
		return nil, err
	}
	return s, s.startBare(ctx, stores[1].Addr)
}

// startUpstream starts the upstream, in a process of its own so that its work is not taken
// for the client's.
func (s *site) startUpstream(ctx context.Context) error {
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.upstream = "http://" + addr
	s.upstreamPID, err = s.startSelf(ctx, http.MethodGet, s.upstream, "-upstream", addr)
	return err
}

func (s *site) startKikuai(ctx context.Context, dir, binary, redisURL, databaseURL string) error {
	if binary == "" {
		var err error
		if binary, err = program.Build(ctx, dir); err != nil {
			return err
		}
	}
	file := filepath.Join(dir, "catalogue.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, catalogue, s.upstream, s.flow), 0o600); err != nil {
		return err
	}
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	ops, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.program = program.Program{Binary: binary, Environment: append(os.Environ(),
		"KIKUAI_ENV=testing", "LOG_LEVEL=error", "LISTEN_ADDR="+addr, "OPS_ADDR="+ops,
		"REDIS_URL="+redisURL, "DATABASE_URL="+databaseURL, "CATALOG_FILE="+file,
		"WEBHOOK_SECRET="+webhookSecret, "TELEGRAM_BOT_TOKEN=1:bench", "TELEGRAM_API_URL="+s.upstream,
		"RATE_LIMIT_REQUESTS_PER_MINUTE=1000000", // of keys without a limit of their own
		"KEY_PEPPER=bench-pepper-of-thirty-two-bytes!", "CHAT_MODEL="+model,
	)}
	s.redisURL, s.databaseURL = redisURL, databaseURL
	process, err := s.program.Serve(ctx, addr)
	if err != nil {
		return err
	}
	s.closeLast(process)
	s.kikuaiPID, s.kikuai, s.ops = process.PID(), "http://"+addr, "http://"+ops
	if s.key, err = s.program.FundedKey(ctx, 1, credit); err != nil {
		return err
	}
	return s.openOthers(ctx)
}

// openOthers makes the accounts of people who each have a key, a few at a time.
func (s *site) openOthers(ctx context.Context) error {
	s.keys = make([]string, others)
	errs, slots := make([]error, others), make(chan struct{}, othersAtOnce)
	var all sync.WaitGroup
	for i := range s.keys {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			s.keys[i], errs[i] = s.program.FundedKey(ctx, 2+i, credit)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func (s *site) startBare(ctx context.Context, redisAddr string) error {
	addr, err := child.FreeAddress()
	if err != nil {
		return err
	}
	s.bare = "http://" + addr
	s.barePID, err = s.startSelf(ctx, http.MethodPost, s.bare+"/two", "-bare", addr, "-bare-redis", redisAddr, "-bare-model", s.upstream)
	return err
}

// startSelf runs this command for another part of the bench, and returns when that answers
// such a request.
func (s *site) startSelf(ctx context.Context, method, url string, args ...string) (pid int, err error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	process, err := program.Start(ctx, exec.Command(self, args...), method, url)
	if err != nil {
		return 0, err
	}
	s.closeLast(process)
	return process.PID(), nil
}

// closeLast has close stop a process before all that was there when it was started, and
// show what it had to say.
func (s *site) closeLast(process *child.Process) {
	s.closers = append(s.closers, func() error {
		err := process.Stop(syscall.SIGTERM, program.StopIn)
		if said := process.Tail(); said != "" {
			fmt.Fprintln(os.Stderr, said)
		}
		return err
	})
}

// update is a small update of Telegram with the given id, from one of many chats. It is of
// a kind that the bot takes in, keeps and hands on like any other and then has nothing to do
// with, so that the figure is of taking updates in.
func update(id int64) []byte {
	chat := strconv.FormatInt(1000+id%512, 10)
	return fmt.Appendf(nil, `{"update_id":%d,"edited_channel_post":{"message_id":%d,"from":{"id":%s,"is_bot":false,"first_name":"Bench","language_code":"en"},`+
		`"chat":{"id":%s,"first_name":"Bench","type":"private"},"date":1790000000,"text":"How do I read a file line by line in Go?"}}`, id, id, chat, chat)
}
