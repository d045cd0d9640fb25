package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	opsHeaderIn    = 5 * time.Second
	opsReadIn      = 10 * time.Second
	opsWriteIn     = 2 * time.Minute // a CPU profile of a minute fits
	opsIdle        = time.Minute
	opsMaxHeader   = 16 << 10
	opsMaxScrapes  = 4
	opsHealthIn    = 2 * time.Second
	opsShutdownIn  = 2 * time.Second
	contentType    = "Content-Type"
	jsonType       = "application/json; charset=utf-8"
	processSection = "process"
)

// Ops is the private listener: /metrics for Prometheus, /performance/health
// and /performance/metrics in JSON, /debug/pprof. It has no authentication;
// bind it to loopback or a private network.
type Ops struct {
	addr      string
	registry  *prometheus.Registry
	health    func(context.Context) map[string]any
	log       *slog.Logger
	started   time.Time
	listening chan struct{}
	bound     net.Addr // read only after listening is closed
}

// NewOps makes the listener. health returns what /performance/health shows,
// section by section; it is called at each request with two seconds of time
// and may be nil.
func NewOps(addr string, registry *prometheus.Registry, health func(context.Context) map[string]any, log *slog.Logger) *Ops {
	return &Ops{
		addr: addr, registry: registry, health: health, log: log,
		started: time.Now(), listening: make(chan struct{}),
	}
}

// Listening is closed when Run listens.
func (o *Ops) Listening() <-chan struct{} { return o.listening }

// Addr is the address Run listens on; call it after Listening is closed.
func (o *Ops) Addr() string { return o.bound.String() }

// Run serves until ctx ends, and returns when the requests in flight have been
// answered or two seconds have passed. It may be called once.
func (o *Ops) Run(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.addr)
	if err != nil {
		return fmt.Errorf("listen for operators on %s: %w", o.addr, err)
	}
	o.bound = listener.Addr()
	close(o.listening)
	o.log.InfoContext(ctx, "operators' listener is up", "addr", o.Addr())

	server := &http.Server{
		Handler:           o.Handler(),
		ReadHeaderTimeout: opsHeaderIn, ReadTimeout: opsReadIn, WriteTimeout: opsWriteIn,
		IdleTimeout: opsIdle, MaxHeaderBytes: opsMaxHeader,
		ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve operators: %w", err)
	case <-ctx.Done():
	}
	patience, cancel := context.WithTimeout(context.WithoutCancel(ctx), opsShutdownIn)
	defer cancel()
	err = server.Shutdown(patience)
	if err != nil {
		err = server.Close() // a profile still being taken does not hold up the end
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

// Handler is what Run serves.
func (o *Ops) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{
		MaxRequestsInFlight: opsMaxScrapes, ErrorLog: slog.NewLogLogger(o.log.Handler(), slog.LevelError),
	}))
	mux.HandleFunc("GET /performance/health", o.serveHealth)
	mux.HandleFunc("GET /performance/metrics", o.serveMetrics)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("POST /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (o *Ops) serveHealth(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), opsHealthIn)
	defer cancel()
	report := map[string]any{}
	if o.health != nil {
		for section, value := range o.health(ctx) {
			report[section] = redactAny(value, false).Any()
		}
	}
	report[processSection] = map[string]any{
		"uptime_seconds": int64(time.Since(o.started).Seconds()),
		"goroutines":     runtime.NumGoroutine(),
		"go":             runtime.Version(),
	}
	o.writeJSON(w, report)
}

func (o *Ops) serveMetrics(w http.ResponseWriter, _ *http.Request) {
	families, err := o.registry.Gather()
	if err != nil {
		o.log.Error("gather metrics", "err", err)
	}
	o.writeJSON(w, summarise(families))
}

func (o *Ops) writeJSON(w http.ResponseWriter, value any) {
	w.Header().Set(contentType, jsonType)
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	if err := encoder.Encode(value); err != nil {
		o.log.Warn("answer an operator", "err", err)
	}
}
