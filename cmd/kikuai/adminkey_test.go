package main

import "testing"

// A budget on the command line is an exact amount above zero, or it is refused.
func TestBudgetFlags(t *testing.T) {
	for _, bad := range []string{"0", "0.00", "-1", "+1", "1e3", "1,5", " 1", "NaN", "Inf", "１", "1.0000000001", "9007200", "99999999999999999999", ".", "1."} {
		for _, c := range []adminKey{{BudgetUSD: bad}, {BudgetDayUSD: bad}} {
			if spec, err := c.spec(); err == nil {
				t.Errorf("%q became %+v", bad, spec)
			}
		}
	}
	spec, err := adminKey{Name: "n", RPM: 7, BudgetUSD: "20", BudgetDayUSD: "0.000000001"}.spec()
	if err != nil || spec.BudgetMonth != 20_000_000_000 || spec.BudgetDay != 1 || spec.Limits.RequestsPerMinute != 7 || spec.By == "" {
		t.Errorf("%+v, %v", spec, err)
	}
	if spec, err := (adminKey{}).spec(); err != nil || spec.BudgetDay != 0 || spec.BudgetMonth != 0 {
		t.Errorf("%+v, %v", spec, err)
	}
}
