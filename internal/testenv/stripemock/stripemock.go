// Package stripemock runs Stripe's own mock of its API, which checks every
// request against Stripe's specification, for tests: on a port of 127.0.0.1,
// ended with its parent.
package stripemock

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/child"
)

const (
	// version is what `go install` builds; it brings a specification of its own.
	version   = "v0.203.0"
	program   = "github.com/stripe/stripe-mock@" + version
	buildIn   = 5 * time.Minute
	readyIn   = 30 * time.Second
	readyPoll = 10 * time.Millisecond
	stopIn    = 5 * time.Second
)

// Server is a running mock.
type Server struct {
	URL string // http://host:port

	process *child.Process
}

// Start builds the mock where this machine has none yet, runs it and returns
// when it answers.
func Start(ctx context.Context) (*Server, error) {
	binary, err := build(ctx)
	if err != nil {
		return nil, err
	}
	// It would listen with TLS on a fixed port unless it is told another.
	cmd := exec.Command(binary, "-http-addr", "127.0.0.1:0", "-https-addr", "127.0.0.1:0")
	process, err := child.Start(cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	s := &Server{process: process}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := process.Await(ctx, readyPoll, s.answers); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Close ends the mock. It may be called again.
func (s *Server) Close() error {
	err := s.process.Stop(syscall.SIGTERM, stopIn)
	http.DefaultClient.CloseIdleConnections()
	return err
}

var listening = regexp.MustCompile(`Listening for HTTP at address: (127\.0\.0\.1:\d+)\n`)

// answers finds the port in what the mock prints, and tries it.
func (s *Server) answers(ctx context.Context) bool {
	printed := listening.FindStringSubmatch(s.process.Tail())
	if printed == nil {
		return false
	}
	s.URL = "http://" + printed[1]
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+"/v1/charges", http.NoBody)
	if err != nil {
		return false
	}
	request.Header.Set("Authorization", "Bearer sk_test_123")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// build returns the binary of this version, from the user's cache if it was
// built before.
func build(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "kikuai", "stripe-mock-"+version)
	binary := filepath.Join(dir, "stripe-mock")
	if _, err := os.Stat(binary); err == nil {
		return binary, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	bin, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(bin)
	ctx, cancel := context.WithTimeout(ctx, buildIn)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "install", program)
	cmd.Dir = bin // outside of our module
	cmd.Env = append(os.Environ(), "GOBIN="+bin)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go install %s failed (is the network there?): %w\n%s", program, err, strings.TrimSpace(string(out)))
	}
	return binary, os.Rename(filepath.Join(bin, "stripe-mock"), binary)
}
