package main

import (
	"context"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/telegramsim/spec"
	"github.com/kikuai/kikuai/internal/testenv"
)

const personID = 5_000_001

// ledger reads the books of the site's database.
func (s *site) ledger() *billing.Ledger {
	s.t.Helper()
	pool, err := postgres.Open(s.t.Context(), s.database, postgres.Options{MaxConns: 2})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(pool.Close)
	desk, err := billing.New(billing.Config{
		Redis: s.redis.Client(), Postgres: pool, Log: testenv.Logger(s.t),
		Peppers: []string{"not-used-for-reading-the-ledger!"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return desk.Ledger
}

func said(pattern string) func(telegramsim.Call) bool {
	expression := regexp.MustCompile(pattern)
	return func(c telegramsim.Call) bool {
		return c.Method == "sendMessage" && expression.MatchString(c.Params["text"]) ||
			c.Method == "sendPhoto" && expression.MatchString(c.Params["caption"])
	}
}

// TestE2EMainJob is what a stranger does first: press Start, chat, make a key, call the
// API, all of it billed to the nano-dollar.
func TestE2EMainJob(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	serve := s.serve()
	s.command("webhook", "set")
	person := s.telegram.User(personID, "Ada").ID
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	hear := func(pattern string) telegramsim.Call {
		t.Helper()
		call, err := s.telegram.WaitSent(ctx, person, said(pattern))
		if err != nil {
			t.Fatalf("no message like %q: %v", pattern, err)
		}
		return call
	}
	tell := func(text string) {
		t.Helper()
		if _, err := s.telegram.Say(person, text); err != nil {
			t.Fatal(err)
		}
	}

	if _, err := s.telegram.StartBot(person, ""); err != nil {
		t.Fatal(err)
	}
	hear(`Hello, Ada! .*[\s\S]*\$0\.50`)
	tell("the quick brown fox")
	final := hear(`^the quick brown fox\n\n\$0\.\d+ · balance \$0\.\d+$`)
	for _, call := range s.telegram.Sent(person) {
		if call.Method == "sendMessageDraft" && !strings.HasPrefix(final.Params["text"], call.Params["text"]) {
			t.Errorf("a frame %q that the answer does not begin with", call.Params["text"])
		}
	}
	tell("/newkey my laptop")
	key := regexp.MustCompile(`kk_\S+`).FindString(hear(`“my laptop”`).Params["text"])

	chatCost := 500_000_000 - mustAvailable(s, key)
	status, body := s.chat(key, "echo", "hello there", 50)
	if status != http.StatusOK {
		t.Fatalf("completion: %d %s", status, body)
	}
	var answer struct {
		Usage struct {
			Cost json.Number `json:"cost"`
		} `json:"usage"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatal(err)
	}
	cost, err := billing.ParseUSD(answer.Usage.Cost.String())
	if err != nil || cost == 0 {
		t.Fatalf("usage.cost %q: %v", answer.Usage.Cost, err)
	}
	if left := mustAvailable(s, key); left != 500_000_000-chatCost-cost {
		t.Fatalf("available %d, want %d less %d and %d", left, 500_000_000, chatCost, cost)
	}
	tell("/keys")
	list := hear(`Your API keys:[\s\S]*my laptop`)
	if _, err := s.telegram.Press(person, person, list.Message.MessageID, "revoke:1"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.telegram.WaitCall(ctx, func(c telegramsim.Call) bool {
		return c.Method == "answerCallbackQuery" && strings.Contains(c.Params["text"], "revoked")
	}); err != nil {
		t.Fatal(err)
	}
	if status, _ := s.get("/api/v1/balance", key); status != http.StatusUnauthorized {
		t.Fatalf("a revoked key answers %d", status)
	}
	for _, violation := range s.telegram.Violations() {
		t.Errorf("%s: %v", violation.Call.Method, violation.Err)
	}

	serve.stop()
	s.reconciled()
	l := s.ledger()
	var user accountAnswer
	s.admin(&user, "user", "--telegram-id", "5000001")
	if stated, err := l.Balance(t.Context(), user.AccountID); err != nil || stated != user.AvailableNanoUSD || user.HeldNanoUSD != 0 {
		t.Fatalf("ledger %d (%v), Redis %+v", stated, err, user)
	}
	if want := 500_000_000 - chatCost - cost; user.AvailableNanoUSD != want {
		t.Fatalf("available %d, want %d", user.AvailableNanoUSD, want)
	}
}

func mustAvailable(s *site, key string) int64 {
	s.t.Helper()
	available, _ := s.balance(key)
	return available
}

// TestE2EEveryUpdate: one update of every type in the Bot API and the samples
// of Telegram's webhook guide all get 200, and the process lives.
func TestE2EEveryUpdate(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	// The files of samples are nowhere.
	s.excuses = func(v telegramsim.Violation) bool { return v.Call.Method == "getFile" }
	serve := s.serve()
	deliver := func(secret, body string) int {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/webhook", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/json")
		if secret != "" {
			request.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		return response.StatusCode
	}
	for _, sample := range spec.Samples() {
		status := deliver(simSecret, string(sample.JSON))
		for range 5 { // as Telegram would
			if status != http.StatusServiceUnavailable {
				break
			}
			status = deliver(simSecret, string(sample.JSON))
		}
		if status != http.StatusOK {
			t.Errorf("%s: %d", sample.Name, status)
		}
	}
	for name, c := range map[string]struct {
		secret, body string
		want         int
	}{
		"wrong secret": {"wrong", `{"update_id":1}`, http.StatusUnauthorized},
		"no secret":    {"", `{"update_id":1}`, http.StatusUnauthorized},
		"garbage":      {simSecret, `{"update_id":`, http.StatusOK},
		"no id":        {simSecret, `{"message":{}}`, http.StatusOK},
		"empty":        {simSecret, ``, http.StatusOK},
		"too large":    {simSecret, `{"update_id":5,"x":"` + strings.Repeat("a", 1<<20) + `"}`, http.StatusRequestEntityTooLarge},
	} {
		if status := deliver(c.secret, c.body); status != c.want {
			t.Errorf("%s: %d, want %d", name, status, c.want)
		}
	}
	r := s.redis.Client()
	s.until(time.Minute, "handled", func() bool {
		var waiting int64
		for i := range 16 {
			for _, stream := range []string{"inbox", "urgent", "checkout"} {
				waiting += r.XLen(t.Context(), stream+":{s"+string(rune('0'+i/10))+string(rune('0'+i%10))+"}").Val()
			}
		}
		return waiting == 0
	})
	var letters []struct{ Kind, Error string }
	s.admin(&letters, "dead-letters", "list")
	for _, letter := range letters {
		if letter.Kind != "unreadable" {
			t.Errorf("dead letter of kind %s: %s", letter.Kind, letter.Error)
		}
	}
	if len(letters) != 3 {
		t.Errorf("%d dead letters, want the 3 unreadable ones", len(letters))
	}
	if strings.Contains(serve.log.String(), "panic") {
		t.Errorf("a handler panicked:\n%s", serve.log)
	}
	serve.stop()
	s.reconciled()
}
