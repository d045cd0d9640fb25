package main

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

// TestE2EAccount: what is chosen by the API holds in the chat at once, what a call cost is
// told by usage, list and file alike, and the file comes to the owner's chat, once.
func TestE2EAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.arrange("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	tell := func(text, hears string) {
		t.Helper()
		if _, err := s.telegram.Send(telegramsim.Saying{User: person, Chat: person, Text: text}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.telegram.WaitSent(ctx, person, said(hears)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitSent(ctx, person, said(`Hello, Ada`)); err != nil {
		t.Fatal(err)
	}
	key := s.key(personID, "1")
	tell("/balance", `(?i)balance`)
	s.wantCall(200, "", "PATCH", "/api/v1/settings", key, `{"language":"ru","time_zone":"Asia/Kolkata"}`)
	tell("/balance", `[Бб]аланс`)

	s.wantCall(200, "", "POST", chatPath, key, chatOf("exact"))
	var usage string
	s.until(30*time.Second, "the ledger has the call", func() bool {
		usage = s.wantCall(200, "", "GET", "/api/v1/usage?group_by=day,key", key, "")
		return gjson.Get(usage, "total.calls").Int() == 1
	})
	cost := gjson.Get(usage, "total.cost_usd").Str
	if gjson.Get(usage, "tz").Str != "Asia/Kolkata" || gjson.Get(usage, "rows.0.key_name").Str != "e2e" || gjson.Get(usage, "rows.0.cost_usd").Str != cost {
		t.Errorf("usage is %s", usage)
	}
	if list := s.wantCall(200, "", "GET", "/api/v1/transactions?limit=1", key, ""); gjson.Get(list, "transactions.0.amount_usd").Str != "-"+cost {
		t.Errorf("transactions are %s", list)
	}
	for range 2 {
		s.wantCall(202, "", "POST", "/api/v1/usage/export/chat", key, `{}`, "Idempotency-Key", "one")
	}
	s.wantCall(409, "idempotency_conflict", "POST", "/api/v1/usage/export/chat", key, `{"rows":"days"}`, "Idempotency-Key", "one")
	files := func() (files []*telegramsim.Message) {
		for _, m := range s.telegram.Messages(person) {
			if m.Document != nil {
				files = append(files, m)
			}
		}
		return files
	}
	s.until(30*time.Second, "the file came", func() bool { return len(files()) > 0 })
	file := files()[0]
	raw, err := s.telegram.File(file.Document.FileID)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(raw); strings.Count(text, "\n") != 2 || !strings.Contains(text, ",exact,") || !strings.Contains(text, ",e2e,") || !strings.Contains(text, ","+cost+",") {
		t.Errorf("the file says %s", text)
	}
	if !regexp.MustCompile(`^Ваши расходы с .* по `).MatchString(file.Caption) {
		t.Errorf("it came with %q", file.Caption)
	}
	tell("/balance", `[Бб]аланс`)
	if n := len(files()); n != 1 {
		t.Errorf("%d files came", n)
	}
	serve.stop()
	s.reconciled()
}
