package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

// poolCollector reads the pool's own counters when Prometheus asks.
type poolCollector struct{ pool *pgxpool.Pool }

func poolDescs() (conns, waits, waited *prometheus.Desc) {
	return prometheus.NewDesc("db_pool_connections", "Connections of the Postgres pool, by type.", []string{"type"}, nil),
		prometheus.NewDesc("db_pool_waits_total", "Acquisitions that found no free connection.", nil, nil),
		prometheus.NewDesc("db_pool_wait_seconds_total", "Time spent waiting for a connection.", nil, nil)
}

func (c poolCollector) Describe(out chan<- *prometheus.Desc) {
	conns, waits, waited := poolDescs()
	out <- conns
	out <- waits
	out <- waited
}

func (c poolCollector) Collect(out chan<- prometheus.Metric) {
	conns, waits, waited := poolDescs()
	stat := c.pool.Stat()
	for _, row := range []struct {
		kind string
		n    int32
	}{
		{"max", stat.MaxConns()}, {"total", stat.TotalConns()},
		{"idle", stat.IdleConns()}, {"used", stat.AcquiredConns()},
	} {
		out <- prometheus.MustNewConstMetric(conns, prometheus.GaugeValue, float64(row.n), row.kind)
	}
	out <- prometheus.MustNewConstMetric(waits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
	out <- prometheus.MustNewConstMetric(waited, prometheus.CounterValue, stat.EmptyAcquireWaitTime().Seconds())
}
