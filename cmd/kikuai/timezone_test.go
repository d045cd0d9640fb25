package main

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestE2ETimeZones runs two servers on the same stores, one where clocks and database
// sessions keep UTC and one where they keep zones of +14 h and +5:45: what they tell is
// the same to the byte, moments and days alike.
func TestE2ETimeZones(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	key := s.key(personID, "1")
	odd := s.another()
	s.env["TZ"] = "UTC"
	odd.env["TZ"] = "Pacific/Kiritimati"
	odd.env["DATABASE_URL"] = withParameter(t, s.database, "timezone", "Asia/Kathmandu")
	serves := []*process{s.serve(), odd.serve()}
	for _, one := range []*site{s, odd} {
		if status, _, body := one.paid(key); status != http.StatusOK {
			t.Fatalf("%d %s", status, body)
		}
	}
	s.until(30*time.Second, "both calls are in the ledger", func() bool {
		_, body := s.get("/api/v1/usage", key)
		return strings.Contains(body, `"calls":2`)
	})
	// Hours on both sides of the midnights of all zones concerned, as calls of the past.
	s.asOwner(`insert into usage_hourly (account_id, key_id, model, hour, calls, estimated_calls, prompt_tokens, cached_tokens,
			cache_write_tokens, completion_tokens, reasoning_tokens, cost_nano, captured_nano, write_off_nano)
		select account_id, key_id, model, date_trunc('hour', now(), 'UTC') - n * interval '1 hour', n, 0, n, 0, 0, n, 0, n * 1000, n * 1000, 0
		from usage_hourly cross join generate_series(1, 72) n`)
	until := url.QueryEscape(time.Now().UTC().Add(time.Minute).Format(time.RFC3339))
	from := url.QueryEscape(time.Now().UTC().AddDate(0, 0, -5).Format(time.RFC3339))
	span := "from=" + from + "&to=" + until
	for _, path := range []string{
		"/api/v1/usage?group_by=day&" + span, "/api/v1/usage?group_by=hour&" + span, "/api/v1/usage?group_by=day,key&tz=Asia/Kathmandu&" + span,
		"/api/v1/usage?group_by=day&tz=Pacific/Kiritimati&" + span, "/api/v1/usage/calls?" + span, "/api/v1/usage/export?" + span,
		"/api/v1/transactions", "/api/v1/keys", "/api/v1/settings", "/api/v1/balance", "/v1/models",
	} {
		var bodies [2]string
		for i, one := range []*site{s, odd} {
			bodies[i] = moving.ReplaceAllString(one.wantCall(http.StatusOK, "", http.MethodGet, path, key, ""), "")
		}
		if bodies[0] != bodies[1] {
			t.Errorf("%s: in UTC\n%s\nelsewhere\n%s", path, bodies[0], bodies[1])
		}
		if strings.Contains(path, "group_by=day&from") && strings.Count(bodies[0], `"cost_usd"`) < 4 {
			t.Errorf("few days are told: %s", bodies[0])
		}
	}
	var before, after string
	for at, into := range map[string]*string{"UTC": &before, "Pacific/Kiritimati": &after} {
		s.env["TZ"] = at
		*into = string(s.command("admin", "transactions", "--telegram-id", fmt.Sprint(personID), "--json"))
	}
	if before != after {
		t.Errorf("admin transactions: in UTC\n%s\nelsewhere\n%s", before, after)
	}
	for _, serve := range serves {
		serve.stop()
	}
}

// moving are moments that differ between two calls: of now, and of a server's start.
var moving = regexp.MustCompile(`"(?:created|created_at|last_used_at)":(?:\d+|"[^"]*Z")`)
