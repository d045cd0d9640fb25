package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/internal/testenv/pgserver"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	webhookSecret = "bench-webhook-secret"
	startIn       = 30 * time.Second
	stopIn        = 30 * time.Second
	credit        = "1000000" // USD; no call is refused for money
	limit         = "2000000000"
	model         = "bench"
)

// catalogue declares the instant upstream as a local provider.
const catalogue = `providers:
  - {name: bench, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: ` + model + `
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 16384
    deployments: [{provider: bench, model: bench}]
`

// site is everything that one run starts: Redis, Postgres, the upstream, kikuai and
// the bare handler. close ends all of it.
type site struct {
	key     string
	kikuai  string
	ops     string
	bare    string
	closers []func() error
}

func (s *site) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		if err := s.closers[i](); err != nil {
			fmt.Fprintln(os.Stderr, "bench: close:", err)
		}
	}
}

func build(ctx context.Context) (_ *site, err error) {
	s := &site{}
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
	upstream, err := s.serveUpstream()
	if err != nil {
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
	if err := s.startKikuai(ctx, dir, upstream, stores[0].URL(), database.URL("postgres")); err != nil {
		return nil, err
	}
	return s, s.startBare(ctx, upstream, stores[1].Addr)
}

// serveUpstream answers every request at once with the same completion.
func (s *site) serveUpstream() (string, error) {
	answer := []byte(`{"id":"chatcmpl-bench","object":"chat.completion","created":1,"model":"bench",` +
		`"choices":[{"index":0,"message":{"role":"assistant","content":"Hello! How can I help you today?"},` +
		`"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":9,"total_tokens":18}}`)
	server := &fasthttp.Server{NoDefaultServerHeader: true, Handler: func(c *fasthttp.RequestCtx) {
		c.SetContentType("application/json")
		c.SetBody(answer)
	}}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	s.closers = append(s.closers, func() error {
		return errors.Join(server.Shutdown(), <-served)
	})
	return "http://" + listener.Addr().String(), nil
}

func (s *site) startKikuai(ctx context.Context, dir, upstream, redisURL, databaseURL string) error {
	binary := filepath.Join(dir, "kikuai")
	compile := exec.CommandContext(ctx, "go", "build", "-o", binary, "./cmd/kikuai")
	compile.Stderr = os.Stderr
	if err := compile.Run(); err != nil {
		return fmt.Errorf("build kikuai: %w", err)
	}
	file := filepath.Join(dir, "catalogue.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, catalogue, upstream), 0o600); err != nil {
		return err
	}
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	ops, err := freeAddr()
	if err != nil {
		return err
	}
	environment := append(os.Environ(),
		"KIKUAI_ENV=testing", "LOG_LEVEL=error", "LISTEN_ADDR="+addr, "OPS_ADDR="+ops,
		"REDIS_URL="+redisURL, "DATABASE_URL="+databaseURL, "CATALOG_FILE="+file,
		"WEBHOOK_SECRET="+webhookSecret, "TELEGRAM_BOT_TOKEN=1:bench", "TELEGRAM_API_URL="+upstream,
		"KEY_PEPPER=bench-pepper-of-thirty-two-bytes!", "CHAT_MODEL="+model,
	)
	admin := func(args ...string) ([]byte, error) {
		command := exec.CommandContext(ctx, binary, args...)
		command.Env, command.Stderr = environment, os.Stderr
		return command.Output()
	}
	if _, err := admin("migrate"); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if err := s.spawn(binary, environment, "serve"); err != nil {
		return err
	}
	s.kikuai, s.ops = "http://"+addr, "http://"+ops
	if err := ready(ctx, s.kikuai+"/readyz"); err != nil {
		return err
	}
	if _, err := admin("admin", "credit", "--telegram-id", "1", "--usd", credit, "--idempotency-key", "bench", "--json"); err != nil {
		return fmt.Errorf("credit: %w", err)
	}
	made, err := admin("admin", "key", "--telegram-id", "1", "--name", "bench", "--rpm", limit, "--json")
	if err != nil {
		return fmt.Errorf("key: %w", err)
	}
	var key struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(made, &key); err != nil {
		return fmt.Errorf("key: %w", err)
	}
	s.key = key.Key
	return nil
}

func (s *site) startBare(ctx context.Context, upstream, redisAddr string) error {
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := s.spawn(self, os.Environ(), "-bare", addr, "-bare-redis", redisAddr, "-bare-model", upstream); err != nil {
		return err
	}
	s.bare = "http://" + addr
	return ready(ctx, s.bare+"/two")
}

// spawn starts a process that close ends with SIGTERM, and kills when that is not enough.
func (s *site) spawn(binary string, environment []string, args ...string) error {
	process := exec.Command(binary, args...)
	process.Env, process.Stdout, process.Stderr = environment, os.Stderr, os.Stderr
	if err := process.Start(); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error {
		if err := process.Process.Signal(os.Interrupt); err != nil {
			return nil // it has ended already
		}
		kill := time.AfterFunc(stopIn, func() { _ = process.Process.Kill() })
		defer kill.Stop()
		_ = process.Wait()
		return nil
	})
	return nil
}

// ready waits until the address answers a POST or a GET with 200.
func ready(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, startIn)
	defer cancel()
	for {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			request, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader([]byte("{}")))
			if err != nil {
				return err
			}
			if response, err := http.DefaultClient.Do(request); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				_ = response.Body.Close()
				if response.StatusCode == http.StatusOK {
					return nil
				}
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s did not become ready in %s", url, startIn)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func freeAddr() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// update is a small text message of Telegram with the given id, from one of many chats.
func update(id int64) []byte {
	chat := strconv.FormatInt(1000+id%512, 10)
	return fmt.Appendf(nil, `{"update_id":%d,"edited_message":{"message_id":%d,"from":{"id":%s,"is_bot":false,"first_name":"Bench","language_code":"en"},`+
		`"chat":{"id":%s,"first_name":"Bench","type":"private"},"date":1790000000,"text":"How do I read a file line by line in Go?"}}`, id, id, chat, chat)
}
