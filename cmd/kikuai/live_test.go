package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// miniAppData is what Telegram says to the Mini App of a person at this moment.
func miniAppData(person int64, name string) string {
	fields := map[string]string{
		"user":      fmt.Sprintf(`{"id":%d,"first_name":%q,"language_code":"en"}`, person, name),
		"auth_date": strconv.FormatInt(time.Now().Unix(), 10), "signature": "for-others",
	}
	query, lines := url.Values{}, []string{}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		query.Set(field, fields[field])
		lines = append(lines, field+"="+fields[field])
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text))
		return h.Sum(nil)
	}
	query.Set("hash", hex.EncodeToString(sum(sum([]byte("WebAppData"), simToken), strings.Join(lines, "\n"))))
	return query.Encode()
}

// session opens the Mini App.
func (s *site) session(person int64) (token string, account int64) {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, s.url+"/api/v1/session", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "tma "+miniAppData(person, "A+B 50%"))
	request.Header.Set("Origin", s.env["PUBLIC_URL"])
	status, body := s.do(request)
	var answer struct {
		Token     string `json:"token"`
		AccountID int64  `json:"account_id"`
	}
	if err := json.Unmarshal([]byte(body), &answer); err != nil || status != http.StatusOK {
		s.t.Fatalf("session: %d %s", status, body)
	}
	return answer.Token, answer.AccountID
}

// listener is a live socket.
type listener struct {
	s    *site
	conn *websocket.Conn
	last string
}

type liveEvent struct {
	ID, Type string
	Data     struct {
		Available int64  `json:"available_nano_usd"`
		Cost      int64  `json:"cost_nano_usd"`
		Model     string `json:"model"`
		Source    string `json:"source"`
		Change    string `json:"change"`
		Kind      string `json:"kind"`
		Amount    int64  `json:"amount_nano_usd"`
		Stars     int64  `json:"stars"`
	}
}

// hearLive opens a socket as the Mini App does, from a place on; "": from now on.
func (s *site) hearLive(base, token, after string) *listener {
	s.t.Helper()
	conn, _, err := websocket.Dial(s.t.Context(), base+"/api/v1/live", &websocket.DialOptions{
		CompressionMode: websocket.CompressionNoContextTakeover, HTTPHeader: http.Header{"Origin": {s.env["PUBLIC_URL"]}}, HTTPClient: s.client,
	})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	text, _ := json.Marshal(map[string]any{"type": "auth", "token": token, "after": after})
	if err := conn.Write(s.t.Context(), websocket.MessageText, text); err != nil {
		s.t.Fatal(err)
	}
	return &listener{s: s, conn: conn}
}

func (l *listener) frame() (events []liveEvent, resume string, err error) {
	ctx, cancel := context.WithTimeout(l.s.t.Context(), 30*time.Second)
	defer cancel()
	_, text, err := l.conn.Read(ctx)
	if err != nil {
		return nil, "", err
	}
	var f struct {
		Events []liveEvent
		Resume string
	}
	if err := json.Unmarshal(text, &f); err != nil {
		return nil, "", err
	}
	if len(f.Events) > 0 {
		l.last = f.Events[len(f.Events)-1].ID
	}
	return f.Events, f.Resume, nil
}

// until reads events until one is as it should be.
func (l *listener) until(what string, is func(liveEvent) bool) (all []liveEvent) {
	l.s.t.Helper()
	for {
		events, _, err := l.frame()
		if err != nil {
			l.s.t.Fatalf("%s: %v after %+v", what, err, all)
		}
		all = append(all, events...)
		if slices.ContainsFunc(events, is) {
			return all
		}
	}
}

func (l *listener) closed() websocket.StatusCode {
	for {
		if _, _, err := l.frame(); err != nil {
			return websocket.CloseStatus(err)
		}
	}
}

// A person opens the Mini App and hears at once of what happens to the account, whichever
// of two servers it happens at: a call of theirs, money, a key that is made and revoked. When
// a server stops, the other tells what was missed.
func TestE2ELive(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	first := s.serve()
	other := *s
	other.env = maps.Clone(s.env)
	other.env["LISTEN_ADDR"], other.env["OPS_ADDR"] = freeAddr(t), freeAddr(t)
	other.url = "http://" + other.env["LISTEN_ADDR"]
	other.serve()

	token, account := s.session(7001)
	var credited accountAnswer
	s.admin(&credited, "credit", "--telegram-id", "7001", "--usd", "1", "--idempotency-key", "live")
	if credited.AccountID != account {
		t.Fatalf("the session is of account %d, the person of %d", account, credited.AccountID)
	}
	l := s.hearLive(s.url, token, "")
	began := l.until("the balance", func(e liveEvent) bool { return e.Type == "balance" && e.Data.Available == 1_500_000_000 })
	t.Logf("began with %d events", len(began))
	if status, body := other.chat(token, "exact", "hello", 200); status != http.StatusOK {
		t.Fatalf("a call with the session: %d %s", status, body)
	}
	told := l.until("the balance after a call", func(e liveEvent) bool { return e.Type == "balance" && e.Data.Available == 1_499_900_000 })
	if u := told[0].Data; told[0].Type != "usage" || u.Cost != 100_000 || u.Model != "exact" || u.Source != "app" {
		t.Errorf("told of the call as %+v", told)
	}
	status, body := other.send(http.MethodPost, "/api/v1/keys", token, `{"name":"live"}`)
	var made struct {
		ID  int64
		Key string
	}
	if err := json.Unmarshal([]byte(body), &made); err != nil || status != http.StatusCreated {
		t.Fatalf("a key: %d %s", status, body)
	}
	l.until("the key", func(e liveEvent) bool { return e.Type == "key" && e.Data.Change == "created" })
	ofKey := other.hearLive(other.url, made.Key, "")
	ofKey.until("the balance", func(e liveEvent) bool { return e.Type == "balance" })
	if status, body := s.send(http.MethodDelete, fmt.Sprintf("/api/v1/keys/%d", made.ID), token, ""); status != http.StatusOK {
		t.Fatalf("revoke: %d %s", status, body)
	}
	if code := ofKey.closed(); code != 4401 {
		t.Errorf("a revoked key's socket ends with %d", code)
	}
	first.stop()
	if code := l.closed(); code != websocket.StatusGoingAway {
		t.Errorf("a server that stops says %d", code)
	}
	if status, body := other.chat(token, "exact", "hello", 200); status != http.StatusOK {
		t.Fatalf("a call at the other: %d %s", status, body)
	}
	back := other.hearLive(other.url, token, l.last)
	// The balance is told at once; the call, when the ledger has it.
	missed := back.until("the call", func(e liveEvent) bool { return e.Type == "usage" })
	if !slices.ContainsFunc(missed, func(e liveEvent) bool { return e.Type == "balance" && e.Data.Available == 1_499_800_000 }) {
		t.Errorf("missed %+v", missed)
	}
	s.command("admin", "ban", "--telegram-id", "7001", "--json")
	if code := back.closed(); code != 4401 {
		t.Errorf("a banned account's socket ends with %d", code)
	}
	if _, response, err := websocket.Dial(t.Context(), other.url+"/api/v1/live", &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"https://evil.example"}}}); err == nil || response == nil || response.StatusCode != http.StatusForbidden {
		t.Errorf("another site's socket: %v %v", response, err)
	}
}
