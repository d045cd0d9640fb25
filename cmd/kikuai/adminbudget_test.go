package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestE2EAdminBudget: a budget is in force when the command returns, of the account or
// of a key, and gone when it is removed; what is not given stays.
func TestE2EAdminBudget(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	key := s.key(personID, "1")
	id := fmt.Sprint(personID)
	budget := func(args ...string) (answer budgetAnswer) {
		t.Helper()
		s.admin(&answer, append([]string{"budget", "--telegram-id", id}, args...)...)
		return answer
	}
	call := func() (int, string) { return s.chat(key, "exact", "go", 100) } // 100,000 nano-USD

	if got := budget(); got != (budgetAnswer{AccountID: 1, TelegramID: personID}) {
		t.Errorf("before any: %+v", got)
	}
	budget("--month-usd", "0.0002")
	if got := budget("--day-usd", "0.00015"); got.DayNanoUSD != 150_000 || got.MonthNanoUSD != 200_000 || budget() != got {
		t.Errorf("of the account: %+v", got)
	}
	if status, body := call(); status != http.StatusOK {
		t.Fatalf("within the budget: %d %s", status, body)
	}
	if status, body := call(); status != http.StatusPaymentRequired || !strings.Contains(body, "budget_exceeded") {
		t.Errorf("beyond the day's budget: %d %s", status, body)
	}
	budget("--day-usd", "0")
	if status, body := call(); status != http.StatusOK {
		t.Errorf("without a day's budget: %d %s", status, body)
	}
	if status, _ := call(); status != http.StatusPaymentRequired {
		t.Errorf("beyond the month's budget: %d", status)
	}
	budget("--month-usd", "0")
	if got := budget("--key-id", "1", "--day-usd", "0.0003"); got.KeyID != 1 || got.DayNanoUSD != 300_000 || budget().DayNanoUSD != 0 {
		t.Errorf("of the key: %+v", got)
	}
	if out := string(s.command("admin", "budget", "--telegram-id", id, "--key-id", "1")); !strings.Contains(out, "$0.0003") || !strings.Contains(out, "no bound") {
		t.Errorf("in words: %s", out)
	}
	for _, args := range [][]string{
		{"--telegram-id", id, "--day-usd", "-1"}, {"--telegram-id", id, "--day-usd", "x"}, {"--telegram-id", id, "--month-usd", "99999999999"},
		{"--telegram-id", "77"}, {"--telegram-id", id, "--key-id", "2"}, {"--telegram-id", id, "--key-id", "2", "--day-usd", "1"},
	} {
		if out, _, err := s.try(append([]string{"admin", "budget"}, args...)...); err == nil {
			t.Errorf("%q passes: %s", args, out)
		}
	}
	serve.stop()
	s.reconciled()
}
