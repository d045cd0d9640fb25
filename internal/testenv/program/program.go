// Package program builds kikuai as it is shipped and runs it, for measurements.
package program

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
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
	// StopIn is how long a server may take to stop: longer than it drains and settles.
	StopIn = 60 * time.Second

	readyIn   = 60 * time.Second
	readyPoll = 50 * time.Millisecond
	unlimited = "2000000000" // requests a minute
)

// Program is a kikuai binary and the environment that it runs in.
type Program struct {
	Binary      string
	Environment []string
}

// Build compiles the program of the module that we are in, as it is shipped, into a folder,
// and returns the binary's path.
func Build(ctx context.Context, dir string) (binary string, err error) {
	module, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	binary = filepath.Join(dir, "kikuai")
	compile := exec.CommandContext(ctx, "go", "build", "-trimpath", "-pgo=deploy/bench/serve.pgo", "-o", binary, "./cmd/kikuai")
	compile.Dir, compile.Stderr = filepath.Dir(strings.TrimSpace(string(module))), os.Stderr
	if err := compile.Run(); err != nil {
		return "", fmt.Errorf("build kikuai: %w", err)
	}
	return binary, nil
}

// Run runs one command to its end and returns what it printed, also beside an error, which
// holds what it complained of.
func (p Program) Run(ctx context.Context, args ...string) ([]byte, error) {
	var errs bytes.Buffer
	command := exec.CommandContext(ctx, p.Binary, args...)
	command.Env, command.Stderr = p.Environment, &errs
	out, err := command.Output()
	if err != nil {
		return out, fmt.Errorf("kikuai %s: %w: %s", args[0], err, bytes.TrimSpace(errs.Bytes()))
	}
	return out, nil
}

// Serve migrates the database, starts a server and returns when it can serve on addr.
// Whoever asked for it stops it.
func (p Program) Serve(ctx context.Context, addr string) (*child.Process, error) {
	if _, err := p.Run(ctx, "migrate"); err != nil {
		return nil, err
	}
	command := exec.Command(p.Binary, "serve")
	command.Env = p.Environment
	return Start(ctx, command, http.MethodGet, "http://"+addr+"/readyz")
}

// FundedKey gives a person's account money, once, and returns a new API key of it without
// a limit of requests.
func (p Program) FundedKey(ctx context.Context, telegramID int, usd string) (string, error) {
	id := strconv.Itoa(telegramID)
	if _, err := p.Run(ctx, "admin", "credit", "--telegram-id", id, "--usd", usd, "--idempotency-key", "measured-"+id, "--json"); err != nil {
		return "", err
	}
	out, err := p.Run(ctx, "admin", "key", "--telegram-id", id, "--name", "measured", "--rpm", unlimited, "--json")
	if err != nil {
		return "", err
	}
	var made struct {
		Key string `json:"key"`
	}
	if err := json.Unmarshal(out, &made); err != nil {
		return "", fmt.Errorf("admin key: %w", err)
	}
	return made.Key, nil
}

// Start starts a server, which ends with us, and returns when it answers such a request
// with 200.
func Start(ctx context.Context, command *exec.Cmd, method, url string) (*child.Process, error) {
	process, err := child.Start(command, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	if err := process.Await(ctx, readyPoll, func(ctx context.Context) bool { return answers(ctx, client, method, url) }); err != nil {
		return nil, errors.Join(err, process.Stop(syscall.SIGTERM, StopIn))
	}
	return process, nil
}

func answers(ctx context.Context, client *http.Client, method, url string) bool {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader("{}"))
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	_, _ = io.Copy(io.Discard, response.Body)
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}
