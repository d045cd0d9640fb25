package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// The exit code by which k6 says that it has run well and that a bound was missed.
const exitMissed = 99

// graceful is what k6 is given to end after its load was cut off.
const graceful = 15 * time.Second

// clientGOGC has the client collect garbage less often: it has memory to spare, and no
// processors of its own.
const clientGOGC = "400"

// runScript lets k6 run the script of that name.
func runScript(ctx context.Context, here *site, l load, s settings) (outcome, error) {
	file := filepath.Join(here.dir, l.name+".json")
	command := exec.CommandContext(ctx, s.k6, "run", "--quiet", "--no-color", "--no-usage-report", "--address", "",
		"--local-ips", here.clients, filepath.Join(s.dir, l.name+".js"))
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGINT) }
	command.WaitDelay = graceful
	command.Env = append(os.Environ(), here.scriptEnvironment(s)...)
	command.Env = append(command.Env, "SUMMARY="+file, "GOGC="+clientGOGC)
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	if err := command.Start(); err != nil {
		return outcome{}, fmt.Errorf("k6: %w", err)
	}
	here.client.Store(int64(command.Process.Pid))
	err := command.Wait()
	here.client.Store(0)
	var exit *exec.ExitError
	if err != nil && !(errors.As(err, &exit) && exit.ExitCode() == exitMissed) {
		return outcome{}, fmt.Errorf("k6: %w", err)
	}
	raw, err := os.ReadFile(file)
	if err != nil {
		return outcome{}, err
	}
	o, err := parseSummary(raw)
	o.client = command.ProcessState.UserTime() + command.ProcessState.SystemTime()
	return o, err
}

// scriptEnvironment is what the scripts are told.
func (here *site) scriptEnvironment(s settings) []string {
	environment := []string{
		"BASE_URL=" + here.url, "KEYS_FILE=" + here.keys, "MODEL=" + model, "BOT_TOKEN=" + botToken,
		fmt.Sprintf("SCALE=%g", s.scale),
	}
	if s.duration > 0 {
		environment = append(environment, fmt.Sprintf("DURATION=%g", s.duration.Seconds()))
	}
	if here.authority != "" {
		environment = append(environment, "SSL_CERT_FILE="+here.authority)
	}
	return environment
}

// summary is what a script's handleSummary was given, as far as we read it.
type summary struct {
	Metrics map[string]metric `json:"metrics"`
	State   struct {
		Milliseconds float64 `json:"testRunDurationMs"`
	} `json:"state"`
}

type metric struct {
	Type       string             `json:"type"`
	Values     map[string]float64 `json:"values"`
	Thresholds map[string]struct {
		OK bool `json:"ok"`
	} `json:"thresholds"`
}

var errSummary = errors.New("the script has left no summary that can be read")

// parseSummary reads what a script has left.
func parseSummary(raw []byte) (outcome, error) {
	var s summary
	if err := json.Unmarshal(raw, &s); err != nil {
		return outcome{}, fmt.Errorf("%w: %w", errSummary, err)
	}
	requests, took, failed := s.Metrics["http_reqs"], s.Metrics["http_req_duration"], s.Metrics["http_req_failed"]
	if requests.Values["count"] < 1 || s.State.Milliseconds <= 0 || took.Values == nil {
		return outcome{}, fmt.Errorf("%w: nothing was asked", errSummary)
	}
	o := outcome{
		length:   milliseconds(s.State.Milliseconds),
		requests: int64(requests.Values["count"]),
		p50:      milliseconds(took.Values["med"]), p95: milliseconds(took.Values["p(95)"]), p99: milliseconds(took.Values["p(99)"]),
		errors: failed.Values["rate"],
	}
	for name, m := range s.Metrics {
		for bound, kept := range m.Thresholds {
			if !kept.OK {
				o.missed = append(o.missed, name+" "+bound)
			}
		}
	}
	slices.Sort(o.missed)
	o.besides = besides(s.Metrics)
	return o, nil
}

func milliseconds(n float64) time.Duration { return time.Duration(n * float64(time.Millisecond)) }

// besides tells of the figures that but some scripts have.
func besides(metrics map[string]metric) string {
	var told []string
	for _, kind := range []string{"balance", "usage", "proxy"} {
		if m, has := metrics["http_req_duration{name:"+kind+"}"]; has {
			told = append(told, fmt.Sprintf("%s p95 %s", kind, short(milliseconds(m.Values["p(95)"]))))
		}
	}
	for _, one := range []struct{ name, means string }{
		{"http_req_duration{scenario:after}", "after the spike"}, {"walk_duration", "a whole walk"},
		{"booked_after", "in the ledger after"}, {"heard_after", "heard of after"},
	} {
		if m, has := metrics[one.name]; has {
			told = append(told, fmt.Sprintf("%s p50 %s, p99 %s", one.means, short(milliseconds(m.Values["med"])), short(milliseconds(m.Values["p(99)"]))))
		}
	}
	if m, has := metrics["sockets_opened"]; has {
		told = append(told, fmt.Sprintf("%.0f sockets, %.0f not opened, %.0f lost", m.Values["passes"], m.Values["fails"], metrics["sockets_lost"].Values["count"]))
	}
	if m := metrics["dropped_iterations"]; m.Values["count"] > 0 {
		told = append(told, fmt.Sprintf("%.0f calls not sent for want of clients", m.Values["count"]))
	}
	return strings.Join(told, "; ")
}

// short is a duration as a table shows it.
func short(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(time.Second).String()
	case d >= 100*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Microsecond).String()
}
