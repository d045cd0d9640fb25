package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/internal/testenv/processes"
)

// Names of those that a load keeps busy, in the order of a call's way.
const (
	nameClient     = "client"
	nameNginx      = "nginx"
	nameKikuai     = "kikuai"
	nameRedis      = "Redis"
	namePostgres   = "Postgres"
	nameSimulators = "simulators"
)

func partyNames() []string {
	return []string{nameClient, nameNginx, nameKikuai, nameRedis, namePostgres, nameSimulators}
}

const (
	lookEvery = time.Second      // at memory and at how far the ledger is behind
	catchUpIn = 5 * time.Minute  // for the ledger, after a load
	readIn    = 10 * time.Second // of the metrics
)

// use is what one party had of the machine during a load.
type use struct {
	processor time.Duration
	cores     float64 // processor time a second
	memory    int64   // bytes, at most
}

// watch looks at everybody until it is told to stop; then it says what they used, and how
// far the ledger was behind at most.
func (here *site) watch(ctx context.Context) (stop func() (map[string]use, time.Duration, error), err error) {
	groups := here.groups()
	before, err := processorOf(groups)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	var peak map[string]int64
	var behind time.Duration
	go func() {
		defer close(ended)
		peak, behind = here.look(ctx, groups)
	}()
	return func() (map[string]use, time.Duration, error) {
		cancel()
		<-ended
		after, err := processorOf(groups)
		if err != nil {
			return nil, 0, err
		}
		used := map[string]use{}
		for name := range groups {
			spent := after[name] - before[name]
			used[name] = use{processor: spent, cores: spent.Seconds() / time.Since(began).Seconds(), memory: peak[name]}
		}
		used[nameClient] = use{memory: peak[nameClient]} // the rest is known when it has ended
		return used, behind, nil
	}, nil
}

// groups are the processes of everybody but the client.
func (here *site) groups() map[string]processes.Group {
	groups := map[string]processes.Group{
		nameKikuai: {PID: here.kikuai}, nameRedis: {PID: here.redis.PID()},
		namePostgres: {PID: here.postgres.PID(), Children: true}, nameSimulators: {PID: os.Getpid()},
	}
	if here.front != nil {
		groups[nameNginx] = processes.Group{PID: here.front.PID(), Children: true}
	}
	return groups
}

func processorOf(groups map[string]processes.Group) (map[string]time.Duration, error) {
	times := map[string]time.Duration{}
	for name, group := range groups {
		used, err := group.Processor()
		if err != nil {
			return nil, fmt.Errorf("processor time of %s: %w", name, err)
		}
		times[name] = used
	}
	return times, nil
}

// look finds what everybody had of memory at most, and how far the ledger was behind.
func (here *site) look(ctx context.Context, groups map[string]processes.Group) (peak map[string]int64, behind time.Duration) {
	peak = map[string]int64{}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for name, group := range groups {
			if memory, err := group.Memory(); err == nil {
				peak[name] = max(peak[name], memory)
			}
		}
		if pid := here.client.Load(); pid != 0 {
			if memory, err := (processes.Group{PID: int(pid)}).Memory(); err == nil { // else it has just ended
				peak[nameClient] = max(peak[nameClient], memory)
			}
		}
		if lag, err := here.gauge(ctx, "ledger_drain_lag_seconds"); err == nil {
			behind = max(behind, time.Duration(lag*float64(time.Second)))
		}
		select {
		case <-ctx.Done():
			return peak, behind
		case <-tick.C:
		}
	}
}

var errNoMetric = errors.New("kikuai has no such metric")

// gauge is the largest value of one of kikuai's metrics.
func (here *site) gauge(ctx context.Context, name string) (float64, error) {
	ctx, cancel := context.WithTimeout(ctx, readIn)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, here.ops+"/metrics", http.NoBody)
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer func() { _ = response.Body.Close() }()
	return largest(bufio.NewScanner(response.Body), name)
}

// largest is the largest value of a metric among those in Prometheus' text format.
func largest(lines *bufio.Scanner, name string) (most float64, err error) {
	err = fmt.Errorf("%w: %s", errNoMetric, name)
	for lines.Scan() {
		rest, is := strings.CutPrefix(lines.Text(), name)
		if !is || rest == "" || rest[0] != '{' && rest[0] != ' ' {
			continue
		}
		value, parseErr := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64)
		if parseErr != nil {
			return 0, parseErr
		}
		if err != nil || value > most {
			most, err = value, nil
		}
	}
	return most, errors.Join(err, lines.Err())
}

// caughtUp waits until the ledger has everything, in two looks one after the other: what has
// just come is not known to be late.
func (here *site) caughtUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, catchUpIn)
	defer cancel()
	tick := time.NewTicker(lookEvery / 4)
	defer tick.Stop()
	for looks := 0; ; looks++ {
		lag, err := here.gauge(ctx, "ledger_drain_lag_seconds")
		if err != nil || lag > 0 {
			looks = -1
		}
		if looks == 1 {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("the ledger had not caught up after %s: %w", catchUpIn, ctx.Err()), err)
		case <-tick.C:
		}
	}
}
