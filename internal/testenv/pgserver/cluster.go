package pgserver

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	temporaryPrefix  = "kikuai-pg-"
	unfinishedPrefix = "initdb-"
	passwordFile     = "password"
)

// temporaryDir makes a directory named after this process, and removes those
// of processes that were killed before they could do it.
func temporaryDir() (string, error) {
	parent := TemporaryParent(os.TempDir())
	old, err := filepath.Glob(filepath.Join(parent, temporaryPrefix+"*"))
	if err != nil {
		return "", err
	}
	for _, dir := range old {
		pid, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), temporaryPrefix), "-")
		n, err := strconv.Atoi(pid)
		if err != nil || alive(n) || serving(filepath.Join(dir, "data")) != 0 {
			continue
		}
		if err := os.RemoveAll(dir); err != nil && !errors.Is(err, fs.ErrPermission) {
			return "", err
		}
	}
	dir, err := os.MkdirTemp(parent, temporaryPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o755) // the data and the password in it are closed
}

// create makes the cluster unless it is there: run/ for the socket, data/ of
// initdb, and a random password, without which any user of this machine could
// act as the database's superuser.
func (s *Server) create(ctx context.Context) error {
	if err := os.MkdirAll(s.runDir(), 0o700); err != nil {
		return err
	}
	if err := s.who.give(s.runDir()); err != nil {
		return err
	}
	password := filepath.Join(s.dir, passwordFile)
	if _, err := os.Stat(filepath.Join(s.dataDir(), "PG_VERSION")); err == nil {
		raw, err := os.ReadFile(password)
		if err != nil {
			return fmt.Errorf("the database in %s has lost its password file: %w", s.dir, err)
		}
		s.password = strings.TrimSpace(string(raw))
		return s.sameVersion(ctx)
	}
	s.password = rand.Text()
	if err := os.WriteFile(password, []byte(s.password+"\n"), 0o600); err != nil {
		return err
	}
	if err := s.who.give(password); err != nil {
		return err
	}
	return s.initdb(ctx, password)
}

// initdb works in a directory that gets its name when it is whole, so that a
// start that was cut off leaves nothing the next one would take for a cluster.
func (s *Server) initdb(ctx context.Context, password string) error {
	cutOff, err := filepath.Glob(filepath.Join(s.dir, unfinishedPrefix+"*"))
	if err != nil {
		return err
	}
	for _, dir := range cutOff {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	fresh, err := os.MkdirTemp(s.dir, unfinishedPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh)
	if err := s.who.give(fresh); err != nil {
		return err
	}
	args := []string{
		"-D", fresh, "-U", superuser, "--pwfile", password,
		"--encoding=UTF8", "--locale=C", "--no-instructions",
	}
	if s.durable {
		args = append(args, "--auth-local=scram-sha-256", "--auth-host=scram-sha-256")
	} else {
		// A password nobody could guess and that lives for minutes needs no slow
		// hash: SCRAM costs each of a test run's thousands of connections
		// milliseconds on both sides, and tens under the race detector.
		args = append(args, "--no-sync", "--auth-local=md5", "--auth-host=md5")
	}
	process, err := child.Start(s.command("initdb", args...), syscall.SIGKILL)
	if err != nil {
		return withLibc(err)
	}
	select {
	case <-process.Done():
	case <-ctx.Done():
		return errors.Join(ctx.Err(), process.Stop(syscall.SIGKILL, stopIn))
	}
	if err := process.Err(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, strings.TrimSpace(process.Tail()))
	}
	return os.Rename(fresh, s.dataDir())
}

// sameVersion refuses data of another major version in words: Postgres itself
// would only say that the files are incompatible.
func (s *Server) sameVersion(ctx context.Context) error {
	raw, err := os.ReadFile(filepath.Join(s.dataDir(), "PG_VERSION"))
	if err != nil {
		return err
	}
	have := strings.TrimSpace(string(raw))
	cmd := s.command("postgres", "--version")
	out, err := cmd.Output()
	if err != nil {
		return withLibc(err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.14 (Debian …)
	if len(fields) < 3 {
		return fmt.Errorf("postgres --version printed %q", out)
	}
	major, _, _ := strings.Cut(fields[2], ".")
	if major != have {
		return fmt.Errorf("the data in %s belongs to Postgres %s and %s is version %s: bring version %s back, or remove the directory to start afresh", s.dir, have, s.binDir, major, have)
	}
	return ctx.Err()
}

// awaitPredecessor waits until a server that a killed parent left behind has
// ended, and removes the lock file of one that ended without doing so: its
// process id may be another program's by now, and Postgres would not start.
func (s *Server) awaitPredecessor(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, leavingIn)
	defer cancel()
	tick := time.NewTicker(readyPoll)
	defer tick.Stop()
	for {
		pid := serving(s.dataDir())
		if pid == 0 {
			err := os.Remove(filepath.Join(s.dataDir(), "postmaster.pid"))
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the database in %s is in use by process %d: is another kikuai dev running? (%w)", s.dir, pid, ctx.Err())
		case <-tick.C:
		}
	}
}

// serving returns the id of the live server of a data directory, 0 for none.
func serving(dataDir string) int {
	raw, err := os.ReadFile(filepath.Join(dataDir, "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || pid <= 0 || !alive(pid) {
		return 0
	}
	// Its arguments are for everybody to read, other than its directory.
	if raw, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline")); err == nil && !serves(raw, dataDir) {
		return 0 // the id was given to another program
	}
	return pid
}

// serves reports whether a process's arguments, as /proc gives them, are those
// of a Postgres on dataDir, however either path is spelt.
func serves(cmdline []byte, dataDir string) bool {
	args := strings.Split(string(cmdline), "\x00")
	want, err := os.Stat(dataDir)
	if err != nil {
		return false
	}
	for i, arg := range args[:len(args)-1] {
		if arg != "-D" {
			continue
		}
		got, err := os.Stat(args[i+1])
		return err == nil && os.SameFile(got, want)
	}
	return false
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// childrenOf lists the direct children of a process where /proc tells them.
func childrenOf(pid int) []int {
	tasks, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		return nil
	}
	var pids []int
	for _, task := range tasks {
		raw, err := os.ReadFile(task)
		if err != nil {
			continue
		}
		for _, field := range strings.Fields(string(raw)) {
			if n, err := strconv.Atoi(field); err == nil {
				pids = append(pids, n)
			}
		}
	}
	return pids
}
