package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// call makes one API call with headers, and returns the error's code, whichever form it
// has; "" is none.
func (s *site) call(method, path, key, body string, headers ...string) (status int, code, text string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 30*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	var answer struct {
		Error struct {
			Code string `json:"code"`
		} `json:"error"`
	}
	_ = json.Unmarshal(raw, &answer) // a list has none
	return response.StatusCode, answer.Error.Code, string(raw)
}

// wantCall is call for a test that knows what comes. What is briefly unavailable is asked for again.
func (s *site) wantCall(status int, code, method, path, key, body string, headers ...string) string {
	s.t.Helper()
	var got int
	var gotCode, text string
	s.until(30*time.Second, "answered", func() bool {
		got, gotCode, text = s.call(method, path, key, body, headers...)
		return got != http.StatusServiceUnavailable
	})
	if got != status || gotCode != code {
		s.t.Errorf("%s %s %s: %d %s, want %d %s", method, path, headers, got, text, status, code)
	}
	return text
}

const chatPath = "/v1/chat/completions"

func chatOf(model string) string {
	return fmt.Sprintf(`{"model":%q,"max_tokens":20,"messages":[{"role":"user","content":"Hi."}]}`, model)
}

// restrictedKey makes a key for the person by the command line.
func (s *site) restrictedKey(flags ...string) (id int64, key string) {
	s.t.Helper()
	var made struct {
		KeyID int64  `json:"key_id"`
		Key   string `json:"key"`
	}
	s.admin(&made, append([]string{"key", "--telegram-id", fmt.Sprint(personID), "--name", "restricted"}, flags...)...)
	return made.KeyID, made.Key
}

// TestE2EKeyRestrictions: what a key is for is decided on two servers, with each call, as
// the command line and the API say, and outlives the loss of Redis.
func TestE2EKeyRestrictions(t *testing.T) {
	t.Parallel()
	s, other, stop := pair(t)
	sites := []*site{s, other}
	master := s.key(personID, "5")

	id, key := s.restrictedKey("--models", "ec*,slow")
	for _, one := range sites {
		one.wantCall(200, "", "POST", chatPath, key, chatOf("echo"))
		one.wantCall(403, "key_model_not_allowed", "POST", chatPath, key, chatOf("exact"))
	}
	// A change is in force everywhere within a second.
	s.command("admin", "key", "set", "--key-id", fmt.Sprint(id), "--models", "exact")
	for _, one := range sites {
		one.until(changedIn, "for the other model", func() bool {
			status, _, _ := one.call("POST", chatPath, key, chatOf("exact"))
			return status == 200
		})
		one.wantCall(403, "key_model_not_allowed", "POST", chatPath, key, chatOf("echo"))
	}
	if list := s.wantCall(200, "", "GET", "/v1/models", key, ""); !strings.Contains(list, `"exact"`) || strings.Contains(list, `"echo"`) {
		t.Errorf("the key's models: %s", list)
	}

	t.Run("addresses", func(t *testing.T) { s.keyAddresses(id, key, sites) })
	t.Run("expiry", func(t *testing.T) { s.keyExpiry(master, sites) })

	// A Redis that lost everything learns again what the key is for.
	s.command("admin", "key", "set", "--key-id", fmt.Sprint(id), "--models", "echo", "--ips", "any")
	s.redis.Client().FlushAll(t.Context())
	s.until(60*time.Second, "back after the loss", func() bool {
		status, _, _ := s.call("POST", chatPath, key, chatOf("echo"))
		return status == 200
	})
	s.wantCall(403, "key_model_not_allowed", "POST", chatPath, key, chatOf("exact"))
	s.command("admin", "revoke", "--key-id", fmt.Sprint(id))
	for _, one := range sites {
		one.until(changedIn, "revoked", func() bool {
			status, code, _ := one.call("POST", chatPath, key, chatOf("echo"))
			return status == 401 && code == "invalid_api_key"
		})
	}
	stop()
}

