package billing

import (
	"github.com/prometheus/client_golang/prometheus"
)

// metrics of money. Labels are bounded: the shards, and how an orphan ended.
type metrics struct {
	settled, writeOff, late    prometheus.Counter
	drained, rebuilds, repeats prometheus.Counter
	unreadable, claims         prometheus.Counter

	reapedSettled, reapedReleased prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		settled:    counter("ledger_settled_total", "Holds settled by this process."),
		writeOff:   counter("ledger_write_off_nano_usd_total", "Cost beyond what was held, in nano-USD."),
		late:       counter("ledger_late_settlements_total", "Calls whose holds Redis had lost by the time they were settled; Postgres has them taken."),
		drained:    counter("ledger_drained_events_total", "Events applied to Postgres."),
		rebuilds:   counter("ledger_rebuilds_total", "Shards rebuilt from Postgres."),
		repeats:    counter("ledger_repeated_holds_total", "Events of a hold id that the ledger already had."),
		claims:     counter("organisation_claims_resolved_total", "Claims of organisations' budgets that their calls left behind and the shard's owner resolved."),
		unreadable: counter("ledger_unreadable_details_total", "Events whose usage could not be read; their money was applied."),
	}
	reaped := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ledger_reaped_total", Help: "Orphaned holds that were settled by their last checkpoint, or released for want of one.",
	}, []string{"how"})
	m.reapedSettled, m.reapedReleased = reaped.WithLabelValues("settled"), reaped.WithLabelValues("released")
	if r != nil {
		r.MustRegister(m.settled, m.writeOff, m.late, m.drained, m.rebuilds, m.repeats, m.unreadable, m.claims, reaped)
	}
	return m
}
