package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

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
	writeSlack       = 2 * time.Second  // that a write may have less
	settleGrace      = 5 * time.Second  // for calls that a shutdown has ended

	discardMost  = 64 << 20 // bytes of a body that is too large
	discardIn    = 3 * time.Second
	discardPause = 100 * time.Millisecond
)

// Options are what a Server needs.
type Options struct {
	Meter      *Meter
	Keys       keys
	KeyMaker   keyMaker // of /api/v1/keys; nil: keys are made in the bot alone
	KeyBook    keyBook  // the same
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is registered
	Sessions   sessions              // of the Mini App; nil: there are none
	Sockets    sockets               // of GET /api/v1/live; nil: there are none
	MiniApp    fiber.Handler         // answers GET /webapp/*; nil: it is not served
	Origin     string                // that browsers may come from: PUBLIC_URL's; "": this host's own
	Account    *AccountOptions       // of usage, transactions, settings and the like; nil: there are none
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
	Notice     time.Duration    // that Shutdown still takes connections for; 0: none
	Requests   requestLog       // nil: none is kept
	Tracer     trace.Tracer     // nil: nothing is traced
	PingEvery  time.Duration    // of silence in a stream; 0: 5 s
	LookEvery  time.Duration    // between two looks at streams' clients; 0: 1 s
	BatchIn    time.Duration    // what a batch may take; 0: 5 min
	Now        func() time.Time // nil: time.Now
}

// Server is the public HTTP listener.
type Server struct {
	meter     *Meter
	keys      keys
	keyMaker  keyMaker
	keyBook   keyBook
	sessions  sessions
	sockets   sockets
	miniApp   fiber.Handler
	origin    string
	account   *AccountOptions
	documents documents
	graph     *graph
	exports   chan struct{} // one for each that is under way
	checkouts checkouts
	invoices  invoices
	topUps    topUpGuard
	answers   *answers
	lists     listSpace
	listKey   string
	lookout   *lookout
	requests  requestLog
	tracer    trace.Tracer
	strangers *strangers
	proxies   networks
	log       *slog.Logger
	metrics   *telemetry.HTTPMetrics
	webhook   fiber.Handler
	probes    map[string]func(context.Context) error
	app       *fiber.App
	bodyLimit int
	notice    time.Duration
	pingEvery time.Duration
	batchIn   time.Duration
	now       func() time.Time
	born      int64 // Unix seconds

	door       atomic.Pointer[door] // where connections come in; nil before Serve
	base       context.Context      // what HTTP calls live by
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
	if o.BatchIn <= 0 {
		o.BatchIn = batchIn
	}
	if o.LookEvery <= 0 {
		o.LookEvery = lookEvery
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Registerer == nil {
		o.Registerer = prometheus.NewRegistry()
	}
	s := &Server{
		meter: o.Meter, keys: o.Keys, keyMaker: o.KeyMaker, keyBook: o.KeyBook, sessions: o.Sessions, sockets: o.Sockets, miniApp: o.MiniApp, origin: o.Origin, checkouts: o.Checkouts, invoices: o.Invoices, topUps: o.TopUps,
		account: o.Account, exports: make(chan struct{}, exportsAtOnce),
		log: o.Log, webhook: o.Webhook, probes: o.Probes, app: o.App,
		metrics:  telemetry.NewHTTPMetrics(o.Registerer),
		lists:    o.Lists,
		listKey:  listKey(o.Meter.catalogue),
		answers:  newAnswers(o.Answers, o.Now, o.Registerer),
		lookout:  newLookout(o.LookEvery),
		requests: o.Requests, tracer: o.Tracer,
		strangers: newStrangers(o.Failures, o.Now), proxies: o.Proxies,
		bodyLimit: min(o.BodyLimit, hardBodyLimit), notice: o.Notice, pingEvery: o.PingEvery, batchIn: o.BatchIn, now: o.Now, born: o.Now().Unix(),
	}
	var err error
	if s.documents, err = builtInDocuments(); err != nil {
		return nil, err
	}
	if s.graph, err = newGraph(); err != nil {
		return nil, err
	}
	s.base, s.cancel = context.WithCancelCause(context.Background())
	if s.app == nil {
		s.app = fiber.New(s.Config())
	}
	s.routes()
	listener := s.app.Server()
	listener.Handler = s.strict(listener.Handler)
	listener.KeepHijackedConns = true // who takes one over closes it
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
		// A form would be unpacked, into files even, before anybody is asked who sends it.
		DisablePreParseMultipartForm: true,
	}
}

// App is the server's Fiber app, for further routes.
func (s *Server) App() *fiber.App { return s.app }

// handle turns a route into Fiber's form: it names the request, catches panics,
// translates errors, and measures.
func (s *Server) handle(r route) fiber.Handler {
	return func(c *fiber.Ctx) error {
		started := s.now()
		sh := shapeSpoken(c, r.shape)
		nameRequest(c, sh)
		if s.draining.Load() {
			c.Response().SetConnectionClose()
		}
		t := s.follow(c, r, started)
		err := s.guarded(r, c)
		if err != nil {
			s.fail(c, sh, err)
		}
		if r.method == fiber.MethodGet {
			squeeze(c)
		}
		t.answered(c.Response().StatusCode(), err)
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
	sh := unroutedShape(c)
	nameRequest(c, sh)
	if s.draining.Load() {
		c.Response().SetConnectionClose()
	}
	if errors.Is(err, fiber.ErrRequestEntityTooLarge) {
		discard(c.Context().Conn())
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
	d := &door{Listener: listener}
	s.door.Store(d)
	if err := s.app.Listener(deadlines{d}); err != nil {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	return nil
}

// Shutdown gives notice, stops accepting and waits for the calls under way. When ctx ends,
// it cancels those that are left; they settle what was produced, and streams tell their
// clients. It returns when all that is done.
//
// During the notice every answer is its connection's last, and says so. A proxy in front
// has no connection left then that it might send a request on in the very moment in which
// it is closed: it would not know whether to send a paid call once more. /readyz says from
// the beginning that others should be asked.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	s.giveNotice(ctx)
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
	s.lookout.close()
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
	return &deadlineConn{Conn: conn}, nil
}

// deadlineConn moves its deadline on once in writeSlack at most, so that not every answer
// pays for a timer.
type deadlineConn struct {
	net.Conn

	moved atomic.Int64 // when, in Unix ns; 0: never
}

// SyscallConn is the socket, see [lookout].
func (c *deadlineConn) SyscallConn() (syscall.RawConn, error) {
	owner, is := c.Conn.(syscall.Conn)
	if !is {
		return nil, errors.ErrUnsupported
	}
	return owner.SyscallConn()
}

func (c *deadlineConn) Write(p []byte) (int, error) {
	now := time.Now()
	if last := c.moved.Load(); last == 0 || now.UnixNano()-last >= int64(writeSlack) || now.UnixNano() < last {
		if err := c.SetWriteDeadline(now.Add(writeIn)); err != nil {
			return 0, err
		}
		c.moved.Store(now.UnixNano())
	}
	return c.Conn.Write(p)
}