// keyAddresses: loopback is trusted to say who its client is; a stranger is not.
func (s *site) keyAddresses(id int64, key string, sites []*site) {
	s.command("admin", "key", "set", "--key-id", fmt.Sprint(id), "--models", "any", "--ips", "203.0.113.0/28,2001:db8::/64")
	for address, good := range map[string]bool{
		"203.0.113.15": true, "203.0.113.16": false, "::ffff:203.0.113.1": true, "2001:db8::ffff": true, "2001:db8:0:1::": false,
		"": false, "nonsense": false, "203.0.113.1, 10.0.0.1": false,
	} {
		status, code := 403, "key_address_not_allowed"
		if good {
			status, code = 200, ""
		}
		for _, one := range sites {
			one.wantCall(status, code, "POST", chatPath, key, chatOf("exact"), "X-Real-IP", address, "X-Forwarded-For", "203.0.113.1")
		}
	}
	stranger := s.another()
	stranger.env["TRUSTED_PROXIES"] = "10.0.0.0/8"
	p := stranger.serve()
	stranger.wantCall(403, "key_address_not_allowed", "POST", chatPath, key, chatOf("exact"), "X-Real-IP", "203.0.113.1")
	p.stop()
}

// keyExpiry: a key ends at its second by Redis' clock, on each server, and may be given a
// later end.
func (s *site) keyExpiry(master string, sites []*site) {
	redis := s.redis.Client()
	now := func() time.Time { return redis.Time(s.t.Context()).Val() }
	end := now().Add(3 * time.Second).UTC().Truncate(time.Second)
	var made struct {
		ID  int64  `json:"id"`
		Key string `json:"key"`
	}
	body := s.wantCall(201, "", "POST", "/api/v1/keys", master, fmt.Sprintf(`{"name":"brief","expires_at":%q}`, end.Format(time.RFC3339)))
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Key == "" {
		s.t.Fatalf("made %s", body)
	}
	for _, one := range sites {
		for over := false; !over; {
			before := now()
			status, code, text := one.call("GET", "/api/v1/balance", made.Key, "")
			switch {
			case status == 200 && before.Before(end), status == 503:
			case status == 401 && code == "key_expired" && !now().Before(end):
				over = true
			default:
				s.t.Fatalf("between %s and %s: %d %s; it ends %s", before, now(), status, text, end)
			}
		}
	}
	s.wantCall(200, "", "PATCH", fmt.Sprintf("/api/v1/keys/%d", made.ID), master, `{"expires_at":null}`)
	for _, one := range sites {
		one.until(changedIn, "without an end", func() bool {
			status, _, _ := one.call("GET", "/api/v1/balance", made.Key, "")
			return status == 200
		})
	}
}

// TestE2EKeysAPI: whoever may manage keys manages their own account's and no other's.
func TestE2EKeysAPI(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	type party struct {
		key string
		ids map[string]int64
	}
	var parties []party
	for n := range 3 {
		p := party{key: s.key(personID+n, "1"), ids: map[string]int64{}}
		for _, name := range []string{"one", "two"} {
			var made struct {
				ID int64 `json:"id"`
			}
			body := s.wantCall(201, "", "POST", "/api/v1/keys", p.key, fmt.Sprintf(`{"name":%q}`, name), "Idempotency-Key", name)
			if err := json.Unmarshal([]byte(body), &made); err != nil {
				t.Fatal(err)
			}
			again := s.wantCall(200, "", "POST", "/api/v1/keys", p.key, fmt.Sprintf(`{"name":%q}`, name), "Idempotency-Key", name)
			if !strings.Contains(again, fmt.Sprintf(`"id":%d,`, made.ID)) || !strings.Contains(again, `"key":null`) || !strings.Contains(again, "cannot be shown again") {
				t.Errorf("made again: %s", again)
			}
			p.ids[name] = made.ID
		}
		parties = append(parties, p)
	}
	for i, mine := range parties {
		for j, theirs := range parties {
			path := fmt.Sprintf("/api/v1/keys/%d", theirs.ids["two"])
			status, code := 404, "key_not_found"
			if i == j {
				status, code = 200, ""
			}
			s.wantCall(status, code, "PATCH", path, mine.key, `{"name":"ours"}`)
			list := s.wantCall(200, "", "GET", "/api/v1/keys", mine.key, "")
			if listed := strings.Contains(list, fmt.Sprintf(`"id":%d,`, theirs.ids["one"])); listed != (i == j) {
				t.Errorf("account %d lists %d's: %t", i, j, listed)
			}
			if i != j {
				s.wantCall(status, code, "DELETE", path, mine.key, "")
			}
		}
	}
	s.wantCall(200, "", "DELETE", fmt.Sprintf("/api/v1/keys/%d", parties[1].ids["two"]), parties[1].key, "")

	_, bound := s.restrictedKey("--budget-usd", "1")
	s.wantCall(403, "key_may_not_manage", "POST", "/api/v1/keys", bound, `{"name":"free"}`)
	s.wantCall(403, "key_may_not_manage", "GET", "/api/v1/keys", bound, "")

	// The same keys by the command line, and who made them.
	var listed struct{ Keys []listedKey }
	s.admin(&listed, "key", "list", "--telegram-id", fmt.Sprint(personID+1), "--revoked")
	if len(listed.Keys) != 3 || listed.Keys[0].RevokedAt == nil || listed.Keys[1].RevokedAt != nil || listed.Keys[0].Hint == "" {
		t.Errorf("listed %+v", listed)
	}
	s.admin(&listed, "key", "list", "--telegram-id", fmt.Sprint(personID+1))
	if len(listed.Keys) != 2 {
		t.Errorf("usable are %+v", listed)
	}
	var audited auditAnswer
	s.admin(&audited, "audit", "--limit", "200")
	var lines strings.Builder
	for _, e := range audited.Entries {
		fmt.Fprintf(&lines, "%s %s\n", e.Actor, e.Action)
	}
	for _, want := range []string{"/key:1 key.created", "/key:1 key.renamed", "key.revoked"} {
		if !strings.Contains(lines.String(), want) {
			t.Errorf("the audit log lacks %q:\n%s", want, lines.String())
		}
	}
	serve.stop()
	s.reconciled()
}

