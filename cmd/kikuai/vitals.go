package main

import (
	"context"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/redisinfo"
)

const (
	vitalsEvery = 15 * time.Second
	vitalsIn    = 2 * time.Second // for one question
	monthsAsked = 10 * time.Minute
)

// vitals are numbers of the stores that somebody has to ask for: how full Redis is and
// whether it can write to its disk, how many dead letters lie there, how many months the
// ledger has partitions for, when it was backed up. They are asked for on a schedule, so that a scrape waits for
// nobody; what does not answer keeps its last number, and dependency_up says that it is away.
type vitals struct {
	log     *slog.Logger
	redis   redis.UniversalClient
	letters *bot.DeadLetters
	ledger  *billing.Ledger
	books   *pgxpool.Pool

	memory   *prometheus.GaugeVec // node, of
	persists *prometheus.GaugeVec // node
	dead     prometheus.Gauge
	months   *prometheus.GaugeVec
	backup   *prometheus.GaugeVec

	asked time.Time // for the months, when that was last answered
}

func newVitals(client redis.UniversalClient, ledger *billing.Ledger, books *pgxpool.Pool, log *slog.Logger, r prometheus.Registerer) *vitals {
	v := &vitals{
		log: log, redis: client, letters: bot.NewDeadLetters(client), ledger: ledger, books: books,
		memory: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "redis_node_memory_bytes", Help: "Memory of the Redis servers: used, and the most they may use (0: no bound of their own).",
		}, []string{"node", "of"}),
		persists: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "redis_node_persistence_ok", Help: "1: the Redis server's last writes to its disk went well. 0: it cannot write, and takes no writes itself before long.",
		}, []string{"node"}),
		dead: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "telegram_dead_letters", Help: "Updates that were given up and lie there to be looked at.",
		}),
		months: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ledger_partitions_ahead_months", Help: "For how many months after this one the ledger has partitions; -1: not even for this one.",
		}, nil),
		backup: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "db_backup_timestamp_seconds", Help: "When the newest base backup of the database was finished, in Unix time; 0: none was ever noted.",
		}, nil),
	}
	r.MustRegister(v.memory, v.persists, v.dead, v.months, v.backup)
	return v
}

func (v *vitals) run(ctx context.Context) error {
	tick := time.NewTicker(vitalsEvery)
	defer tick.Stop()
	for {
		v.take(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// take asks for all that is due. Who is away is told about by the watch.
func (v *vitals) take(ctx context.Context) {
	for _, ask := range []func(context.Context) error{v.askRedis, v.countLetters, v.countMonths, v.findBackup} {
		within, cancel := context.WithTimeout(ctx, vitalsIn)
		if err := ask(within); err != nil {
			v.log.DebugContext(ctx, "a number for the operators is old", "error", err)
		}
		cancel()
	}
}

func (v *vitals) countLetters(ctx context.Context) error {
	letters, err := v.letters.Count(ctx)
	if err == nil {
		v.dead.Set(float64(letters))
	}
	return err
}

func (v *vitals) countMonths(ctx context.Context) error {
	if time.Since(v.asked) < monthsAsked {
		return nil
	}
	months, err := v.ledger.MonthsAhead(ctx)
	if err == nil {
		v.months.WithLabelValues().Set(float64(months))
		v.asked = time.Now()
	}
	return err
}

func (v *vitals) findBackup(ctx context.Context) error {
	at, err := postgres.LastBackup(ctx, v.books)
	if err != nil {
		return err
	}
	var seconds int64
	if !at.IsZero() {
		seconds = at.Unix()
	}
	v.backup.WithLabelValues().Set(float64(seconds))
	return nil
}

// askRedis asks every server. One that does not answer any more, as after a failover, is
// forgotten.
func (v *vitals) askRedis(ctx context.Context) error {
	servers, err := redisinfo.Read(ctx, v.redis)
	if err != nil {
		return err
	}
	v.memory.Reset()
	v.persists.Reset()
	for _, s := range servers {
		v.memory.WithLabelValues(s.Addr, "used").Set(float64(s.Used))
		v.memory.WithLabelValues(s.Addr, "most").Set(float64(s.MaxMemory))
		persists := 1.0
		if s.Writes != "" {
			persists = 0
		}
		v.persists.WithLabelValues(s.Addr).Set(persists)
	}
	return nil
}
