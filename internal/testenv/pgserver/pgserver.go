// Package pgserver runs a private Postgres: a temporary one for tests, or a
// durable one that `kikuai dev` finds again at its next start. It listens on
// 127.0.0.1 alone and ends with its parent. Started by root, it runs as
// another user, because Postgres refuses root.
package pgserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	superuser = "postgres"
	// readyIn covers crash recovery after a power cut in dev.
	readyIn   = 60 * time.Second
	readyPoll = 20 * time.Millisecond
	probeIn   = 2 * time.Second
	stopIn    = 20 * time.Second
	// leavingIn is how long a start waits for the previous server of the same
	// directory, which its dead parent has told to end.
	leavingIn = 20 * time.Second
	// dataParent takes the durable data where root's own directory is closed
	// to the user who runs Postgres.
	dataParent = "/var/lib"
)

// SharedVariable is the environment variable by which one temporary server is
// shared by several programs: withpostgres sets it, testenv reads it.
const SharedVariable = "KIKUAI_TEST_POSTGRES"

// Options of a server.
type Options struct {
	// BinDir holds initdb and postgres; empty: the system's (System).
	BinDir string
	// Dir keeps the data of a durable server from one start to the next.
	// Empty: a temporary server, fast and forgetful (no fsync), whose data
	// Close removes.
	Dir string
	// MaxConns is max_connections; 0: 100, and 400 for a temporary server.
	MaxConns int
	// Followed lets a temporary server have replicas, see Server.Follow.
	Followed bool
}

// Server is a running Postgres.
type Server struct {
	binDir   string
	dir      string // holds data/, run/ and the password
	port     int
	password string
	durable  bool
	followed bool
	maxConns int
	who      owner
	process  *child.Process
}

// Start creates the cluster where there is none, runs it and returns when it
// accepts connections.
func Start(ctx context.Context, o Options) (*Server, error) {
	s := &Server{binDir: o.BinDir, durable: o.Dir != "", followed: o.Followed, maxConns: o.MaxConns}
	var err error
	if s.binDir == "" {
		if s.binDir, err = System(); err != nil {
			return nil, err
		}
	}
	if s.maxConns == 0 {
		s.maxConns = 100
		if !s.durable {
			s.maxConns = 400
		}
	}
	if s.who, err = currentOwner(); err != nil {
		return nil, err
	}
	if !s.who.reaches(s.binDir) {
		return nil, fmt.Errorf("user id %d, who runs Postgres, cannot enter %s: move the binaries where others may enter", s.who.uid, s.binDir)
	}
	if s.durable {
		s.dir, err = s.who.place(o.Dir, dataParent)
	} else {
		s.dir, err = temporaryDir()
	}
	if err != nil {
		return nil, err
	}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// URL is the superuser's connection URL for a database, "postgres" for the
// one that always exists.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// PID is the server's first process, whose children do the work; 0 while it is stopped.
func (s *Server) PID() int {
	if s.process == nil {
		return 0
	}
	return s.process.PID()
}

// Dir is where the data lies. It differs from Options.Dir where the user who
// runs Postgres could not have entered that.
func (s *Server) Dir() string { return s.dir }

// Pause freezes every process of the server: connections stay open and
// nothing answers.
func (s *Server) Pause() error { return s.signalAll(syscall.SIGSTOP) }

// Resume lets a paused server go on.
func (s *Server) Resume() error { return s.signalAll(syscall.SIGCONT) }

// Stop ends the server, closing its clients' connections; Restart runs it
// again on the same port. A server that is stopped already is no error.
func (s *Server) Stop() error {
	if s.process == nil {
		return nil
	}
	if err := s.signalAll(syscall.SIGCONT); err != nil {
		return err
	}
	err := s.process.Stop(syscall.SIGINT, stopIn) // "fast": roll back, checkpoint, end
	s.process = nil
	return err
}

// Restart runs a stopped server again on the same port.
func (s *Server) Restart(ctx context.Context) error {
	if s.process != nil {
		return nil
	}
	return child.Again(func() error { return s.launch(ctx) })
}

// Close stops the server and removes what a temporary one has written. It may
// be called again.
func (s *Server) Close() error {
	err := s.Stop()
	if !s.durable && s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *Server) dataDir() string { return filepath.Join(s.dir, "data") }
func (s *Server) runDir() string  { return filepath.Join(s.dir, "run") }

// signalAll signals the server's children as well: every backend is a process
// group of its own, found by its parent.
func (s *Server) signalAll(sig syscall.Signal) error {
	if s.process == nil {
		return nil
	}
	err := s.process.Signal(sig)
	for _, pid := range childrenOf(s.process.PID()) {
		if e := syscall.Kill(pid, sig); e != nil && !errors.Is(e, syscall.ESRCH) {
			err = errors.Join(err, e)
		}
	}
	return err
}

func (s *Server) start(ctx context.Context) error {
	if err := s.create(ctx); err != nil {
		return err
	}
	if err := s.awaitPredecessor(ctx); err != nil {
		return err
	}
	return s.launchAnywhere(ctx)
}

// launchAnywhere launches the server on a port that is free.
func (s *Server) launchAnywhere(ctx context.Context) error {
	return child.OnFreePorts(1, func(ports []int) error {
		s.port = ports[0]
		return s.launch(ctx)
	})
}

func (s *Server) launch(ctx context.Context) error {
	args := []string{
		"-D", s.dataDir(), "-p", strconv.Itoa(s.port), "-k", s.runDir(),
		"-c", "listen_addresses=127.0.0.1",
		"-c", "max_connections=" + strconv.Itoa(s.maxConns),
		"-c", "shared_buffers=64MB",
		"-c", "timezone=UTC", "-c", "log_timezone=UTC",
		"-c", "logging_collector=off", "-c", "log_destination=stderr",
	}
	if !s.durable {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_wal_size=1GB", "-c", "autovacuum=off")
		args = append(args, s.logging()...)
	}
	// SIGINT is Postgres's fast shutdown: what a durable server has written is
	// checkpointed even when the parent was killed.
	process, err := child.Start(s.command("postgres", args...), syscall.SIGINT)
	if err != nil {
		return withLibc(err)
	}
	s.process = process

	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	err = process.Await(ctx, readyPoll, s.accepts)
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, child.ErrEnded):
		return errors.Join(err, s.Stop())
	}
	s.process = nil
	return err
}

// accepts reports whether our server answers a query. Our password tells it
// from a stranger on the same port.
func (s *Server) accepts(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, probeIn)
	defer cancel()
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return false
	}
	return conn.Close(ctx) == nil
}

func (s *Server) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(s.binDir, name), args...)
	cmd.Dir = s.dir
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.who.credential()}
	return cmd
}

// environment is ours without what would make Postgres's programs look
// elsewhere (PGDATA, PGPORT…) or speak another language in their messages.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if name, _, _ := strings.Cut(entry, "="); !strings.HasPrefix(name, "PG") && !strings.HasPrefix(name, "LC_") && name != "LANG" {
			env = append(env, entry)
		}
	}
	return append(env, "LC_ALL=C")
}

func withLibc(err error) error {
	if errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("%w (the embedded binaries need glibc; on Alpine install the system's postgresql)", err)
	}
	return err
}
