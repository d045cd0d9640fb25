// Package redisserver runs a private, real redis-server for tests and
// benchmarks: on a free port of 127.0.0.1, with noeviction, ended with its
// parent.
package redisserver

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	readyIn   = 15 * time.Second
	readyPoll = 5 * time.Millisecond
	probeIn   = 500 * time.Millisecond
	stopIn    = 10 * time.Second
)

// ErrMissing says that no redis-server binary was found, and the mend.
var ErrMissing = errors.New("redis-server is not installed: apt-get install redis-server (macOS: brew install redis)")

// Options of a server. The zero value persists nothing.
type Options struct {
	AppendOnly bool     // keep an append-only file, fsynced every second
	Cluster    bool     // be a node of a cluster; StartCluster makes one of several
	Dir        string   // of the append-only file; empty: a temporary one, removed by Close
	Args       []string // further arguments, as on redis-server's command line
}

// Server is one redis-server process, or the place of one that is stopped.
// Its methods are for one goroutine at a time.
type Server struct {
	Addr string // host:port; stays the same over Stop and Start

	binary  string
	port    int
	busPort int // of a cluster's node
	dir     string
	ownDir  bool
	options Options
	process *child.Process
}

// Start runs a server and returns when it answers PING.
func Start(ctx context.Context, o Options) (*Server, error) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, ErrMissing
	}
	s := &Server{binary: binary, dir: o.Dir, options: o}
	if s.dir == "" && !o.AppendOnly && !o.Cluster {
		s.dir = os.TempDir() // nothing is written there
	}
	if s.dir == "" {
		if s.dir, err = os.MkdirTemp("", "kikuai-redis-"); err != nil {
			return nil, err
		}
		s.ownDir = true
	}
	if err := child.OnFreePorts(2, func(ports []int) error {
		s.port, s.busPort = ports[0], ports[1]
		s.Addr = net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
		return s.launch(ctx)
	}); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// URL is the server's address as a Redis URL, database 0.
func (s *Server) URL() string { return "redis://" + s.Addr + "/0" }

// PID is the server's process; 0 while it is stopped.
func (s *Server) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// Dir is the server's working directory: where the append-only file lies.
func (s *Server) Dir() string { return s.dir }

// Stop ends the server in order (the append-only file is synced). A server
// that is stopped already is no error.
func (s *Server) Stop() error { return s.end(syscall.SIGTERM) }

// Kill ends the server as a crash would.
func (s *Server) Kill() error { return s.end(syscall.SIGKILL) }

// Start runs a stopped server again on the same port and directory.
func (s *Server) Start(ctx context.Context) error {
	if s.process != nil {
		return nil
	}
	return child.Again(func() error { return s.launch(ctx) })
}

// Pause freezes the process: connections stay open and nothing answers.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

// Close ends the server and removes its temporary directory. One that keeps
// nothing is killed: an orderly end takes Redis a tenth of a second, and there
// are hundreds of them in a run of all tests. It may be called again.
func (s *Server) Close() error {
	sig := syscall.SIGKILL
	if s.options.AppendOnly {
		sig = syscall.SIGTERM
	}
	err := s.end(sig)
	if s.ownDir {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *Server) signal(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	return s.process.Signal(sig)
}

func (s *Server) end(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	// A frozen process would only see the signal after it was thawed.
	if err := s.process.Signal(syscall.SIGCONT); err != nil {
		return err
	}
	err := s.process.Stop(sig, stopIn)
	s.process = nil
	return err
}

func (s *Server) launch(ctx context.Context) error {
	args := []string{
		"--port", strconv.Itoa(s.port), "--bind", "127.0.0.1",
		"--dir", s.dir, "--save", "", "--maxmemory-policy", "noeviction",
		"--daemonize", "no", "--loglevel", "notice",
	}
	if s.options.AppendOnly {
		args = append(args, "--appendonly", "yes", "--appendfsync", "everysec")
	} else {
		args = append(args, "--appendonly", "no")
	}
	if s.options.Cluster {
		args = append(args, s.clusterArgs()...)
	}
	cmd := exec.Command(s.binary, append(args, s.options.Args...)...)
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return err
	}
	s.process = process

	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	err = process.Await(ctx, readyPoll, s.answers)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, child.ErrEnded):
		return errors.Join(err, s.Kill())
	}
	s.process = nil
	return err
}

// answers reports whether the server we started (not a stranger on the same
// port) answers PING and is done loading.
func (s *Server) answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeIn)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", s.Addr)
	if err != nil {
		return false
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	if conn.SetDeadline(deadline) != nil {
		return false
	}
	if _, err := conn.Write([]byte("INFO server\r\nPING\r\n")); err != nil {
		return false
	}
	ours := false
	for r := bufio.NewReader(conn); ; {
		line, err := r.ReadString('\n')
		if err != nil {
			return false
		}
		switch line = strings.TrimSpace(line); {
		case line == "process_id:"+strconv.Itoa(s.process.PID()):
			ours = true
		case line == "+PONG":
			return ours
		case strings.HasPrefix(line, "-LOADING"):
			return false
		}
	}
}
