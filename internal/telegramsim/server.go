package telegramsim

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim/ui"
)

const (
	defaultAddr         = "127.0.0.1:0"
	defaultHistoryLimit = 1000
	defaultRecordLimit  = 200_000
	defaultPendingLimit = 500_000
	readHeaderTimeout   = 10 * time.Second
	shutdownGrace       = 2 * time.Second
)

// Options says what a Server is. Only Token is required.
type Options struct {
	Token    string // "<bot id>:<secret>", as BotFather gives it
	Username string // of the bot, without @; default "kikuai_sim_bot"
	Name     string // of the bot; default "KikuAI"
	Log      *slog.Logger
	Now      func() time.Time // for dates and expiries; default time.Now
	Addr     string           // where Listen binds; default 127.0.0.1 on a free port
	DataFile string           // keeps users, chats, pending updates and counters between runs; "" = memory
	UI       fs.FS            // the chat page; default: package ui
	Faults   Faults

	// Privacy is the bot's privacy mode in groups, which real bots begin with: it gets only what is for it.
	Privacy bool

	// RetryScale multiplies every waiting time of webhook delivery (retries, Retry-After, the ten seconds
	// without success, the 23 hours of 410): 0.01 turns a minute into 600 ms. Default 1.
	RetryScale float64
	// LifeScale multiplies the lives of updates, drafts and callback queries. Default 1.
	LifeScale float64
	// AnswerTimeout is how long a webhook may take to answer; default 60 s.
	AnswerTimeout time.Duration

	FirstUpdateID int64 // default: the Unix time, so that a fresh simulator never repeats an older one's ids
	HistoryLimit  int   // messages kept per chat; default 1000
	RecordLimit   int   // calls and acknowledgements kept; default 200,000 each
	PendingLimit  int   // updates waiting for the bot; default 500,000, more are refused

	// Trust are the authorities that a webhook's certificate may be of. Default: the system's.
	Trust *x509.CertPool
}

// Server is the simulator. It answers concurrently; Close it.
type Server struct {
	o     Options
	log   *slog.Logger
	now   func() time.Time
	bot   User
	token string

	methods map[string]method
	files   *library
	world   *world
	updates *updateLog
	hooks   *webhooks
	poll    poll
	record  *recorder
	faults  *faultSwitch
	pace    *pace
	hub     *hub
	store   *store

	ctx    context.Context
	cancel context.CancelFunc
	tasks  sync.WaitGroup
	closed sync.Once
	saved  error

	listenMu sync.Mutex
	listener net.Listener
	http     *http.Server
}

// ErrToken says that Options.Token has not the shape of a bot token.
var ErrToken = errors.New(`telegramsim: the token must look like "123456:secret"`)

// New makes a simulator and loads Options.DataFile where it exists. It owns goroutines from now on: Close it.
func New(o Options) (*Server, error) {
	id, secret, ok := strings.Cut(o.Token, ":")
	botID, err := strconv.ParseInt(id, 10, 64)
	if !ok || err != nil || botID <= 0 || secret == "" {
		return nil, ErrToken
	}
	o.defaults()
	s := &Server{o: o, log: o.Log, now: o.Now, token: o.Token, methods: methodTable()}
	s.bot = User{ID: botID, IsBot: true, FirstName: o.Name, Username: o.Username}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.hub = newHub()
	s.faults = newFaultSwitch(o.Faults, o.Now)
	s.record = newRecorder(o.RecordLimit)
	s.pace = newPace()
	s.world = newWorld(o.HistoryLimit)
	s.updates = newUpdateLog(o.FirstUpdateID, o.PendingLimit)
	s.hooks = &webhooks{}
	s.store = &store{path: o.DataFile}
	s.files = newLibrary(botID, o.DataFile)
	hook, err := s.load()
	if err != nil {
		s.cancel()
		return nil, err
	}
	if hook.URL != "" {
		s.startWebhook(hook)
	}
	s.tasks.Add(1)
	go s.housekeep()
	return s, nil
}

