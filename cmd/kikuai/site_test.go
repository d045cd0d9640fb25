package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/child"
)

// These tests run the real binary against a real Redis, a real Postgres, the
// Telegram simulator and the model simulator, all over sockets.

const (
	simToken  = "424242:simulated-bot-token-of-thirty-five-ch"
	simSecret = "simulated-webhook-secret"
	startIn   = 60 * time.Second
	stopIn    = 60 * time.Second
)

func TestMain(m *testing.M) {
	testenv.Main(tidy{m})
}

// tidy are the tests of this package, which leave no binaries behind.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	code := m.M.Run()
	if dir, err := buildDir(); err == nil {
		_ = os.RemoveAll(dir)
	}
	return code
}

// binary builds kikuai once for all tests, with the race detector where they have it.
var binary = sync.OnceValues(func() (string, error) {
	if raced {
		return build("-race")
	}
	return build()
})

// plainBinary is built as for production, for what is timed.
var plainBinary = sync.OnceValues(func() (string, error) { return build() })

// site is everything around the binary. Its environment is what a serve process sees.
type site struct {
	t        *testing.T
	binary   string
	redis    *testenv.RedisHandle
	database string
	telegram *telegramsim.Server
	model    *llmsim.Server
	env      map[string]string
	url      string
	client   *http.Client
	ownDesk  func() (*billing.Desk, error)
	excuses  func(telegramsim.Violation) bool // mistakes that the test makes the server make; nil: none
}

const siteCatalogue = `providers:
  - {name: sim, protocol: openai, base_url: %s/v1, local: true}
models:
  - id: echo
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 4096
    deployments: [{provider: sim, model: sim-echo}]
  - id: exact
    prices: {input: "0", output: "1"}
    context: 128000
    max_output: 4096
    deployments: [{provider: sim, model: sim-tokens-100}]
  - id: slow
    prices: {input: "0.15", output: "0.60"}
    context: 128000
    max_output: 4096
    deployments: [{provider: sim, model: sim-slow}]
`

// newSite starts the surroundings and migrates the database. The options change them
// before anything starts. Sites share nothing: tests that mostly wait may run in parallel.
func newSite(t *testing.T, options ...func(*telegramsim.Options)) *site {
	t.Helper()
	return newSiteOf(t, binary, options...)
}

// newSiteOf is newSite with another binary.
func newSiteOf(t *testing.T, built func() (string, error), options ...func(*telegramsim.Options)) *site {
	t.Helper()
	path, err := built()
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, binary: path, redis: testenv.RedisServer(t), database: testenv.PostgresURL(t)}
	o := telegramsim.Options{Token: simToken, Log: testenv.Logger(t)}
	for _, change := range options {
		change(&o)
	}
	if s.telegram, err = telegramsim.Start(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, mistake := range s.telegram.Mistakes() {
			if s.excuses == nil || !s.excuses(mistake) {
				t.Errorf("Telegram was called wrongly: %s", mistake)
			}
		}
		_ = s.telegram.Close()
	})
	if s.model, err = llmsim.Start(llmsim.Options{Log: testenv.Logger(t)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.model.Close() })
	catalogue := filepath.Join(t.TempDir(), "catalogue.yaml")
	if err := os.WriteFile(catalogue, fmt.Appendf(nil, siteCatalogue, s.model.URL()), 0o600); err != nil {
		t.Fatal(err)
	}
	addr := freeAddr(t)
	s.url = "http://" + addr
	s.env = map[string]string{
		"KIKUAI_ENV": "testing", "LISTEN_ADDR": addr, "OPS_ADDR": freeAddr(t),
		"DATABASE_URL": s.database, "REDIS_URL": s.redis.URL(), "CATALOG_FILE": catalogue,
		"TELEGRAM_BOT_TOKEN": simToken, "TELEGRAM_API_URL": s.telegram.URL(),
		"WEBHOOK_SECRET": simSecret, "PUBLIC_URL": s.url, "CHAT_MODEL": "echo",
		"KEY_PEPPER": sitePepper, "WELCOME_CREDIT_USD": "0.50", "RATE_LIMIT_REQUESTS_PER_MINUTE": "1000000", "DRAIN_TIMEOUT": "15s",
	}
	s.ownDesk = s.newDesk()
	transport := &http.Transport{MaxIdleConnsPerHost: 512}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(transport.CloseIdleConnections)
	s.arrange("migrate")
	return s
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := child.FreeAddress() // which no client of ours is given while a server is away
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (s *site) environ() []string {
	environ := []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "GORACE=" + os.Getenv("GORACE")}
	for name, value := range s.env {
		environ = append(environ, name+"="+value)
	}
	return environ
}

