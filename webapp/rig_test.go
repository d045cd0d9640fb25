package webapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gofiber/fiber/v2"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// The HTTP server's housekeeping notices its end after up to ten seconds.
func TestMain(m *testing.M) {
	testenv.Main(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"))
}

const (
	patience = time.Minute
	dollar   = billing.NanoPerUSD
)

// rig is Live behind an HTTP server, beside the engine of money on real servers.
type rig struct {
	t      testing.TB
	redis  *redis.Client
	pool   *pgxpool.Pool
	desk   *billing.Desk
	live   *Live
	url    string
	people int64
	holds  atomic.Int64
	stop   func() // Live
}

func newRig(t testing.TB, edit ...func(*LiveOptions)) *rig {
	t.Helper()
	handle := testenv.RedisServer(t)
	r := &rig{t: t, redis: handle.Client(), pool: testenv.Postgres(t)}
	blocking := handle.ClientWith(redis.Options{PoolSize: 40, ContextTimeoutEnabled: true})
	log := testenv.Logger(t)
	var err error
	r.desk, err = billing.New(billing.Config{
		Redis: r.redis, Blocking: blocking, Postgres: r.pool, Log: log, Peppers: []string{"the pepper of these tests"},
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: blocking, Log: log}),
	})
	r.must(err)
	o := LiveOptions{Feed: billing.NewFeed(r.redis, r.pool), Subscriber: blocking, Log: log, Registerer: prometheus.NewRegistry()}
	for _, e := range edit {
		e(&o)
	}
	r.live, err = NewLive(o)
	r.must(err)
	ctx, cancel := context.WithCancel(context.Background())
	living, stop := context.WithCancel(context.Background())
	r.stop = stop
	var running sync.WaitGroup
	running.Go(func() { _ = r.desk.Engine.Run(ctx) })
	running.Go(func() { _ = r.live.Run(living) })
	t.Cleanup(func() {
		stop()
		cancel()
		running.Wait()
	})
	r.serve()
	testenv.Until(r.t, "the shards open", func() bool {
		for s := range stream.Shard(stream.Shards) {
			if r.redis.Exists(t.Context(), s.Key("epoch")).Val() == 0 {
				return false
			}
		}
		return true
	})
	return r
}

