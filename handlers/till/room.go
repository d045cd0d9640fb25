package till

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/handlers/hall"
)

// Options are what the till needs beside the hall.
type Options struct {
	Payments   *billing.Payments
	Gifts      *billing.Gifts
	Ledger     *billing.Ledger
	Notices    *billing.Notices
	Jobs       *billing.Jobs
	Registerer prometheus.Registerer
}

// Room is the till.
type Room struct {
	*hall.Hall
	Options
	checkouts *prometheus.CounterVec // answer
	compared  *prometheus.CounterVec // result
}

// New opens the till.
func New(h *hall.Hall, o Options) *Room {
	metrics := promauto.With(o.Registerer)
	return &Room{
		Hall: h, Options: o,
		checkouts: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_checkouts_total", Help: "Pre-checkout queries by answer: accepted, or why not.",
		}, []string{"answer"}),
		compared: metrics.NewCounterVec(prometheus.CounterOpts{
			Name: "payments_stars_compared_total", Help: "Telegram's Star transactions held against the books, by result.",
		}, []string{"result"}),
	}
}