// command runs one command line to its end and returns what it printed.
func (s *site) command(args ...string) []byte {
	s.t.Helper()
	for again := 2; ; again-- {
		out, errs, err := s.try(args...)
		if err == nil {
			return out
		}
		if again == 0 || !notReached(string(errs)) {
			s.t.Fatalf("kikuai %s: %v\n%s", strings.Join(args, " "), err, errs)
		}
	}
}

// notReached says whether a command ended before it did anything, since Postgres on a busy
// machine did not answer in its time.
func notReached(errs string) bool {
	return strings.Contains(errs, "reach the database: context deadline exceeded")
}

func (s *site) try(args ...string) (out, errs []byte, err error) {
	var stdout, stderr bytes.Buffer
	c := exec.Command(s.binary, args...)
	c.Env, c.Stdout, c.Stderr = s.environ(), &stdout, &stderr
	err = c.Run()
	return stdout.Bytes(), stderr.Bytes(), err
}

// here runs a command line in this process: the same code as the binary's, without what
// starting that takes. What is about the commands themselves runs the binary.
func (s *site) here(args ...string) (code int, out, errs string) {
	var stdout, stderr bytes.Buffer
	code = run(s.t.Context(), args, func(name string) (string, bool) { value, set := s.env[name]; return value, set }, &stdout, &stderr)
	return code, stdout.String(), stderr.String()
}

// arrange is here for what a test only needs done; it returns what was printed.
func (s *site) arrange(args ...string) string {
	s.t.Helper()
	for again := 2; ; again-- {
		code, out, errs := s.here(args...)
		if code == 0 {
			return out
		}
		if again == 0 || !notReached(errs) {
			s.t.Fatalf("kikuai %s: exit %d\n%s", strings.Join(args, " "), code, errs)
		}
	}
}

// arranged is arrange for an admin command, whose JSON it decodes.
func (s *site) arranged(into any, args ...string) {
	s.t.Helper()
	out := s.arrange(append(append([]string{"admin"}, args...), "--json")...)
	if err := json.Unmarshal([]byte(out), into); err != nil {
		s.t.Fatalf("admin %s: %v\n%s", args[0], err, out)
	}
}

// admin runs an admin command and decodes its JSON.
func (s *site) admin(into any, args ...string) {
	s.t.Helper()
	out := s.command(append(append([]string{"admin"}, args...), "--json")...)
	if err := json.Unmarshal(out, into); err != nil {
		s.t.Fatalf("admin %s: %v\n%s", args[0], err, out)
	}
}

// key gives a new account that much money and returns an API key of it.
func (s *site) key(telegramID int, usd string) string {
	s.t.Helper()
	id := fmt.Sprint(telegramID)
	s.operator("credit", "--telegram-id", id, "--usd", usd, "--idempotency-key", "site-"+id)
	var made struct {
		Key string `json:"key"`
	}
	s.arranged(&made, "key", "--telegram-id", id, "--name", "e2e")
	if made.Key == "" {
		s.t.Fatal("admin key printed no key")
	}
	return made.Key
}

// process is one running serve.
type process struct {
	s      *site
	cmd    *exec.Cmd
	log    *lines
	ended  chan struct{}
	result error
}

// lines keeps the log of a process, bounded.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.text.Len() < 4<<20 {
		l.text.Write(p)
	}
	return len(p), nil
}