// serve answers /live. Tokens are account, key and end, with points between, or words for
// what can go wrong.
func (r *rig) serve() {
	app := fiber.New(fiber.Config{DisableStartupMessage: true, ReadBufferSize: 16 << 10})
	app.Server().KeepHijackedConns = true
	app.Get("/live", func(c *fiber.Ctx) error {
		var who *billing.Presence
		if token := c.Get("X-Api-Key"); token != "" {
			p, err := r.admit(r.t.Context(), token)
			if err != nil {
				return fiber.ErrUnauthorized
			}
			who = &p
		}
		err := r.live.Serve(c, who, r.admit)
		if errors.Is(err, billing.ErrClosed) {
			return fiber.ErrServiceUnavailable
		}
		return err
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	r.must(err)
	r.url = "http://" + listener.Addr().String() + "/live"
	done := make(chan error, 1)
	go func() { done <- app.Listener(listener) }()
	r.t.Cleanup(func() {
		_ = app.Shutdown()
		<-done
	})
}

func (r *rig) admit(_ context.Context, token string) (billing.Presence, error) {
	if token == "away" {
		return billing.Presence{}, billing.ErrClosed
	}
	var p billing.Presence
	var end int64
	if _, err := fmt.Sscanf(token, "%d.%d.%d", &p.AccountID, &p.KeyID, &end); err != nil {
		return p, billing.ErrSession
	}
	if end > 0 {
		p.Until = time.UnixMilli(end)
	}
	return p, nil
}

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// account opens an account with ten dollars.
func (r *rig) account() int64 {
	r.t.Helper()
	r.people++
	account, _, err := r.desk.Accounts.Open(r.t.Context(), billing.Profile{TelegramID: r.people})
	r.must(err)
	r.credit(account.ID, 10*dollar, "first")
	return account.ID
}

func (r *rig) credit(account, nano int64, name string) {
	r.t.Helper()
	_, err := r.desk.Accounts.Credit(r.t.Context(), billing.Credit{
		AccountID: account, AmountNano: nano, Kind: billing.CreditAdjustment, IdempotencyKey: strconv.FormatInt(account, 10) + name,
	})
	r.must(err)
}

// call spends so much, as a call of a key does, or of a chat.
func (r *rig) call(account, key, nano int64) {
	r.t.Helper()
	id := "call-" + strconv.FormatInt(r.holds.Add(1), 10)
	_, err := r.desk.Holds.Reserve(r.t.Context(), billing.Reservation{HoldID: id, AccountID: account, KeyID: key, Want: nano, Least: nano, Life: time.Minute})
	r.must(err)
	_, err = r.desk.Holds.Settle(r.t.Context(), billing.Settlement{
		HoldID: id, AccountID: account, KeyID: key, Cost: nano, Usage: billing.Usage{Prompt: 7, Completion: 9},
		Model: "echo", Deployment: "sim/echo", Source: billing.SourceApp,
	})
	r.must(err)
}

// client is a socket as a client has it.
type client struct {
	r    *rig
	conn *websocket.Conn
	last string // id of the newest event
}

// heard is an event as a client reads it.
type heard struct {
	ID, Type, At string
	Data         json.RawMessage
}

// posted waits until the ledger has so many calls of an account.
func (r *rig) posted(account int64, calls int) {
	r.t.Helper()
	testenv.Until(r.t, "the ledger has all calls", func() bool {
		var n int
		r.must(r.pool.QueryRow(r.t.Context(), `select count(*) from usage where account_id = $1`, account).Scan(&n))
		return n == calls
	})
}

func (h heard) data() (d struct {
	AvailableNano int64 `json:"available_nano_usd"`
	HeldNano      int64 `json:"held_nano_usd"`
	CostNano      int64 `json:"cost_nano_usd"`
	AmountNano    int64 `json:"amount_nano_usd"`
	InputTokens   int64 `json:"input_tokens"`
	OutputTokens  int64 `json:"output_tokens"`
	AvailableUSD  string
	Model         string
	Status        string
	Source        string
	Kind          string
	Change        string
	KeyID         *int64 `json:"key_id"`
}) {
	_ = json.Unmarshal(h.Data, &d)
	return d
}

func (h heard) String() string { return h.ID + " " + h.Type + " " + string(h.Data) }

// seq is the number of the transaction that an event's id ends with.
func (h heard) seq() int64 {
	digits, _, _ := strings.Cut(h.ID, ".")
	n, _ := strconv.ParseInt(digits, 10, 64)
	return n
}

// dial opens a socket without a word.
func (r *rig) dial(options ...func(*websocket.DialOptions)) *client {
	r.t.Helper()
	o := &websocket.DialOptions{CompressionMode: websocket.CompressionNoContextTakeover, HTTPHeader: http.Header{}}
	for _, change := range options {
		change(o)
	}
	conn, response, err := websocket.Dial(r.t.Context(), r.url, o)
	if err != nil {
		r.t.Fatalf("dial: %v %v", err, response)
	}
	conn.SetReadLimit(1 << 20)
	c := &client{r: r, conn: conn}
	r.t.Cleanup(func() { _ = conn.CloseNow() })
	return c
}

// connect opens a socket for an account, from a place on.
func (r *rig) connect(account, key int64, after string) *client {
	r.t.Helper()
	c := r.dial()
	c.auth(fmt.Sprintf("%d.%d.0", account, key), after)
	return c
}

func (c *client) auth(token, after string) {
	c.r.t.Helper()
	m := map[string]any{"type": "auth", "token": token, "after": nil}
	if after != "" {
		m["after"] = after
	}
	text, err := json.Marshal(m)
	c.r.must(err)
	c.say(string(text))
}

func (c *client) say(text string) {
	c.r.t.Helper()
	c.r.must(c.conn.Write(c.r.t.Context(), websocket.MessageText, []byte(text)))
}

// frame reads a frame of events.
func (c *client) frame() (events []heard, resume string, err error) {
	ctx, cancel := context.WithTimeout(c.r.t.Context(), patience)
	defer cancel()
	for {
		_, text, err := c.conn.Read(ctx)
		if err != nil {
			return nil, "", err
		}
		var f struct {
			Type   string
			Events []heard
			Resume string
		}
		if err := json.Unmarshal(text, &f); err != nil {
			return nil, "", err
		}
		if f.Type != "events" {
			continue
		}
		if len(f.Events) == 0 || len(f.Events) > eventsMost {
			return nil, "", fmt.Errorf("a frame of %d events", len(f.Events))
		}
		c.last = f.Events[len(f.Events)-1].ID
		return f.Events, f.Resume, nil
	}
}

// until reads events until one is as it should be, and returns all of them.
func (c *client) until(what string, is func(heard) bool) (events []heard, resume string) {
	c.r.t.Helper()
	for {
		frame, how, err := c.frame()
		if err != nil {
			c.r.t.Fatalf("%s: %v; heard %d events, the last of them %v", what, err, len(events), events[max(0, len(events)-2):])
		}
		events = append(events, frame...)
		if how != "" {
			resume = how
		}
		for _, e := range frame {
			if is(e) {
				return events, resume
			}
		}
	}
}

func balanceOf(nano int64) func(heard) bool {
	return func(h heard) bool { return h.Type == eventBalance && h.data().AvailableNano == nano }
}

func ofType(kind string) func(heard) bool { return func(h heard) bool { return h.Type == kind } }

// closed reads until the socket is closed, and returns the code.
func (c *client) closed() websocket.StatusCode {
	for {
		if _, _, err := c.frame(); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}
