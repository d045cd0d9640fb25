//go:build prove

package main

import (
	"net/http"
	"testing"
)

// TestProveRestore restores twice: after the loss of the database, and then to a moment
// before somebody's mistake, when Redis knows of money that these books never had.
func TestProveRestore(t *testing.T) {
	restored(t, func(h *rewind) {
		h.restore("rewound", "--at", h.mark)
		if answer, code := h.reconcile(); code != 1 || len(answer.Differences) == 0 {
			t.Errorf("Redis of later and books of before: exit %d, %+v", code, answer)
		}
		var closed rebuildAnswer
		if h.admin(&closed, "rebuild"); closed.Closed != 16 {
			t.Errorf("%+v", closed)
		}
		serve := h.serve()
		h.opened(h.store)
		h.booked()
		h.wantMoney("rewound", h.early, restoredNano-40*callNano)
		h.wantMoney("rewound, without the mistake", h.later, restoredNano-20*callNano)
		if status, body := h.get("/api/v1/balance", h.after); status != http.StatusUnauthorized {
			t.Errorf("a key that was made later: %d %s", status, body)
		}
		h.paidFor(h.later, 5)
		h.reconciled()
		serve.stop()
	})
}