// forget keeps but the end, of a process among many.
func (l *lines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if extra := l.text.Len() - 4<<10; extra > 0 && !bytes.Contains(l.text.Bytes(), []byte("DATA RACE")) {
		l.text.Next(extra)
	}
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// spawn starts a process without waiting for it to be ready.
func (s *site) spawn(args ...string) *process {
	s.t.Helper()
	p, err := s.start(s.environ(), args...)
	if err != nil {
		s.t.Fatal(err)
	}
	return p
}

// start is spawn for any goroutine, with an environment of its own.
func (s *site) start(environ []string, args ...string) (*process, error) {
	p := &process{s: s, log: &lines{}, ended: make(chan struct{})}
	p.cmd = exec.Command(s.binary, args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environ, p.log, p.log
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.result = p.cmd.Wait()
		close(p.ended)
	}()
	s.t.Cleanup(func() {
		p.kill()
		if s.t.Failed() {
			s.t.Logf("log of %s:\n%s", strings.Join(args, " "), tail(p.log.String(), 20_000))
		}
		if strings.Contains(p.log.String(), "WARNING: DATA RACE") {
			s.t.Errorf("data race:\n%s", p.log.String())
		}
	})
	return p, nil
}

func tail(text string, n int) string { return text[max(0, len(text)-n):] }

// serve starts a process and waits until it is ready.
func (s *site) serve() *process {
	s.t.Helper()
	p := s.spawn("serve")
	p.waitReady()
	return p
}

func (p *process) waitReady() {
	p.s.t.Helper()
	p.s.until(startIn, "ready", func() bool {
		select {
		case <-p.ended:
			p.s.t.Fatalf("serve ended: %v\n%s", p.result, p.log)
		default:
		}
		status, _ := p.s.get("/readyz", "")
		return status == http.StatusOK
	})
}

// kill ends the process as a crash would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop ends the process in order and fails the test when it does not end well.
func (p *process) stop() {
	p.s.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.s.t.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(stopIn):
		p.s.t.Fatalf("serve did not stop within %s", stopIn)
	}
	if p.result != nil {
		p.s.t.Fatalf("serve ended with %v\n%s", p.result, tail(p.log.String(), 20_000))
	}
}

// until polls what only another process can know.
func (s *site) until(within time.Duration, what string, done func() bool) {
	s.t.Helper()
	deadline := time.Now().Add(within)
	for !done() {
		if time.Now().After(deadline) {
			s.t.Fatalf("not %s within %s", what, within)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (s *site) get(path, key string) (int, string) {
	return s.send(http.MethodGet, path, key, "")
}

// send makes one API call; status 0 is no answer.
func (s *site) send(method, path, key, body string) (int, string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if key != "" {
		request.Header.Set("Authorization", "Bearer "+key)
	}
	return s.do(request)
}

// do sends a request; status 0 is no answer.
func (s *site) do(request *http.Request) (int, string) {
	response, err := s.client.Do(request)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err.Error()
	}
	return response.StatusCode, string(answer)
}

// opened waits until the servers have opened every shard.
func (s *site) opened(client redis.Cmdable) {
	s.t.Helper()
	s.until(30*time.Second, "every shard is open", func() bool {
		for account := range int64(stream.Shards) {
			if client.Exists(s.t.Context(), billing.EpochKey(account)).Val() == 0 {
				return false
			}
		}
		return true
	})
}

// balance is what the API says of the key's account, as soon as Redis answers in time.
func (s *site) balance(key string) (available, held int64) {
	s.t.Helper()
	var status int
	var body string
	s.until(30*time.Second, "told a balance", func() bool {
		status, body = s.get("/api/v1/balance", key)
		return status != http.StatusServiceUnavailable
	})
	var answer struct {
		Available int64 `json:"available_nano_usd"`
		Held      int64 `json:"held_nano_usd"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		s.t.Fatalf("balance: %d %s", status, body)
	}
	return answer.Available, answer.Held
}

// chat asks the model of that name for a completion.
func (s *site) chat(key, model, text string, maxTokens int) (int, string) {
	body, err := json.Marshal(map[string]any{
		"model": model, "max_tokens": maxTokens,
		"messages": []map[string]string{{"role": "user", "content": text}},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return s.send(http.MethodPost, "/v1/chat/completions", key, string(body))
}
