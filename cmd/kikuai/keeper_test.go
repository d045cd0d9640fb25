package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// failpointBinary builds kikuai so that it ends itself at a mark, once for all tests.
var failpointBinary = sync.OnceValues(func() (string, error) { return build("-tags", "failpoint") })

// armed is the variable that names the mark at which a process ends itself.
const armed = "KIKUAI_FAILPOINT"

// keeper keeps a server running on a site, starting it again when it is killed.
type keeper struct {
	s      *site
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu     sync.Mutex
	now    *process
	killed int // by its own hand
	fault  error
}

// keep starts a server that is to end itself at the mark, and servers without one
// after it. end stops the last one.
func (s *site) keep(mark string) *keeper {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	k := &keeper{s: s, cancel: cancel}
	if k.fault = k.start(mark); k.fault != nil {
		s.t.Fatal(k.fault)
	}
	k.done.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-k.current().ended:
			}
			if ctx.Err() != nil {
				return
			}
			k.mu.Lock()
			if suicide(k.now.cmd) {
				k.killed++
			}
			k.mu.Unlock()
			if err := k.start(""); err != nil {
				k.mu.Lock()
				k.fault = err
				k.mu.Unlock()
				return
			}
		}
	})
	s.t.Cleanup(k.end)
	return k
}

func (k *keeper) start(mark string) error {
	p, err := k.s.start(append(k.s.environ(), armed+"="+mark), "serve")
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now = p
	return nil
}

func (k *keeper) current() *process {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// kills is how many servers ended themselves.
func (k *keeper) kills() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fault != nil {
		k.s.t.Fatal(k.fault)
	}
	return k.killed
}

// end kills the server, as a crash would: whoever comes next must cope.
func (k *keeper) end() {
	k.cancel()
	k.current().kill()
	k.done.Wait()
}

// suicide tells whether a process ended by SIGKILL.
func suicide(c *exec.Cmd) bool {
	status, ok := c.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// insist runs a command line that is to end itself at the mark, and once more without
// a mark where it did or failed otherwise, until it succeeds.
func (s *site) insist(mark string, args ...string) (out []byte, killed bool) {
	s.t.Helper()
	for deadline := time.Now().Add(startIn); ; mark = "" {
		c := exec.Command(s.binary, args...)
		c.Env = append(s.environ(), armed+"="+mark)
		out, err := c.Output()
		if err == nil {
			return out, killed
		}
		if mark != "" && c.ProcessState != nil && suicide(c) {
			killed = true
			continue
		}
		if time.Now().After(deadline) {
			s.t.Fatalf("kikuai %v: %v", args, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// buildDir holds what the tests build, until they end.
var buildDir = sync.OnceValues(func() (string, error) { return os.MkdirTemp("", "kikuai-e2e-") })

// build compiles kikuai with more arguments and returns the binary's path.
func build(args ...string) (string, error) {
	parent, err := buildDir()
	if err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "kikuai")
	out, err := exec.Command("go", append(append([]string{"build", "-ldflags=-s -w"}, args...), "-o", path, ".")...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
}

// withFailpoints makes the site's processes ones that end themselves at marks.
func (s *site) withFailpoints() {
	s.t.Helper()
	path, err := failpointBinary()
	if err != nil {
		s.t.Fatal(err)
	}
	s.binary = path
}
