// Package nginxserver runs the production front of nginx/ on loopback: Debian's nginx with
// the configuration that its script renders, a certificate of its own making, and servers
// behind it that the caller names.
package nginxserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	readyIn   = 20 * time.Second
	readyPoll = 5 * time.Millisecond
	probeIn   = time.Second
	stopIn    = 20 * time.Second
	// More than any test asks for: requests in a second, and connections, of which nginx
	// counts no more.
	unlimited     = 1_000_000
	unlimitedOpen = 65_535
)

// ErrMissing says that a program is not there, and the mend.
var ErrMissing = errors.New("nginx or envsubst is not installed: apt-get install nginx gettext-base (macOS: brew install nginx gettext)")

// Options of a front. Upstreams is all that must be given.
type Options struct {
	Upstreams   []string // host:port of the servers behind
	Webroot     string   // the built Mini App's folder; "": the servers are asked for it
	Telegram    []string // networks that may reach /webhook; nil: loopback
	RealIPFrom  []string // networks of proxies before it; nil: there are none
	Rate        int      // requests a second of one address; 0: as good as unlimited
	Burst       int      // beyond that; likewise
	Connections int      // of one address; likewise
	// NoCertificate leaves the certificate out, see Server.Certify.
	NoCertificate bool
	Responder     string            // URL at which the certificate's issuer answers OCSP; "": nowhere
	Variables     map[string]string // of nginx/variables.envsh, which win over the above
}

// Server is one nginx, or the place of one that is stopped. Its methods are for one
// goroutine at a time.
type Server struct {
	Port     int // of HTTPS; stays the same over Stop and Start
	HTTPPort int

	dir     string
	options Options
	issued  *Authority
	process *child.Process
}

// Start runs a front and returns when it answers.
func Start(ctx context.Context, o Options) (*Server, error) {
	dir, err := os.MkdirTemp("", "kikuai-nginx-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, options: o}
	if s.issued, err = NewAuthority(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.issued.Responder = o.Responder
	if err := s.lay(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := child.OnFreePorts(2, func(ports []int) error {
		s.Port, s.HTTPPort = ports[0], ports[1]
		return s.Start(ctx)
	}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// lay writes what lies on the disk before anything is rendered.
func (s *Server) lay() error {
	for _, folder := range []string{"tls", "temp", "acme", "conf"} {
		if err := os.Mkdir(filepath.Join(s.dir, folder), 0o755); err != nil {
			return err
		}
	}
	if s.options.NoCertificate {
		return nil
	}
	return s.Certify()
}

// Certify puts the certificate where the configuration expects it. Reload makes it count.
func (s *Server) Certify() error {
	certificate, key, err := s.issued.Issue("localhost", "127.0.0.1")
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(s.path("tls/fullchain.pem"), certificate, 0o600),
		os.WriteFile(s.path("tls/privkey.pem"), key, 0o600),
	)
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

// Address is host:port of HTTPS.
func (s *Server) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.Port)) }

// HTTPAddress is host:port of plain HTTP.
func (s *Server) HTTPAddress() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.HTTPPort)) }

// URL is the front's address for clients, and the servers' PUBLIC_URL.
func (s *Server) URL() string { return "https://localhost:" + strconv.Itoa(s.Port) }

// HTTPURL is where it speaks plain HTTP.
func (s *Server) HTTPURL() string { return "http://localhost:" + strconv.Itoa(s.HTTPPort) }

// ACMERoot is where answers to ACME challenges lie.
func (s *Server) ACMERoot() string { return s.path("acme") }

// PID is the master's process, whose children do the work; 0 while it is stopped.
func (s *Server) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// Config is the folder of the rendered configuration.
func (s *Server) Config() string { return s.path("conf") }

// Start runs a stopped front again on the same ports, with its configuration rendered anew.
func (s *Server) Start(ctx context.Context) error {
	if s.process != nil {
		return nil
	}
	binary, err := find()
	if err != nil {
		return err
	}
	if err := s.render(ctx); err != nil {
		return err
	}
	_ = os.Remove(s.path("error.log")) // of a life before
	cmd := exec.Command(binary, s.arguments("-g", "daemon off;")...)
	// SIGTERM, and not SIGKILL: the workers are the master's to end.
	process, err := child.Start(cmd, syscall.SIGTERM)
	if err != nil {
		return err
	}
	s.process = process
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	err = process.Await(ctx, readyPoll, s.answers)
	if err == nil {
		return nil
	}
	said, _ := s.ErrorLog()
	return errors.Join(err, s.Kill(), errors.New(strings.TrimSpace(said)))
}

func find() (string, error) {
	if _, err := exec.LookPath("envsubst"); err != nil {
		return "", ErrMissing
	}
	if binary, err := exec.LookPath("nginx"); err == nil {
		return binary, nil
	}
	const beside = "/usr/sbin/nginx" // which is not on every user's path
	if _, err := os.Stat(beside); err != nil {
		return "", ErrMissing
	}
	return beside, nil
}

func (s *Server) arguments(more ...string) []string {
	return append([]string{"-p", s.dir, "-c", s.path("conf/nginx.conf"), "-e", s.path("error.log")}, more...)
}

// answers tells whether our workers take connections: the master has children, and the
// port is open.
func (s *Server) answers(ctx context.Context) bool {
	if len(s.workers()) == 0 {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, probeIn)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.HTTPAddress())
	if err != nil {
		return false
	}
	return conn.Close() == nil
}

// Stop ends the front in order: answers under way are finished, for as long as a test waits.
func (s *Server) Stop() error { return s.end(syscall.SIGQUIT) }

// Kill ends master and workers as a crash of the machine would.
func (s *Server) Kill() error {
	if s.process == nil {
		return nil
	}
	if err := syscall.Kill(-s.process.PID(), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("kill nginx: %w", err)
	}
	<-s.process.Done()
	s.process = nil
	return nil
}

// Close ends the front at once and removes what it has written. It may be called again.
func (s *Server) Close() error {
	return errors.Join(s.end(syscall.SIGTERM), os.RemoveAll(s.dir))
}

func (s *Server) end(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	err := s.process.Stop(sig, stopIn)
	if err != nil { // the master was killed, and its workers were not
		_ = syscall.Kill(-s.process.PID(), syscall.SIGKILL)
	}
	s.process = nil
	return err
}

// ErrorLog is what nginx has said of itself.
func (s *Server) ErrorLog() (string, error) {
	text, err := os.ReadFile(s.path("error.log"))
	return string(text), err
}

// AccessLog is one line of JSON for each request, a second after it at the latest.
func (s *Server) AccessLog() (string, error) {
	text, err := os.ReadFile(s.path("access.log"))
	return string(text), err
}
