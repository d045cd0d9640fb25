package main

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// TestE2EAdminLimits: tiers, organisations and limits of keys are what the commands say,
// in force when they return, and written down with who did it.
func TestE2EAdminLimits(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	key := s.key(personID, "1")
	person := fmt.Sprint(personID)

	var limits struct {
		KeyID int64 `json:"key_id"`
		limitsAnswer
	}
	s.admin(&limits, "limit", "--key-id", "1", "--rpm", "2", "--per-second", "1.5", "--burst", "4", "--concurrency", "3")
	if limits.KeyID != 1 || limits.limitsAnswer != (limitsAnswer{2, 0, 3, "1.5", 4}) {
		t.Errorf("%+v", limits)
	}
	for i, want := range []int{http.StatusOK, http.StatusOK, http.StatusTooManyRequests} {
		if status, body := s.get("/v1/models", key); status != want {
			t.Errorf("request %d of a key with two a minute: %d %s", i+1, status, body)
		}
	}
	s.admin(&limits, "limit", "--key-id", "1", "--rpm", "1000", "--per-second", "0", "--burst", "0")
	if limits.limitsAnswer != (limitsAnswer{1000, 0, 3, "0", 0}) {
		t.Errorf("%+v", limits)
	}
	if out := string(s.command("admin", "limit", "--key-id", "1")); !strings.Contains(out, "1000") || !strings.Contains(out, "no limit") {
		t.Errorf("in words: %s", out)
	}

	var tier tierAnswer
	s.admin(&tier, "tier", "set", "gold", "--tpm", "90000", "--rpm", "60")
	if tier != (tierAnswer{Tier: "gold", limitsAnswer: limitsAnswer{60, 90_000, 0, "0", 0}}) {
		t.Errorf("%+v", tier)
	}
	s.command("admin", "tier", "assign", "--telegram-id", person, "--tier", "gold")
	var tiers struct{ Tiers []tierAnswer }
	if s.admin(&tiers, "tier", "list"); len(tiers.Tiers) != 1 || tiers.Tiers[0].Accounts != 1 || tiers.Tiers[0].TPM != 90_000 {
		t.Errorf("%+v", tiers)
	}
	s.command("admin", "tier", "assign", "--telegram-id", person, "--tier", "none")

	var org orgAnswer
	s.admin(&org, "org", "create", "Lovelace & Söhne", "--budget-usd", "20", "--rpm", "100")
	s.admin(&org, "org", "set", fmt.Sprint(org.ID), "--budget-day-usd", "1.5", "--concurrency", "7")
	if org.Name != "Lovelace & Söhne" || org.BudgetDay != 1_500_000_000 || org.BudgetMonth != 20_000_000_000 || org.RPM != 100 || org.Concurrency != 7 {
		t.Errorf("%+v", org)
	}
	s.command("admin", "org", "add", "--id", fmt.Sprint(org.ID), "--telegram-id", person)
	var orgs struct{ Organisations []orgAnswer }
	if s.admin(&orgs, "org", "list"); len(orgs.Organisations) != 1 || orgs.Organisations[0].Accounts != 1 {
		t.Errorf("%+v", orgs)
	}
	s.command("admin", "org", "remove", "--id", fmt.Sprint(org.ID), "--telegram-id", person)

	var audited auditAnswer
	s.admin(&audited, "audit", "--actor", string(operator()))
	var actions []string
	for _, l := range audited.Entries {
		actions = append(actions, l.Action)
	}
	const want = "organisation.removed organisation.added organisation.set organisation.created account.tier account.tier tier.set key.limits key.limits"
	if got := strings.Join(actions, " "); !strings.HasPrefix(got, want) {
		t.Errorf("the audit log has %s", got)
	}
	s.badLimits(person, org)
	serve.stop()
	s.reconciled()
}

// badLimits are refused with a sentence that says what to do instead.
func (s *site) badLimits(person string, org orgAnswer) {
	id := fmt.Sprint(org.ID)
	for _, c := range []struct {
		says string
		args string
	}{
		{"give a whole number", "limit --key-id 1 --rpm=-1"},
		{"give a whole number", "limit --key-id 1 --tpm 1.5"},
		{"give a whole number", "limit --key-id 1 --concurrency 2147483648"},
		{"give a number such as 2.5", "limit --key-id 1 --per-second 0.0001"},
		{"come together", "limit --key-id 1 --burst 5"},
		{"there is no usable key 77", "limit --key-id 77 --rpm 1"},
		{"there is no usable key 77", "limit --key-id 77"},
		{"--key-id", "limit --key-id ١ --rpm 1"},
		{"give a whole number", "key --telegram-id " + person + " --name x --rpm １"},
		{"come together", "key --telegram-id " + person + " --name x --per-second 1"},
		{"give 1 to 32 characters", "tier set Gold --rpm 1"},
		{"give 1 to 32 characters", "tier set 金 --rpm 1"},
		{"no tier may be called none", "tier set none"},
		{"give a whole number", "tier set silver --rpm many"},
		{"make it with admin tier set", "tier assign --telegram-id " + person + " --tier silver"},
		{"admin tier list", "tier assign --telegram-id " + person + " --tier Gold"},
		{"52 bits", "tier assign --telegram-id 0 --tier gold"},
		{"change it with admin org set", "org create NAME --rpm 1"},
		{"give 1 to 64 characters", "org create " + strings.Repeat("o", 65)},
		{"--budget-usd: not a decimal", "org create x --budget-usd=-1"},
		{"there is no organisation 99", "org set 99 --rpm 1"},
		{"status", "org set " + id + " --status closed"},
		{"there is no organisation 99", "org add --id 99 --telegram-id " + person},
		{"there is no organisation 99", "org remove --id 99 --telegram-id " + person},
		{"does not belong to organisation", "org remove --id " + id + " --telegram-id " + person},
		{"there is no such account", "org remove --id " + id + " --telegram-id 4242"},
	} {
		args := append([]string{"admin"}, strings.Fields(c.args)...)
		for i := range args {
			args[i] = strings.ReplaceAll(args[i], "NAME", org.Name)
		}
		if code, out, errs := s.here(args...); code == 0 || !strings.Contains(errs, c.says) || out != "" {
			s.t.Errorf("kikuai %q: %d, want %q\n%s%s", args, code, c.says, out, errs)
		}
	}
}
