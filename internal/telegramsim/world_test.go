package telegramsim

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A second start keeps users, chats, what is waiting, the webhook and the counters.
func TestPersistence(t *testing.T) {
	file := filepath.Join(t.TempDir(), "sim", "telegram.json")
	first, err := Start(Options{Token: testToken, DataFile: file, FirstUpdateID: 100})
	if err != nil {
		t.Fatal(err)
	}
	u := started(t, first, 0, "Ada")
	if a := post(t, first, "sendMessage", object{"chat_id": u.ID, "text": "*x*", "parse_mode": "MarkdownV2", "reply_markup": buttons(object{"text": "b", "callback_data": "d"})}); !a.OK {
		t.Fatal(a)
	}
	if a := post(t, first, "setMyCommands", object{"commands": []object{{"command": "help", "description": "Help"}}}); !a.OK {
		t.Fatal(a)
	}
	if a := post(t, first, "setWebhook", object{"url": "http://127.0.0.1:1/x", "secret_token": "s", "allowed_updates": []string{"message"}}); !a.OK {
		t.Fatal(a)
	}
	messages := first.Messages(u.ID)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}

	second := start(t, Options{DataFile: file, FirstUpdateID: 100})
	if got := second.Messages(u.ID); !cmp.Equal(got, messages) {
		t.Fatalf("messages: %s", cmp.Diff(messages, got))
	}
	if users := second.Users(); len(users) != 1 || users[0] != u {
		t.Fatalf("users: %+v", users)
	}
	info := second.webhookInfo()
	if info.URL != "http://127.0.0.1:1/x" || info.PendingUpdateCount != 1 || !cmp.Equal(info.AllowedUpdates, []string{"message"}) {
		t.Fatalf("webhook: %+v", info)
	}
	h := newHook(t)
	h.set(t, second, nil)
	m, err := second.Say(u.ID, "again")
	if err != nil || m.MessageID != messages[1].MessageID+1 {
		t.Fatalf("%+v, %v", m, err)
	}
	waitAcked(t, second, 2)
	if got := h.seen(); got[0].id != 100 || got[0].text != "/start" || got[1].id != 101 || got[1].text != "again" {
		t.Fatalf("arrivals: %+v", got)
	}
	state, err := second.state(u.ID, 0, 0)
	if err != nil || len(state.Commands) != 1 || !state.Started {
		t.Fatalf("%+v, %v", state, err)
	}
}

