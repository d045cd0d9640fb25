package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/doctor"
)

// A budget on the command line is an exact amount above zero, or it is refused.
func TestBudgetFlags(t *testing.T) {
	for _, bad := range []string{"0", "0.00", "-1", "+1", "1e3", "1,5", " 1", "NaN", "Inf", "１", "1.0000000001", "9007200", "99999999999999999999", ".", "1."} {
		for _, c := range []adminKeyMake{{BudgetUSD: bad}, {BudgetDayUSD: bad}} {
			if spec, err := c.spec(); err == nil {
				t.Errorf("%q became %+v", bad, spec)
			}
		}
	}
	spec, err := adminKeyMake{Name: "n", limitFlags: limitFlags{RPM: text("7"), PerSecond: text("2.5"), Burst: text("10")}, BudgetUSD: "20", BudgetDayUSD: "0.000000001"}.spec()
	if err != nil || spec.BudgetMonth != 20_000_000_000 || spec.BudgetDay != 1 || spec.Limits.Packed() != "7|0|0|2500|10" || spec.By == "" {
		t.Errorf("%+v, %v", spec, err)
	}
	if spec, err := (adminKeyMake{}).spec(); err != nil || spec.BudgetDay != 0 || spec.BudgetMonth != 0 {
		t.Errorf("%+v, %v", spec, err)
	}
}

func text(s string) *string { return &s }

// A limit on the command line is a plain number within bounds, or it is refused in a
// sentence that says what to give.
func TestLimitFlags(t *testing.T) {
	for _, bad := range []string{"", "-1", "+1", "1.5", "1e3", "0x10", "1_000", " 1", "１", "٣", "NaN", "none", "2147483648", "99999999999999999999", "1\x00"} {
		for _, f := range []limitFlags{{RPM: &bad}, {TPM: &bad}, {Concurrency: &bad}, {Burst: &bad}} {
			if change, err := f.change(); err == nil || !strings.Contains(err.Error(), "give a whole number from 0 (no limit) to 2147483647") {
				t.Errorf("%q became %+v, %v", bad, change, err)
			}
		}
	}
	for _, bad := range []string{"", ".", "1.", ".5", "-1", "1.2345", "1,5", "2147483.648", "１", "1e3"} {
		if change, err := (limitFlags{PerSecond: &bad}).change(); err == nil || !strings.Contains(err.Error(), "such as 2.5") {
			t.Errorf("%q became %+v, %v", bad, change, err)
		}
	}
	for good, milli := range map[string]int64{"0": 0, "2": 2000, "2.5": 2500, "0.001": 1, "2147483.647": billing.MaxLimit, "007": 7000} {
		change, err := (limitFlags{PerSecond: &good}).change()
		if err != nil || *change.RefillMilli != milli {
			t.Errorf("%q: %+v, %v", good, change, err)
		}
	}
	for milli, want := range map[int64]string{0: "0", 1: "0.001", 1500: "1.5", 20000: "20", billing.MaxLimit: "2147483.647"} {
		if got := perSecond(milli); got != want {
			t.Errorf("%d is %q, want %q", milli, got, want)
		}
	}
	if change, err := (limitFlags{}).change(); err != nil || !change.Empty() {
		t.Errorf("nothing given: %+v, %v", change, err)
	}
}

// A key without requests a minute of its own is not without limit: the servers' default
// stands in, and their bucket too.
func TestKeyLimitRows(t *testing.T) {
	const servers, none = "the servers' default", "no limit"
	for _, c := range []struct {
		limits billing.Limits
		want   [4]string // requests, tokens, calls at once, a second
	}{
		{billing.Limits{}, [4]string{servers, none, none, servers}},
		{billing.Limits{TokensPerMinute: 9}, [4]string{servers, "9", none, servers}},
		{billing.Limits{RefillMilli: 1500, Burst: 4}, [4]string{servers, none, none, "1.5, at most 4 at once"}},
		{billing.Limits{RequestsPerMinute: 7, Concurrency: 2}, [4]string{"7", none, "2", none}},
	} {
		var got [4]string
		for i, row := range keyLimitRows(c.limits) {
			got[i] = row[1]
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.limits, got, c.want)
		}
	}
	for _, row := range limitRows(billing.Limits{}) { // of a tier or an organisation
		if row[1] != none {
			t.Errorf("%s: %s", row[0], row[1])
		}
	}
}

// TestE2EStrangePepper: where keys are usable, none is made under a pepper that the servers
// do not have, which would refuse it; the doctor sees that pepper too.
func TestE2EStrangePepper(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.key(personID, "1")
	pepper := s.env["KEY_PEPPER"]
	s.env["KEY_PEPPER"] = strings.Repeat("another-one-", 4)
	if _, errs, err := s.try("admin", "key", "--telegram-id", fmt.Sprint(personID), "--name", "dead"); err == nil || !strings.Contains(string(errs), "KEY_PEPPER is another") {
		t.Errorf("a key under a strange pepper: %v %s", err, errs)
	}
	if level := s.examined("keys")["keys.pepper"]; level != doctor.Fault {
		t.Errorf("keys.pepper is %q", level)
	}
	s.env["KEY_PEPPER"] += "," + pepper // a rotation
	s.admin(&struct{}{}, "key", "--telegram-id", fmt.Sprint(personID), "--name", "new")
	if level := s.examined("keys")["keys.pepper"]; level != doctor.OK {
		t.Errorf("after a rotation keys.pepper is %q", level)
	}
	serve.stop()
	s.reconciled()
}
