package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv/pgserver"
	"github.com/kikuai/kikuai/internal/testenv/redisserver"
)

const (
	payers    = 256 // accounts, on all shards
	holdLife  = time.Minute
	heldNano  = 1000
	priceNano = 700
	drainIn   = 5 * time.Minute
)

// till is money without anything around it: a Redis, a Postgres, and a desk at them.
type till struct {
	client   *redis.Client
	gathered redis.Cmdable // client with its calls gathered, as serve has it
	pool     *pgxpool.Pool
	desk     *billing.Desk
	accounts []int64
	closers  []func() error
}

func (m *till) close() error {
	var errs []error
	for i := len(m.closers) - 1; i >= 0; i-- {
		errs = append(errs, m.closers[i]())
	}
	return errors.Join(errs...)
}

// openTill starts the servers and opens accounts that can afford everything.
func openTill(ctx context.Context) (m *till, err error) {
	m = &till{}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.close())
		}
	}()
	store, err := redisserver.Start(ctx, redisserver.Options{})
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, store.Close)
	database, err := pgserver.Start(ctx, pgserver.Options{})
	if err != nil {
		return nil, err
	}
	m.closers = append(m.closers, database.Close)
	url := database.URL("postgres")
	if err := postgres.Migrate(ctx, url); err != nil {
		return nil, err
	}
	// The bare COPY wants tables of its own, which the program's role may not make.
	if m.pool, err = postgres.Open(ctx, url, postgres.Options{Owner: true}); err != nil {
		return nil, err
	}
	m.closers = append(m.closers, func() error { m.pool.Close(); return nil })
	m.client = redis.NewClient(&redis.Options{Addr: store.Addr, MaxRetries: -1, PoolSize: 96, ContextTimeoutEnabled: true})
	m.closers = append(m.closers, m.client.Close)
	if m.gathered, err = m.client.AutoPipeline(); err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	m.desk, err = billing.New(billing.Config{
		Redis: m.gathered, Blocking: m.client, Postgres: m.pool, Log: log, Peppers: []string{"a pepper of benchmarks: no secret"},
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: m.client, Log: log}),
	})
	if err != nil {
		return nil, err
	}
	return m, m.openAccounts(ctx)
}

func (m *till) openAccounts(ctx context.Context) error {
	for n := range payers {
		account, _, err := m.desk.Accounts.Register(ctx, int64(n+1), billing.House)
		if err != nil {
			return err
		}
		_, err = m.desk.Accounts.Credit(ctx, billing.Credit{
			AccountID: account.ID, AmountNano: billing.MaxCredit, Kind: billing.CreditAdjustment,
			IdempotencyKey: "bench:" + strconv.Itoa(n), By: billing.House,
		})
		if err != nil {
			return err
		}
		m.accounts = append(m.accounts, account.ID)
	}
	_, err := m.drain(ctx) // which opens the shards
	return err
}

// measureMoney compares the money of a call with the least that two scripts can cost,
// and then the way of all its events into the ledger with a bare COPY.
func measureMoney(ctx context.Context, rounds int, length time.Duration, workers int) (_ string, err error) {
	m, err := openTill(ctx)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, m.close()) }()
	calls := row{}
	var ours, theirs []sample
	for round := range rounds + 1 {
		bare, err := together(ctx, workers, length, m.bareCall)
		if err != nil {
			return "", err
		}
		kikuai, err := together(ctx, workers, length, m.paidCall(round))
		if err != nil {
			return "", err
		}
		if round > 0 { // the first one warms up
			theirs, ours = append(theirs, bare), append(ours, kikuai)
		}
	}
	calls = compare(calls, ours, theirs)
	events, err := m.backlog(ctx)
	if err != nil {
		return "", err
	}
	drained, err := m.drain(ctx)
	if err != nil {
		return "", err
	}
	copied, err := m.copyBare(ctx, events)
	if err != nil {
		return "", err
	}
	perSecond := func(took time.Duration) float64 { return float64(events) / took.Seconds() }
	return fmt.Sprintf("| work | kikuai | bare | ratio | goal |\n|---|--:|--:|--:|---|\n"+
		"| reserve and settle, against a pair of one-line EVALSHA | %.0f/s | %.0f/s | **%.2f** | |\n"+
		"| its p99 | %s | %s | **%.1f×** | |\n"+
		"| events into the ledger, against a COPY of the same rows into tables without an index | %.0f/s | %.0f/s | **%.2f** | ≥ 20000/s |\n\n"+
		"%d workers on one Redis through billing.Holds, medians of %d rounds of %s in turn; then the ledger takes the %d events from the stream, all sixteen shards at once, and the rows that came of it are copied over four connections. %s",
		calls.kikuai.perSecond, calls.bare.perSecond, calls.ratio,
		calls.kikuai.p99.Round(100*time.Microsecond), calls.bare.p99.Round(100*time.Microsecond), calls.ratio99,
		perSecond(drained), perSecond(copied), copied.Seconds()/drained.Seconds(),
		workers, rounds, length, events, machine()), nil
}

// together lets workers do the same over and over.
func together(ctx context.Context, workers int, length time.Duration, do func(ctx context.Context, worker, n int) error) (sample, error) {
	until := time.Now().Add(length)
	latencies := make([][]time.Duration, workers)
	failures := make([]error, workers)
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for n := 0; ctx.Err() == nil && failures[worker] == nil; n++ {
				began := time.Now()
				if began.After(until) {
					return
				}
				failures[worker] = do(ctx, worker, n)
				latencies[worker] = append(latencies[worker], time.Since(began))
			}
		})
	}
	group.Wait()
	if err := errors.Join(append(failures, ctx.Err())...); err != nil {
		return sample{}, err
	}
	return sampleOf(latencies, length)
}

func (m *till) paidCall(round int) func(context.Context, int, int) error {
	return func(ctx context.Context, worker, n int) error {
		id := fmt.Sprintf("0190c0de-%d-%d-%d", round, worker, n)
		account := m.accounts[(worker*7+n)%len(m.accounts)]
		if _, err := m.desk.Holds.Reserve(ctx, billing.Reservation{
			HoldID: id, AccountID: account, Want: heldNano, Least: heldNano, Life: holdLife,
		}); err != nil {
			return err
		}
		_, err := m.desk.Holds.Settle(ctx, billing.Settlement{
			HoldID: id, AccountID: account, Cost: priceNano, Model: "gpt-4o-mini", Deployment: "openai/gpt-4o-mini",
			Source: billing.SourceAPI, Duration: time.Second, FirstToken: 300 * time.Millisecond,
			Usage: billing.Usage{Prompt: 412, Cached: 128, Completion: 77},
		})
		return err
	}
}

var (
	bareReserve = redis.NewScript(`return redis.call('INCR', KEYS[1])`)
	bareSettle  = redis.NewScript(`return redis.call('DECR', KEYS[1])`)
)

func (m *till) bareCall(ctx context.Context, worker, _ int) error {
	keys := []string{"bare:{s00}:" + strconv.Itoa(worker)}
	if err := bareReserve.Run(ctx, m.gathered, keys).Err(); err != nil {
		return err
	}
	return bareSettle.Run(ctx, m.gathered, keys).Err()
}
