package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/telemetry"
)

const (
	// hardBodyLimit is what the HTTP server reads at all; routes allow less.
	hardBodyLimit    = 32 << 20 // bytes
	defaultBodyLimit = 20 << 20
	headerBuffer     = 16 << 10 // Mini App credentials travel in headers
	readIn           = 60 * time.Second
	idleIn           = 120 * time.Second
	writeIn          = 30 * time.Second // of one write: a stream may last for minutes
	settleGrace      = 5 * time.Second  // for calls that a shutdown has ended

	discardMost  = 64 << 20 // bytes of a body that is too large
	discardIn    = 3 * time.Second
	discardPause = 100 * time.Millisecond
)

// Options are what a Server needs.
type Options struct {
	Meter      *Meter
	Keys       keys
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is registered
	Checkouts  checkouts             // nil: payments are made in the bot alone
	Invoices   invoices              // nil: none in Telegram Stars are begun here
	TopUps     topUpGuard            // of POST /api/v1/payment/topup; nil: they are not limited
	Failures   failureLimit          // of authentications, by address; nil: they are not limited
	Proxies    networks              // whose X-Real-IP is believed; nil: nobody's
	Answers    answerSpace           // of requests that ask for it; nil: none is kept
	Lists      listSpace             // of models; nil: they are written anew each time
	Webhook    fiber.Handler         // answers POST /webhook; nil: there is no bot
	Probes     map[string]func(context.Context) error
	App        *fiber.App       // nil: one is built; else it is made with Config
	BodyLimit  int              // bytes of a request under /v1; 0: 20 MiB
	PingEvery  time.Duration    // of silence in a stream; 0: 5 s
	Now        func() time.Time // nil: time.Now
}

// Server is the public HTTP listener.
type Server struct {
	meter     *Meter
	keys      keys
	checkouts checkouts
	invoices  invoices
	topUps    topUpGuard
	answers   *answers
	lists     listSpace
	listKey   string
	strangers *strangers
	proxies   networks
	log       *slog.Logger
	metrics   *telemetry.HTTPMetrics
	webhook   fiber.Handler
	probes    map[string]func(context.Context) error
	app       *fiber.App
	bodyLimit int
	pingEvery time.Duration
	now       func() time.Time
	born      int64 // Unix seconds

	base       context.Context // what HTTP calls live by
	cancel     context.CancelCauseFunc
	draining   atomic.Bool
	lastReport atomic.Int64
	pumps      sync.WaitGroup // streams' goroutines
}

// New wires the routes. It listens to nothing.
func New(o Options) (*Server, error) {
	if o.Meter == nil || o.Keys == nil || o.Log == nil {
		return nil, errors.New("gateway: Meter, Keys and Log are required")
	}
	if o.BodyLimit <= 0 {
		o.BodyLimit = defaultBodyLimit
	}
	if o.PingEvery <= 0 {
		o.PingEvery = pingEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	s := &Server{
		meter: o.Meter, keys: o.Keys, checkouts: o.Checkouts, invoices: o.Invoices, topUps: o.TopUps,
		log: o.Log, webhook: o.Webhook, probes: o.Probes, app: o.App,
		metrics:   telemetry.NewHTTPMetrics(o.Registerer),
		lists:     o.Lists,
		listKey:   listKey(o.Meter.catalogue),
		answers:   newAnswers(o.Answers, o.Now, o.Registerer),
		strangers: newStrangers(o.Failures, o.Now), proxies: o.Proxies,
		bodyLimit: min(o.BodyLimit, hardBodyLimit), pingEvery: o.PingEvery, now: o.Now, born: o.Now().Unix(),
	}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	if s.app == nil {
		s.app = fiber.New(s.Config())
	}
	s.routes()
	return s, nil
}

// Config is how an app for this server is made.
func (s *Server) Config() fiber.Config {
	return fiber.Config{
		DisableStartupMessage: true,
		ReadBufferSize:        headerBuffer,
		ReadTimeout:           readIn,
		IdleTimeout:           idleIn,
		BodyLimit:             hardBodyLimit,
		ErrorHandler:          s.unrouted,
	}
}

// App is the server's Fiber app, for further routes.
func (s *Server) App() *fiber.App { return s.app }

// handle turns a route into Fiber's form: it names the request, catches panics,
// translates errors, and measures.
func (s *Server) handle(r route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		started := s.now()
		nameRequest(c)
		if s.draining.Load() {
			c.Response().SetConnectionClose()
		}
		if err := s.guarded(r, c); err != nil {
			s.fail(c, r.shape, err)
		}
		s.metrics.Observe(r.method, r.path, c.Response().StatusCode(), s.now().Sub(started))
		return nil
	}
}

func (s *Server) guarded(r route, c *fiber.Ctx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			s.log.Error("handler panicked", "request_id", requestID(c), "endpoint", r.path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = errInternal
		}
	}()
	return r.handler(c)
}

// unrouted answers what no route took: unknown addresses, and requests that the
// HTTP server itself refused.
func (s *Server) unrouted(c *fiber.Ctx, err error) error {
	started := s.now()
	nameRequest(c)
	if errors.Is(err, fiber.ErrRequestEntityTooLarge) {
		discard(c.Context().Conn())
	}
	sh := shapePlain
	if strings.HasPrefix(c.Path(), "/v1/") {
		sh = shapeOpenAI
	}
	s.fail(c, sh, err)
	s.metrics.Observe(c.Method(), "", c.Response().StatusCode(), s.now().Sub(started))
	return nil
}

// discard takes in what a client is still sending of a body that is too large: closing
// with bytes unread would reset the connection before the client has seen the answer.
// It ends with a pause in the sending, and in any case.
func discard(conn net.Conn) {
	buffer := make([]byte, headerBuffer)
	end := time.Now().Add(discardIn)
	for read := 0; read < discardMost && time.Now().Before(end); {
		if conn.SetReadDeadline(time.Now().Add(discardPause)) != nil {
			return
		}
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		read += n
	}
}

// Serve answers on a listener until Shutdown.
func (s *Server) Serve(listener net.Listener) error {
	if err := s.app.Listener(deadlines{listener}); err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Shutdown stops accepting and waits for the calls under way. When ctx ends, it
// cancels those that are left; they settle what was produced, and streams tell
// their clients. It returns when all that is done.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	stopped := make(chan error, 1)
	halt, stop := context.WithCancel(context.Background())
	defer stop()
	go func() { stopped <- s.app.ShutdownWithContext(halt) }()
	drained := make(chan error, 1)
	go func() {
		err := <-stopped // from here on no new stream begins
		s.pumps.Wait()
		drained <- err
	}()
	var err error
	select {
	case err = <-drained:
	case <-ctx.Done():
		s.cancel(errClosing)
		patience := time.NewTimer(settleGrace) // to settle, and to tell the clients
		defer patience.Stop()
		select {
		case err = <-drained:
		case <-patience.C:
			stop() // clients that do not read
			err = <-drained
		}
	}
	s.cancel(errClosing)
	if err != nil && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("shut down HTTP: %w", err)
	}
	return nil
}

// deadlines gives each write of a connection a deadline of its own, since one for
// the whole answer would cut streams.
type deadlines struct{ net.Listener }

func (l deadlines) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return deadlineConn{conn}, nil
}

type deadlineConn struct{ net.Conn }

func (c deadlineConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writeIn)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
