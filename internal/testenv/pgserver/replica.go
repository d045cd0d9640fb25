package pgserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

// followers is how many replicas, and copies being taken, a server serves at a time.
const followers = 8

// Follow copies the running server and starts the copy as its streaming replica, which
// answers reads. It is for a temporary server that was started with Options.Followed. The
// replica has a life of its own: whoever asked for it closes it.
func (s *Server) Follow(ctx context.Context) (*Server, error) {
	if s.durable || !s.followed {
		return nil, errors.New("only a temporary server that was started to be followed has replicas")
	}
	r := &Server{binDir: s.binDir, password: s.password, maxConns: s.maxConns, who: s.who, followed: true}
	var err error
	if r.dir, err = temporaryDir(); err != nil {
		return nil, err
	}
	if err := r.copy(ctx, s); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	if err := r.launchAnywhere(ctx); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

// copy takes a server's data as it is now, with word of whom to follow from there on.
func (s *Server) copy(ctx context.Context, from *Server) error {
	for _, dir := range []string{s.runDir(), s.dataDir()} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
		if err := s.who.give(dir); err != nil {
			return err
		}
	}
	cmd := s.command("pg_basebackup", "-D", s.dataDir(), "-h", "127.0.0.1", "-p", strconv.Itoa(from.port), "-U", superuser,
		"--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync", "--no-password")
	cmd.Env = append(cmd.Env, "PGPASSWORD="+from.password) // which it writes down for the replica
	if _, err := os.Stat(filepath.Join(s.binDir, "pg_basebackup")); err != nil {
		return fmt.Errorf("pg_basebackup is not beside postgres in %s: install the system's postgresql", s.binDir)
	}
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return withLibc(err)
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), process.Stop(syscall.SIGKILL, stopIn))
	}
	if err := process.Err(); err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, strings.TrimSpace(process.Tail()))
	}
	return nil
}

// logging are the arguments of how much a temporary server writes into its log of changes:
// as little as it may, or what replicas need, told at once.
func (s *Server) logging() []string {
	if !s.followed {
		return []string{"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "synchronous_commit=off"}
	}
	return []string{
		"-c", "wal_level=replica", "-c", "max_wal_senders=" + strconv.Itoa(followers), "-c", "synchronous_commit=local",
		"-c", "wal_keep_size=256MB", // for a replica that a test has stopped for a while
		"-c", "wal_retrieve_retry_interval=100ms",
	}
}
