package cache

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// tally counts what level one holds. Its methods may run under a store's locks.
type tally struct {
	bytes   atomic.Int64
	evicted prometheus.Counter
}

func (t *tally) removed(e *entry, evicted bool) {
	t.bytes.Add(-int64(e.bytes))
	if evicted {
		t.evicted.Inc()
	}
}

// outcomes are the results of one level.
type outcomes struct{ hit, miss, stale, negative, failed prometheus.Counter }

// metrics of the cache. Labels are bounded: levels, and words of this file.
type metrics struct {
	tally           tally
	l1, l2, source  outcomes
	raw, zipped     atomic.Int64 // bytes of compressed values, before and after
	lockWaits       prometheus.Counter
	refreshes       *prometheus.CounterVec
	refused         *prometheus.CounterVec
	corrupt         prometheus.Counter
	invalidations   *prometheus.CounterVec
	resyncs, strays prometheus.Counter
}

func newMetrics() *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vector := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		lockWaits:     counter("cache_lock_waits_total", "Reads that waited for another instance's load."),
		refreshes:     vector("cache_refreshes_total", "Values looked at again before they expired: loaded, taken from another instance, left to one, skipped for want of room, failed.", "how"),
		refused:       vector("cache_refused_total", "Values that were not kept: above the size cap, written too late, impossible to encode, or with too long a key.", "why"),
		corrupt:       counter("cache_corrupt_total", "Values in Redis that could not be read and were deleted."),
		invalidations: vector("cache_invalidations_total", "Invalidations made here, by kind, received, and put off.", "how"),
		resyncs:       counter("cache_resyncs_total", "Times that level one was emptied because messages may have been lost."),
		strays:        counter("cache_stray_messages_total", "Messages that were not understood."),
	}
	m.tally.evicted = counter("cache_evictions_total", "Entries that left a full level one.")
	return m
}

// register shows the metrics; size tells the entries of level one.
func (m *metrics) register(r prometheus.Registerer, size func() int) {
	hits := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "cache_hits_total", Help: "Reads by level (l1, l2, source) and what came of them.",
	}, []string{"level", "result"})
	for level, o := range map[string]*outcomes{"l1": &m.l1, "l2": &m.l2, "source": &m.source} {
		*o = outcomes{
			hit: hits.WithLabelValues(level, "hit"), miss: hits.WithLabelValues(level, "miss"),
			stale: hits.WithLabelValues(level, "stale"), negative: hits.WithLabelValues(level, "negative"),
			failed: hits.WithLabelValues(level, "error"),
		}
	}
	if r == nil {
		return
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	r.MustRegister(hits, m.tally.evicted, m.lockWaits, m.refreshes, m.refused, m.corrupt, m.invalidations, m.resyncs, m.strays,
		gauge("cache_entries", "Entries in level one.", func() float64 { return float64(size()) }),
		gauge("cache_bytes", "Encoded size of the entries in level one.", func() float64 { return float64(m.tally.bytes.Load()) }),
		gauge("cache_compression_ratio", "Bytes of compressed values before compression by bytes after it, since the start; 1 before the first.", m.ratio),
	)
}

func (m *metrics) ratio() float64 {
	if zipped := m.zipped.Load(); zipped > 0 {
		return float64(m.raw.Load()) / float64(zipped)
	}
	return 1
}
