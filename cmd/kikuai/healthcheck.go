package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/config"
)

const (
	askedIn    = 3 * time.Second // the whole of a look at a server's health
	healthMost = 4 << 10         // bytes of what a server says of itself
)

// healthCommand asks the server of this machine or container how it is: for a supervisor
// that can run a command in its place and nothing else, as where the image holds no shell.
type healthCommand struct {
	Ready bool `help:"Whether it can serve (/readyz), rather than whether it lives (/health)."`
}

func (c healthCommand) Run(t *terminal) error {
	settings, err := config.Load(t.lookup, config.NeedNothing)
	if err != nil {
		return err
	}
	host, err := reachable(settings.ListenAddr)
	if err != nil {
		return fmt.Errorf("LISTEN_ADDR: %w", err)
	}
	path := "/health"
	if c.Ready {
		path = "/readyz"
	}
	said, err := ask(t.ctx, "http://"+host+path)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, said)
	return err
}

// ask returns what the server says at that address, and an error unless it says so with
// status 200.
func ask(ctx context.Context, url string) (said string, err error) {
	ctx, cancel := context.WithTimeout(ctx, askedIn)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return "", err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}} // no proxy: it is this machine
	response, err := client.Do(request)
	if err != nil {
		return "", fmt.Errorf("the server does not answer: %w", err)
	}
	defer func() { err = errors.Join(err, response.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(response.Body, healthMost))
	if err != nil {
		return "", fmt.Errorf("the server breaks off: %w", err)
	}
	said = strings.TrimSpace(string(body))
	if response.StatusCode != http.StatusOK {
		return "", fmt.Errorf("the server answers %d: %s", response.StatusCode, said)
	}
	return said, nil
}

// reachable is the address at which this machine reaches what listens on addr: a listener
// on all addresses is asked on the loopback one.
func reachable(addr string) (string, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", err
	}
	if host == "" {
		return net.JoinHostPort("127.0.0.1", port), nil
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsUnspecified() {
		if host = "127.0.0.1"; ip.Is6() {
			host = "::1"
		}
	}
	return net.JoinHostPort(host, port), nil
}
