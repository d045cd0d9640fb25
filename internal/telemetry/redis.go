package telemetry

import (
	"context"
	"maps"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
)

// maxCommands bounds the label values of redis_command_duration_seconds;
// commands beyond it are counted as "other".
const maxCommands = 64

func redisBuckets() []float64 {
	return []float64{.00005, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5}
}

// RedisHook observes redis_command_duration_seconds{command} for the clients
// it is added to. A pipeline is one observation under "pipeline". With an
// AutoPipeliner add it to the client below; it then sees batches.
func RedisHook(registerer prometheus.Registerer) redis.Hook {
	durations := redisDurations(registerer)
	h := &redisHook{durations: durations, pipeline: durations.WithLabelValues(pipelined)}
	h.commands.Store(&map[string]prometheus.Observer{})
	return h
}

// RedisExchanges observes the same for a client without a hook: whoever owns its connections
// tells how long one was waited on for the answer to what it was sent, gathered or not. An
// AutoPipeliner over a client with hooks looks at the stack of each caller.
func RedisExchanges(registerer prometheus.Registerer) prometheus.Observer {
	return redisDurations(registerer).WithLabelValues(pipelined)
}

// pipelined is the command that a pipeline counts as.
const pipelined = "pipeline"

func redisDurations(registerer prometheus.Registerer) *prometheus.HistogramVec {
	return register(registerer, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "redis_command_duration_seconds", Buckets: redisBuckets(),
		Help: "Time of Redis commands as the program waits for them, retries included.",
	}, []string{"command"}))
}

type redisHook struct {
	durations *prometheus.HistogramVec
	pipeline  prometheus.Observer
	// commands is copied on write: a look-up is one load and one map access.
	commands atomic.Pointer[map[string]prometheus.Observer]
}

func (h *redisHook) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *redisHook) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmd)
		h.observer(cmd.Name()).Observe(time.Since(start).Seconds())
		return err
	}
}

func (h *redisHook) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		start := time.Now()
		err := next(ctx, cmds)
		h.pipeline.Observe(time.Since(start).Seconds())
		return err
	}
}

func (h *redisHook) observer(command string) prometheus.Observer {
	for {
		known := h.commands.Load()
		if o, is := (*known)[command]; is {
			return o
		}
		if len(*known) >= maxCommands {
			return h.durations.WithLabelValues("other")
		}
		o := h.durations.WithLabelValues(command)
		grown := make(map[string]prometheus.Observer, len(*known)+1)
		maps.Copy(grown, *known)
		grown[command] = o
		if h.commands.CompareAndSwap(known, &grown) {
			return o
		}
	}
}

// RedisPool registers redis_pool_connections{type} (total, idle, used, pubsub)
// and counters of waits and timeouts, summed over clients. Each of stats is a client's
// PoolStats, and may tell nil; one that may have to wait, as a cluster's does which has yet
// to find its servers, is given through [Promptly].
func RedisPool(registerer prometheus.Registerer, stats ...func() *redis.PoolStats) {
	registerer.MustRegister(&redisPool{
		stats:       stats,
		connections: prometheus.NewDesc("redis_pool_connections", "Connections of the Redis pools, by type.", []string{"type"}, nil),
		waits:       prometheus.NewDesc("redis_pool_waits_total", "Commands that waited for a free connection.", nil, nil),
		timeouts:    prometheus.NewDesc("redis_pool_timeouts_total", "Commands that waited in vain for a free connection.", nil, nil),
	})
}

type redisPool struct {
	stats                        []func() *redis.PoolStats
	connections, waits, timeouts *prometheus.Desc
}

func (c *redisPool) Describe(out chan<- *prometheus.Desc) {
	out <- c.connections
	out <- c.waits
	out <- c.timeouts
}

func (c *redisPool) Collect(out chan<- prometheus.Metric) {
	var total, idle, pubsub, waits, timeouts float64
	for _, stats := range c.stats {
		s := stats()
		if s == nil {
			continue
		}
		total += float64(s.TotalConns)
		idle += float64(s.IdleConns)
		waits += float64(s.WaitCount)
		timeouts += float64(s.Timeouts)
		pubsub += float64(s.PubSubStats.Active)
		if p := s.PipelineStats; p != nil {
			total += float64(p.TotalConns)
			idle += float64(p.IdleConns)
			waits += float64(p.WaitCount)
			timeouts += float64(p.Timeouts)
		}
	}
	gauge := func(kind string, n float64) {
		out <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, n, kind)
	}
	gauge("total", total)
	gauge("idle", idle)
	gauge("used", total-idle)
	gauge("pubsub", pubsub)
	out <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, waits)
	out <- prometheus.MustNewConstMetric(c.timeouts, prometheus.CounterValue, timeouts)
}
