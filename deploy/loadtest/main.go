// Command loadtest puts load on a whole site, started for it on this machine: kikuai behind
// nginx, Redis with an append-only file, Postgres that syncs, simulators of Telegram and of
// a model. Five kinds of load and four of endurance are measured one after the other; at
// the end the books must balance. The loads are scripts for k6 (k6/), which run against any
// other site as well; Telegram's updates come from the simulator, by Telegram's own rules.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "loadtest:", err)
		os.Exit(1)
	}
}

// errMissed says that a load was measured and a bound not kept.
var errMissed = errors.New("a bound was missed")

// settings are what the command line says.
type settings struct {
	dir      string        // of the scripts
	k6       string        // the binary
	kikuai   string        // the binary; empty: it is built as it is shipped
	only     []string      // names of loads; none: all
	scale    float64       // of rates and numbers of clients
	duration time.Duration // of each load; 0: its own
	out      string        // file for the tables; empty: none
	direct   bool          // without nginx
}

func parse(args []string) (settings, error) {
	flags := flag.NewFlagSet("loadtest", flag.ContinueOnError)
	var s settings
	var only string
	flags.StringVar(&s.dir, "scripts", "deploy/loadtest/k6", "directory of the scripts")
	flags.StringVar(&s.k6, "k6", "k6", "the k6 binary")
	flags.StringVar(&s.kikuai, "kikuai", "", "a kikuai built before; empty builds the tree's as it is shipped")
	flags.StringVar(&only, "scenario", "", "comma-separated names of loads; empty measures all: "+strings.Join(names(), ", "))
	flags.Float64Var(&s.scale, "scale", 1, "times each load's rate and clients, 0.001 to 10")
	flags.DurationVar(&s.duration, "duration", 0, "length of each load, 1s to 1h; 0: its own")
	flags.StringVar(&s.out, "out", "deploy/loadtest/RESULTS.md", "file for the tables; empty writes none")
	flags.BoolVar(&s.direct, "direct", false, "send to kikuai itself, not through nginx")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	// Written so that what is no number is refused.
	if !(s.scale >= 0.001 && s.scale <= 10) || s.duration != 0 && (s.duration < time.Second || s.duration > time.Hour) || flags.NArg() > 0 {
		return s, errors.New("scale is 0.001 to 10, duration 1s to 1h, and there are no other arguments")
	}
	for name := range strings.SplitSeq(only, ",") {
		if name == "" {
			continue
		}
		if _, known := loadOf(name); !known {
			return s, fmt.Errorf("there is no load %q; there are %s", name, strings.Join(names(), ", "))
		}
		s.only = append(s.only, name)
	}
	return s, nil
}

func run(ctx context.Context, args []string) error {
	s, err := parse(args)
	if err != nil {
		return err
	}
	if s.dir, err = filepath.Abs(s.dir); err != nil {
		return err
	}
	here, err := startSite(ctx, s)
	if err != nil {
		return err
	}
	outcomes, err := here.measure(ctx, s)
	var books string
	if err == nil {
		books, err = here.balance(ctx)
	}
	here.close()
	if err != nil {
		fmt.Fprint(os.Stderr, tables(outcomes, "The books were not compared."))
		return err
	}
	fmt.Print(tables(outcomes, books))
	if err := write(s.out, outcomes, books); err != nil {
		return err
	}
	var missed []error
	for _, o := range outcomes {
		for _, bound := range o.missed {
			missed = append(missed, fmt.Errorf("%s: %w: %s", o.name, errMissed, bound))
		}
	}
	return errors.Join(missed...)
}
