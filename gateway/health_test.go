package gateway

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDoctorIsToldTheAddress: who can seal a question learns where a call counts as coming
// from, and nobody else does.
func TestDoctorIsToldTheAddress(t *testing.T) {
	r := newRig(t)
	ask := func(at time.Time, purpose string) string {
		moment := fmt.Sprint(at.Unix())
		return moment + "." + r.desk.Keys.Seal(purpose, moment)
	}
	now := time.Now()
	for name, row := range map[string]struct {
		question string
		told     bool
	}{
		"sealed":              {ask(now, PurposeDoctor), true},
		"nothing":             {"", false},
		"unsealed":            {fmt.Sprint(now.Unix()), false},
		"a seal of no use":    {fmt.Sprint(now.Unix()) + ".00000000000000000000000000000000", false},
		"for another purpose": {ask(now, "cursor"), false},
		"old":                 {ask(now.Add(-time.Hour), PurposeDoctor), false},
		"of the future":       {ask(now.Add(time.Hour), PurposeDoctor), false},
		"no moment":           {"now." + r.desk.Keys.Seal(PurposeDoctor, "now"), false},
	} {
		a := r.do("GET", "/health", "", "", HeaderDoctor, row.question)
		if told := strings.Contains(a.body, `"address":"127.0.0.1"`); a.status != 200 || told != row.told || strings.Contains(a.body, "address") != row.told {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
}