func (o *Options) defaults() {
	set(&o.Username, "kikuai_sim_bot")
	set(&o.Name, "KikuAI")
	set(&o.Addr, defaultAddr)
	set(&o.RetryScale, 1)
	set(&o.LifeScale, 1)
	set(&o.AnswerTimeout, answerTimeout)
	set(&o.HistoryLimit, defaultHistoryLimit)
	set(&o.RecordLimit, defaultRecordLimit)
	set(&o.PendingLimit, defaultPendingLimit)
	if o.UI == nil {
		o.UI = ui.Files
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	set(&o.FirstUpdateID, o.Now().Unix())
}

func set[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Start makes a simulator that listens and serves until Close.
func Start(o Options) (*Server, error) {
	s, err := New(o)
	if err != nil {
		return nil, err
	}
	if err := s.Listen(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.tasks.Add(1)
	go func() {
		defer s.tasks.Done()
		if err := s.serve(); err != nil {
			s.log.Error("telegram simulator stopped serving", "error", err)
		}
	}()
	return s, nil
}

// Listen binds Options.Addr, so that URL is known before Run.
func (s *Server) Listen() error {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.listener != nil {
		return nil
	}
	l, err := net.Listen("tcp", s.o.Addr)
	if err != nil {
		return fmt.Errorf("telegramsim: listen: %w", err)
	}
	s.listener = l
	s.http = &http.Server{Handler: s.Handler(), ReadHeaderTimeout: readHeaderTimeout, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug)}
	return nil
}

// Run listens (unless Listen has) and serves until ctx ends, then closes.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return errors.Join(err, s.Close())
	}
	stop := context.AfterFunc(ctx, s.stopServing)
	defer stop()
	err := s.serve()
	return errors.Join(err, s.Close())
}

func (s *Server) serve() error {
	if err := s.http.Serve(s.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("telegramsim: serve: %w", err)
	}
	return nil
}

func (s *Server) stopServing() {
	s.cancel() // ends long polls and event streams, which a graceful shutdown would wait for
	s.listenMu.Lock()
	server := s.http
	s.listenMu.Unlock()
	if server == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	if err := server.Shutdown(ctx); err != nil {
		_ = server.Close()
	}
}

// Close ends deliveries, polls and event streams, waits for them and saves the data file.
func (s *Server) Close() error {
	s.closed.Do(func() {
		s.stopServing()
		s.stopDelivery()
		s.hub.close()
		s.tasks.Wait()
		s.saved = s.save()
	})
	return s.saved
}

// URL is the base address, "http://127.0.0.1:port": the Bot API's server URL and the chat page's address.
// Empty before Listen.
func (s *Server) URL() string {
	s.listenMu.Lock()
	defer s.listenMu.Unlock()
	if s.listener == nil {
		return ""
	}
	return "http://" + s.listener.Addr().String()
}

// Bot is the bot's own user.
func (s *Server) Bot() User { return s.bot }

// Handler serves the Bot API under /bot<token>/, its files under /file/bot<token>/ and the chat page beside them.
func (s *Server) Handler() http.Handler {
	page := s.PageHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/bot"):
			s.serveBot(w, r)
		case strings.HasPrefix(r.URL.Path, "/file/bot"):
			s.download(w, r)
		default:
			page.ServeHTTP(w, r)
		}
	})
}

// housekeep expires drafts, tells the pages about waiting updates and saves the data file now and then.
func (s *Server) housekeep() {
	defer s.tasks.Done()
	tick := time.NewTicker(housekeeping)
	defer tick.Stop()
	var pending int
	var failure string
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-tick.C:
			s.expireDrafts()
			if info := s.webhookInfo(); info.PendingUpdateCount != pending || info.LastErrorMessage != failure {
				pending, failure = info.PendingUpdateCount, info.LastErrorMessage
				s.hub.toAll(event{Type: "pending", Pending: &info.PendingUpdateCount, LastErrorMessage: &info.LastErrorMessage})
			}
			if err := s.save(); err != nil {
				s.log.Error("telegram simulator could not save its data", "error", err)
			}
		}
	}
}

const housekeeping = 250 * time.Millisecond
