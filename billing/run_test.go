package billing

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// running is the whole engine at work, under its leases.
func running(t *testing.T, client *redis.Client, database *testenv.PostgresHandle, registry prometheus.Registerer, edit ...func(*Config)) *rig {
	t.Helper()
	log := testenv.Logger(t)
	config := Config{Redis: client, Blocking: client, Log: log, Peppers: []string{testPepper}, Registerer: registry,
		Leases: stream.NewLeases(stream.LeasesOptions{Name: "money", Redis: client, Log: log})}
	if database != nil {
		config.Postgres = database.Pool()
	} else {
		config.Postgres = testenv.Postgres(t)
	}
	for _, e := range edit {
		e(&config)
	}
	desk, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- desk.Engine.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("run: %v", err)
		}
	})
	return &rig{t: t, redis: client, pool: config.Postgres, config: config, desk: desk}
}

// funded waits until the account of a person exists and has money in Redis.
func (r *rig) funded(t *testing.T, nano int64) (account int64) {
	t.Helper()
	testenv.Until(t, "an open shard", func() bool {
		made, _, err := r.desk.Accounts.Open(t.Context(), Profile{TelegramID: 5})
		if err != nil {
			return false
		}
		account = made.ID
		result, err := r.desk.Accounts.Credit(t.Context(), Credit{AccountID: account, AmountNano: nano, Kind: CreditStars, IdempotencyKey: "one"})
		return err == nil && result.Projected
	})
	return account
}

func (r *rig) inLedger(t *testing.T, account, nano int64) {
	t.Helper()
	testenv.Until(t, "the ledger", func() bool {
		n, err := r.desk.Ledger.Balance(t.Context(), account)
		return err == nil && n == nano
	})
}

func TestRun(t *testing.T) {
	onBoth(t, func(t *testing.T, client *redis.Client) {
		registry := prometheus.NewRegistry()
		r := running(t, client, nil, registry)
		account := r.funded(t, 1000)
		for _, id := range []string{"a", "b", "c"} {
			r.spend(account, id, 100)
		}
		r.inLedger(t, account, 700)
		r.must(client.FlushAll(t.Context()).Err())
		testenv.Until(t, "the shard rebuilt", func() bool {
			balance, err := r.desk.Accounts.Balance(t.Context(), account)
			return err == nil && balance == (Balance{Available: 700})
		})
		families, err := registry.Gather()
		r.must(err)
		values := map[string]float64{}
		for _, family := range families {
			for _, metric := range family.Metric {
				values[family.GetName()] += metric.GetCounter().GetValue()
			}
		}
		if values["ledger_settled_total"] != 3 || values["ledger_drained_events_total"] != 3 || values["ledger_rebuilds_total"] < 17 {
			t.Errorf("metrics %v", values)
		}
	})
}

// Postgres goes away: calls go on, the lag shows, the backlog drains. Redis goes
// away and comes back empty: closed meanwhile, then rebuilt, the credit of the
// time between included.
func TestRunThroughOutages(t *testing.T) {
	server, database := testenv.RedisServer(t), testenv.PostgresServer(t)
	var log lockedText
	r := running(t, server.Client(), database, nil, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	ctx := t.Context()
	account := r.funded(t, 1000)
	r.spend(account, "first", 100)
	r.inLedger(t, account, 900)

	database.Stop()
	testenv.Until(t, "every shard standing still", func() bool { return strings.Count(log.String(), "money stands still") == stream.Shards })
	r.spend(account, "without-postgres", 100)
	r.wantBalance(account, 800, 0)
	testenv.Until(t, "a lag that shows", func() bool { return r.desk.Engine.lag(shardOf(account)) > 0 })
	database.Start()
	r.inLedger(t, account, 800)

	server.Stop()
	if _, err := r.desk.Accounts.Balance(ctx, account); !errors.Is(err, ErrClosed) {
		t.Errorf("balance without Redis: %v", err)
	}
	result, err := r.desk.Accounts.Credit(ctx, Credit{AccountID: account, AmountNano: 7, Kind: CreditStars, IdempotencyKey: "two"})
	if err != nil || result.Projected {
		t.Errorf("credit without Redis: %+v, %v", result, err)
	}
	server.Start()
	testenv.Until(t, "the shard rebuilt", func() bool {
		balance, err := r.desk.Accounts.Balance(ctx, account)
		return err == nil && balance == (Balance{Available: 807})
	})
}
