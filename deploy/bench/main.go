// Command bench measures kikuai against a bare handler on the same machine, in the
// same run, and prints the ratios.
//
// The bare handler is Fiber, go-redis with AutoPipeline, one-line scripts and
// fasthttp's client to the same upstream, and nothing else: no authentication, no
// limit, no money, no durability. It is the ceiling of this stack, so a ratio says
// what everything that kikuai promises costs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	var (
		rounds      = flags.Int("rounds", 5, "measured rounds of each pair")
		length      = flags.Duration("length", 4*time.Second, "length of one measurement")
		connections = flags.Int("connections", 64, "client connections")
		out         = flags.String("out", "deploy/bench/RESULTS.md", "file for the tables; empty writes none")
		only        = flags.String("only", "", "measure but one part: serving, allocations, streams, money, limits, cache, or gateways or usage, which nothing else brings")
		calls       = flags.Int("calls", 1_000_000, "with -only usage: calls of the account")
		profiles    = flags.String("profiles", "", "directory for a CPU profile of kikuai under each load")
		against     = flags.String("against", "", "compare with this kikuai, built before, in turn; writes no file")
		with        = flags.String("with", "", "with -against: this kikuai in place of the tree's")
		work        = flags.String("work", "", "with -against: but the kinds of work whose name has this in it")
		bare        = flags.String("bare", "", "internal: serve the bare handler on this address")
		upstream    = flags.String("upstream", "", "internal: serve the upstream on this address")
		bareRedis   = flags.String("bare-redis", "", "internal: the bare handler's Redis")
		bareModel   = flags.String("bare-model", "", "internal: the bare handler's upstream")
	)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *upstream != "" {
		return serveUpstream(ctx, *upstream)
	}
	if *bare != "" {
		return serveBare(ctx, *bare, *bareRedis, *bareModel)
	}
	switch *only {
	case "", "serving", "allocations", "streams", "money", "limits", "cache", "gateways":
	case "usage":
		return usage(ctx, *calls, *out)
	default:
		return errors.New("only is serving, allocations, streams, money, limits, cache, gateways or usage")
	}
	if *rounds < 1 || *rounds > 50 || *length < time.Second || *length > time.Minute || *connections < 1 || *connections > 1024 {
		return errors.New("rounds must be 1–50, length 1s–1m, connections 1–1024")
	}
	if *against != "" {
		text, err := measureAgainst(ctx, *against, *with, *work, *rounds, *length, *connections)
		if err != nil {
			return err
		}
		return report("", "Before and after", text)
	}
	if *only == "gateways" {
		return section(ctx, "Gateways", measureGateways, *rounds, *length, *connections, *out)
	}
	for _, part := range []struct {
		name    string
		measure func() error
	}{
		{"serving", func() error { return serving(ctx, *rounds, *length, *connections, *profiles, *out) }},
		{"allocations", func() error {
			return section(ctx, "Allocations", measureAllocations, *rounds, *length, *connections, *out)
		}},
		{"streams", func() error { return section(ctx, "Streams", measureStreams, *rounds, *length, *connections, *out) }},
		{"money", func() error { return section(ctx, "Money", measureMoney, *rounds, *length, *connections, *out) }},
		{"limits", func() error { return section(ctx, "Limits", measureLimits, *rounds, *length, *connections, *out) }},
		{"cache", func() error { return section(ctx, "Cache", measureCache, *rounds, *length, *connections, *out) }},
	} {
		if *only != "" && *only != part.name {
			continue
		}
		if err := part.measure(); err != nil {
			return err
		}
	}
	return nil
}

// section measures a part of the house and reports it under its title.
func section(ctx context.Context, title string, measure func(context.Context, int, time.Duration, int) (string, error),
	rounds int, length time.Duration, connections int, out string) error {
	text, err := measure(ctx, rounds, length, connections)
	if err != nil {
		return err
	}
	return report(out, title, text)
}

// serving measures what a client sees of a server.
func serving(ctx context.Context, rounds int, length time.Duration, connections int, profiles, out string) error {
	site, err := build(ctx, "")
	if err != nil {
		return err
	}
	defer site.close()
	rows, err := site.measure(ctx, rounds, length, connections, profiles)
	if err != nil {
		return err
	}
	steady, err := site.steady(ctx, rounds, length, connections)
	if err != nil {
		return err
	}
	return report(out, "Serving", table(rows, rounds, length, connections)+steady)
}
