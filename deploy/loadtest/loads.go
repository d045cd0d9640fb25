package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// load is one kind of load.
type load struct {
	name  string
	what  string // is asked for, at scale 1
	usual time.Duration
	run   func(ctx context.Context, here *site, l load, s settings) (outcome, error)
	// before is what must have happened and is not measured; nil: nothing.
	before func(ctx context.Context, here *site, l load, s settings) error
}

// loads are all of them, in the order in which they are measured.
func loads() []load {
	return []load{
		{"constant", "600 calls/s of the mix", 3 * time.Minute, runScript, nil},
		{"spike", "150/s, at once 1,500/s, 150/s again", 2 * time.Minute, runScript, nil},
		{"stress", "500 to 2,500/s in five steps", 5 * time.Minute, runScript, nil},
		{"complex", "20 new people/s: session, key, balance, completion, usage, revoke", 3 * time.Minute, runScript, nil},
		{"simultaneous", "400 calls at one moment, once a second", 2 * time.Minute, runScript, nil},
		{"api", "2,000 calls/s of the mix", 10 * time.Minute, runScript, nil},
		{"ledger", "1,000 paid calls/s", 5 * time.Minute, runScript, nil},
		{"events", "500 updates/s of Telegram, each answered", 5 * time.Minute, runEvents, introduce},
		{"sockets", "5,000 WebSockets, 100 paid calls/s heard of", 5 * time.Minute, runScript, nil},
	}
}

func names() []string {
	var all []string
	for _, l := range loads() {
		all = append(all, l.name)
	}
	return all
}

func loadOf(name string) (load, bool) {
	all := loads()
	i := slices.IndexFunc(all, func(l load) bool { return l.name == name })
	if i < 0 {
		return load{}, false
	}
	return all[i], true
}

// length is how long the load lasts.
func (l load) length(s settings) time.Duration {
	if s.duration > 0 {
		return s.duration
	}
	return l.usual
}

// outcome is what came of a load.
type outcome struct {
	name, what    string
	scale         float64
	length        time.Duration // of the load itself
	requests      int64
	p50, p95, p99 time.Duration
	errors        float64        // share of the requests, 0 to 1
	missed        []string       // bounds
	besides       string         // what else there is to say of this kind of load
	client        time.Duration  // processor time of the client, where it is a process of its own
	used          map[string]use // by everybody who took part
	transactions  int64          // that came into the ledger
	behind        time.Duration  // that Postgres was behind Redis, at most
}

// perSecond is the rate of requests.
func (o outcome) perSecond() float64 {
	return float64(o.requests) / max(o.length.Seconds(), 0.001)
}

// measure puts each load on the site, one after the other, and says on the way how it goes.
// Where one could not be measured, those before it are returned with the error.
func (here *site) measure(ctx context.Context, s settings) (outcomes []outcome, err error) {
	for _, l := range loads() {
		if len(s.only) > 0 && !slices.Contains(s.only, l.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s: %s, for %s\n", l.name, scaledText(l.what, s.scale), l.length(s))
		o, err := here.measureOne(ctx, l, s)
		if err != nil {
			return outcomes, fmt.Errorf("%s: %w", l.name, err)
		}
		outcomes = append(outcomes, o)
		fmt.Fprintf(os.Stderr, "%s: %s\n", l.name, o)
	}
	return outcomes, nil
}

func (here *site) measureOne(ctx context.Context, l load, s settings) (outcome, error) {
	if l.before != nil {
		if err := l.before(ctx, here, l, s); err != nil {
			return outcome{}, err
		}
	}
	before, err := here.transactions(ctx)
	if err != nil {
		return outcome{}, err
	}
	watched, err := here.watch(ctx)
	if err != nil {
		return outcome{}, err
	}
	o, err := l.run(ctx, here, l, s)
	used, behind, watchErr := watched()
	if err = errors.Join(err, watchErr); err != nil {
		return o, err
	}
	used[nameClient] = use{o.client, o.client.Seconds() / max(o.length.Seconds(), 0.001), used[nameClient].memory}
	o.name, o.what, o.scale, o.used, o.behind = l.name, l.what, s.scale, used, behind
	if err := here.caughtUp(ctx); err != nil {
		return o, err
	}
	after, err := here.transactions(ctx)
	o.transactions = after - before
	return o, err
}

func scaledText(what string, scale float64) string {
	if scale == 1 {
		return what
	}
	return fmt.Sprintf("%g × (%s)", scale, what)
}

// String is an outcome in one line.
func (o outcome) String() string {
	return fmt.Sprintf("%d requests, %.0f/s, p50 %s, p95 %s, p99 %s, %.2f %% errors; %s",
		o.requests, o.perSecond(), short(o.p50), short(o.p95), short(o.p99), 100*o.errors, o.besides)
}