func TestPeople(t *testing.T) {
	s := start(t, Options{})
	if _, err := s.Say(5, "x"); !errors.Is(err, ErrUserUnknown) {
		t.Error(err)
	}
	u := s.User(5, "Ada")
	for _, text := range []string{"", "   ", "\xff", strings.Repeat("x", 4097)} {
		if _, err := s.Say(u.ID, text); !errors.Is(err, ErrTextInvalid) {
			t.Errorf("said %q", text)
		}
	}
	if _, err := s.StartBot(u.ID, "no spaces"); !errors.Is(err, ErrPayload) {
		t.Error(err)
	}
	if _, err := s.Send(Saying{User: u.ID, Text: "x", Reply: 99}); !errors.Is(err, ErrMessageUnknown) {
		t.Error(err)
	}
	m, err := s.Say(u.ID, "one")
	if err != nil {
		t.Fatal(err)
	}
	edited, err := s.Edit(u.ID, 0, m.MessageID, "two")
	if err != nil || edited.Text != "two" || m.Text != "one" {
		t.Errorf("%+v, %v", edited, err)
	}
	if err := s.Stop(u.ID, 3); !errors.Is(err, ErrDraftUnknown) {
		t.Error(err)
	}
	if err := s.Block(u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Say(u.ID, "x"); !errors.Is(err, ErrBotBlocked) {
		t.Error(err)
	}
	if _, err := s.StartBot(u.ID, ""); err != nil {
		t.Errorf("Restart bot: %v", err)
	}
}

func TestFaults(t *testing.T) {
	s := start(t, Options{})
	u, v := started(t, s, 1, "Ada"), started(t, s, 2, "Bob")
	say := func(chat int64) rawAnswer { return post(t, s, "sendMessage", object{"chat_id": chat, "text": "x"}) }

	if err := s.SetFaults(Faults{ChatRetryAfter: map[int64]int{u.ID: 30}}); err != nil {
		t.Fatal(err)
	}
	if a := say(u.ID); a.status != 429 || a.Parameters.RetryAfter != 30 || a.Description != "Too Many Requests: retry after 30" {
		t.Errorf("%+v", a)
	}
	if a := say(v.ID); !a.OK {
		t.Errorf("another chat is held up: %+v", a)
	}
	if p := s.Pace(); p.Ignored[u.ID] != 1 {
		t.Errorf("%+v", p)
	}
	if err := s.SetFaults(Faults{ChatRetryAfter: map[int64]int{u.ID: 0}, BadGatewayPercent: 100}); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(s.URL() + "/bot" + testToken + "/sendMessage?chat_id=1&text=x")
	if err != nil || response.StatusCode != http.StatusBadGateway || response.Header.Get("Content-Type") != "text/html" {
		t.Errorf("%v %v", response, err)
	}
	_ = response.Body.Close()
	if err := s.SetFaults(Faults{LostAnswerPercent: 100}); err != nil {
		t.Fatal(err)
	}
	before := len(s.Messages(u.ID))
	if response, err := http.Post(s.URL()+"/bot"+testToken+"/sendMessage?chat_id=1&text=x", "", nil); err == nil {
		_ = response.Body.Close()
		t.Error("the answer was not lost")
	}
	if len(s.Messages(u.ID)) != before+1 {
		t.Error("the message was lost with the answer")
	}
	if err := s.SetFaults(Faults{SlowPercent: 100, SlowMillis: 80}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if a := say(u.ID); !a.OK || time.Since(begin) < 80*time.Millisecond {
		t.Errorf("%+v after %v", a, time.Since(begin))
	}
	if err := s.SetFaults(Faults{SlowPercent: 101}); !errors.Is(err, ErrFaults) {
		t.Error(err)
	}
	http.DefaultClient.CloseIdleConnections()
}

// The same seed decides the same, and a percentage is about kept.
func TestFaultsAreDeterministic(t *testing.T) {
	draw := func(seed uint64) (hits int, sequence []bool) {
		f := newFaultSwitch(Faults{Seed: seed}, time.Now)
		for range 10_000 {
			hit := f.draw(lotTooMany, 10)
			sequence = append(sequence, hit)
			if hit {
				hits++
			}
		}
		return hits, sequence
	}
	hits, first := draw(42)
	_, second := draw(42)
	_, other := draw(43)
	if !cmp.Equal(first, second) || cmp.Equal(first, other) || hits < 900 || hits > 1100 {
		t.Fatalf("%d hits", hits)
	}
}

func TestPaceIsEnforced(t *testing.T) {
	s := start(t, Options{Faults: Faults{EnforcePace: true}})
	u := started(t, s, 1, "Ada")
	g, err := s.Group("Friends", u.ID)
	if err != nil {
		t.Fatal(err)
	}
	count := func(chat int64) (n int, last rawAnswer) {
		for n = 0; n < 40; n++ {
			if last = post(t, s, "sendMessage", object{"chat_id": chat, "text": "x"}); !last.OK {
				break
			}
		}
		return n, last
	}
	if n, a := count(u.ID); n < chatBurst || n > chatBurst+3 || a.status != 429 || a.Parameters.RetryAfter != 1 {
		t.Errorf("private: %d, %+v", n, a)
	}
	if n, a := count(g.ID); n != groupPerMinute || a.status != 429 || a.Parameters.RetryAfter < 50 {
		t.Errorf("group: %d, %+v", n, a)
	}
	if p := s.Pace(); p.MostPerMinute < groupPerMinute || p.OverInChat[u.ID] == 0 || len(p.OverInGroup) != 0 {
		t.Errorf("%+v", p)
	}
}

func TestViolationsAreRecorded(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1, "Ada")
	if a := post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "x", "colour": "red"}); !a.OK {
		t.Fatal("Telegram ignores what it does not know:", a)
	}
	if v := s.Violations(); len(v) != 1 || v[0].Err.Error() != "spec: sendMessage: unknown colour" {
		t.Fatalf("%v", v)
	}
	c, err := s.WaitSent(soon(t), u.ID, func(c Call) bool { return c.Params["text"] == "x" })
	if err != nil || c.Method != "sendMessage" || c.Message == nil {
		t.Fatal(c, err)
	}
}

// What a bot did wrong is told from what people did meanwhile.
func TestMistakes(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1, "Ada")
	for _, fine := range []object{{"chat_id": u.ID, "text": "x"}, {"chat_id": 99, "text": "x"}, {"chat_id": u.ID, "text": "x", "reply_parameters": object{"message_id": 99}}} {
		post(t, s, "sendMessage", fine)
	}
	post(t, s, "editMessageText", object{"chat_id": u.ID, "message_id": 99, "text": "x"})
	if err := s.Block(u.ID, true); err != nil {
		t.Fatal(err)
	}
	post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "x"})
	if m := s.Mistakes(); len(m) != 0 {
		t.Fatal(m)
	}
	if err := s.Block(u.ID, false); err != nil {
		t.Fatal(err)
	}
	for _, wrong := range []object{
		{"chat_id": u.ID, "text": strings.Repeat("x", 4097)}, {"chat_id": u.ID, "text": " "}, {"chat_id": u.ID, "text": "*", "parse_mode": "MarkdownV2"},
		{"chat_id": u.ID, "text": "x", "reply_markup": buttons(object{"text": "b", "callback_data": strings.Repeat("d", 65)})},
		{"chat_id": u.ID, "text": "x", "colour": "red"},
	} {
		post(t, s, "sendMessage", wrong)
	}
	if m := s.Mistakes(); len(m) != 5 || !strings.HasPrefix(m[0].String(), "sendMessage to chat 1: spec: ") || !strings.HasPrefix(m[4].String(), "sendMessage to chat 1: Bad Request: ") {
		t.Fatal(m)
	}
}