// TestE2EKeyFlags: each fault on the command line is named with what would be right.
func TestE2EKeyFlags(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.key(personID, "1")
	wish := "key --name x --telegram-id " + fmt.Sprint(personID)
	for args, says := range map[string]string{
		wish + " --models *":             "every model",
		wish + " --models a,,b":          "commas",
		wish + " --models a|b":           "GET /v1/models",
		wish + " --ips 10.0.0.1/8":       "10.0.0.0/8",
		wish + " --ips here":             "--ips",
		wish + " --expires 0d":           "30d",
		wish + " --expires 11000d":       "ten years",
		wish + " --expires 2020-01-01":   "is over",
		wish + " --expires=-1d":          "30d",
		"key set --key-id 1 --ips ::/0x": "0 to 128",
		"key set --key-id 77":            "no usable key 77",
		"key set --key-id 1 --rpm many":  "whole number",
		"key list --telegram-id 4242":    "no such account",
	} {
		if code, out, errs := s.here(append([]string{"admin"}, strings.Fields(args)...)...); code == 0 || !strings.Contains(errs, says) || out != "" {
			t.Errorf("admin %s: %d, want %q\n%s%s", args, code, says, out, errs)
		}
	}
	var set keyAnswer
	s.admin(&set, "key", "set", "--key-id", "1", "--models", "echo, slow", "--ips", "::1,10.0.0.0/8", "--expires", "30d", "--name", "named", "--rpm", "9", "--budget-usd", "3")
	if len(set.Models) != 2 || len(set.AllowedIPs) != 2 || set.ExpiresAt == nil || time.Until(*set.ExpiresAt) < 29*24*time.Hour || set.Name != "named" || set.RPM != 9 || set.BudgetMonth != 3_000_000_000 {
		t.Errorf("set %+v", set)
	}
	s.admin(&set, "key", "set", "--key-id", "1")
	if len(set.Models) != 2 || set.RPM != 9 {
		t.Errorf("shown %+v", set)
	}
	if out := s.told("key", "list", "--telegram-id", fmt.Sprint(personID)); !strings.Contains(out, "echo,slow") || !strings.Contains(out, "10.0.0.0/8,::1/128") {
		t.Errorf("in words: %s", out)
	}
	s.admin(&set, "key", "set", "--key-id", "1", "--models", "any", "--ips", "any", "--expires", "never", "--rpm", "0", "--budget-usd", "0")
	if len(set.Models)+len(set.AllowedIPs) != 0 || set.ExpiresAt != nil || set.RPM != 0 || set.BudgetMonth != 0 {
		t.Errorf("set back: %+v", set)
	}
	serve.stop()
	s.reconciled()
}
