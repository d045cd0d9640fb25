package llmsim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultFirstToken = 300 * time.Millisecond
	defaultCadence    = 40 * time.Millisecond // 25 tokens a second
	defaultRemember   = 256
	maxBody           = 32 << 20
	maxKept           = 64 << 10
	headerTimeout     = 10 * time.Second
	closeTimeout      = 2 * time.Second
	instantModel      = "sim-instant"
	forever           = time.Duration(1<<63 - 1)
)

// Options configure a Server. Only Log is needed.
type Options struct {
	Log  *slog.Logger
	Addr string // to listen on; "" is a free port of 127.0.0.1
	Key  string // when set, the bearer token that every request must carry

	// Pace of the default model: FirstToken before the first token (0 is
	// 300 ms), Cadence between tokens (0 is 40 ms). Below 0 is no wait.
	FirstToken time.Duration
	Cadence    time.Duration

	// Models are listed by GET /v1/models besides the simulator's own.
	Models []string

	// Remember is how many requests are kept for Requests; 0 is 256.
	Remember int

	Now func() time.Time // nil is time.Now
}

// Server is the simulated provider, made by Start, or by New and then Run.
// Requests for sim-instant take a short way through it: their bodies are neither
// checked nor remembered, only counted.
type Server struct {
	log      *slog.Logger
	key      string
	pace     Script
	models   []string
	now      func() time.Time
	listener net.Listener
	http     *http.Server
	done     chan struct{}
	close    sync.Once
	failure  error // of closing; written once, inside close
	tasks    sync.WaitGroup
	instant  atomic.Int64
	serial   atomic.Int64
	journal  journal
	scripts  scripts
	buffers  sync.Pool // of *bytes.Buffer, for request bodies
}

// scripts are what tests set in place of what a model's name stands for.
type scripts struct {
	mu       sync.Mutex
	queue    []Script
	assigned map[string]Script
}

// New binds the listener, so that URL is known, and does not answer yet.
func New(o Options) (*Server, error) {
	if o.Addr == "" {
		o.Addr = "127.0.0.1:0"
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Remember <= 0 {
		o.Remember = defaultRemember
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("llmsim: listen: %w", err)
	}
	s := &Server{
		log:      o.Log,
		key:      o.Key,
		pace:     Script{FirstToken: orDefault(o.FirstToken, defaultFirstToken), Cadence: orDefault(o.Cadence, defaultCadence)},
		models:   append(names(), o.Models...),
		now:      o.Now,
		listener: listener,
		done:     make(chan struct{}),
		journal:  journal{size: o.Remember, changed: make(chan struct{})},
		scripts:  scripts{assigned: map[string]Script{}},
	}
	s.http = &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: headerTimeout,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return s, nil
}

func orDefault(d, fallback time.Duration) time.Duration {
	switch {
	case d == 0:
		return fallback
	case d < 0:
		return 0
	}
	return d
}

// Start makes a simulator that answers until Close.
func Start(o Options) (*Server, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	s.tasks.Go(func() {
		if err := s.serve(); err != nil {
			s.log.Error("simulated model stopped serving", "error", err)
		}
	})
	return s, nil
}

// URL is the address, "http://127.0.0.1:port"; the API is below its /v1.
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// Run answers until ctx ends or Close is called, and returns when every
// request has been left.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.shut)
	defer stop()
	err := s.serve()
	return errors.Join(err, s.Close())
}

func (s *Server) serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("llmsim: serve: %w", err)
	}
	return nil
}

// Close ends every answer, stalled ones too, frees the port and waits for what
// Start began.
func (s *Server) Close() error {
	s.shut()
	s.tasks.Wait()
	return s.failure
}

func (s *Server) shut() {
	s.close.Do(func() {
		close(s.done)
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		if err := s.http.Shutdown(ctx); err != nil {
			s.log.Debug("simulated model closes hard", "error", err)
			s.failure = s.http.Close()
		}
		_ = s.listener.Close() // not yet handed to Serve when Run was never called
	})
}

// Assign sets the script of a model; "" stands for every model. It goes before
// what the name itself stands for.
func (s *Server) Assign(model string, script Script) {
	s.scripts.mu.Lock()
	defer s.scripts.mu.Unlock()
	s.scripts.assigned[model] = script
}

// Enqueue sets the scripts of the next chat requests, in order of arrival,
// whatever their model.
func (s *Server) Enqueue(next ...Script) {
	s.scripts.mu.Lock()
	defer s.scripts.mu.Unlock()
	s.scripts.queue = append(s.scripts.queue, next...)
}

// Reset forgets all scripts and all requests.
func (s *Server) Reset() {
	s.scripts.mu.Lock()
	s.scripts.queue, s.scripts.assigned = nil, map[string]Script{}
	s.scripts.mu.Unlock()
	s.journal.reset()
	s.instant.Store(0)
}

// script is how a request is answered: what is enqueued, else what is assigned,
// else what the model's name stands for.
func (s *Server) script(t *turn) Script {
	s.scripts.mu.Lock()
	defer s.scripts.mu.Unlock()
	if len(s.scripts.queue) > 0 {
		next := s.scripts.queue[0]
		s.scripts.queue = s.scripts.queue[1:]
		return next
	}
	for _, model := range []string{t.model, ""} {
		if script, ok := s.scripts.assigned[model]; ok {
			return script
		}
	}
	if t.model == "sim-echo" {
		return Script{Text: t.lastUser()}
	}
	if script, ok := ScriptFor(t.model); ok {
		return script
	}
	return s.pace
}

// Handler is the API, for a server of the caller's own.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/chat/completions", s.speak(s.chat()))
	mux.HandleFunc("POST /v1/messages", s.speak(s.messages()))
	mux.HandleFunc("POST /v1/messages/count_tokens", s.speak(s.counting()))
	for path, read := range map[string]func(*http.Request, []byte) (*turn, func(openAI) dialect, *apiError){
		"/v1/responses":            readResponses,
		"/v1/embeddings":           readEmbeddings,
		"/v1/images/generations":   readImages,
		"/v1/audio/transcriptions": readTranscription,
		"/v1/audio/speech":         readSpeech,
	} {
		mux.HandleFunc("POST "+path, s.speak(s.openAIProtocol(read)))
	}
	mux.HandleFunc("GET /v1/models", s.list)
	mux.HandleFunc("GET /v1/models/{model}", s.model)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fault := invalid("", "unknown_url", fmt.Sprintf("Invalid URL (%s %s)", r.Method, r.URL.Path))
		fault.Status = http.StatusNotFound
		s.send(w, fault.Status, fault.body())
	})
	return mux
}

func (s *Server) send(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if _, err := io.WriteString(w, body); err != nil {
		s.log.Debug("simulated model's answer did not arrive", "error", err)
	}
}
