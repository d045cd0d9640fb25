package handlers

import (
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

// TestAway: what Postgres cannot do now is worth doing a moment later; what it refuses is
// refused for good.
func TestAway(t *testing.T) {
	for code, want := range map[string]bool{
		"08006": true, "53100": true, "53300": true, "57P01": true, "58030": true, "25006": true, // gone, full, crowded, stopped, a disk's fault, read-only
		"23505": false, "42601": false, "25001": false, "XX000": false,
	} {
		if got := isAway(fmt.Errorf("write a note: %w", &pgconn.PgError{Code: code})); got != want {
			t.Errorf("%s: %v", code, got)
		}
	}
}
