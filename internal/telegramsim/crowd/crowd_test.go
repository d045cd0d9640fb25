package crowd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const token = "7000000001:test-secret"

func TestMain(m *testing.M) { testenv.Main(m) }

// parrot is a bot that answers each message with its text, and misbehaves where it is told to.
type parrot struct {
	t    *testing.T
	sim  *telegramsim.Server
	say  func(p *parrot, chat int64, i int, text string) // what it does with message i of a chat
	mu   sync.Mutex
	kept map[int64]string
}

func (p *parrot) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Error(err)
	}
	chat, text := gjson.GetBytes(body, "message.chat.id").Int(), gjson.GetBytes(body, "message.text").String()
	p.say(p, chat, Marks(chat, text)[0], text)
	w.WriteHeader(http.StatusOK)
}

// call calls a method of the Bot API until it is carried out.
func (p *parrot) call(method string, params url.Values) {
	for {
		response, err := http.PostForm(p.sim.URL()+"/bot"+token+"/"+method, params)
		if err != nil {
			p.t.Error(err)
			return
		}
		_ = response.Body.Close()
		if response.StatusCode == http.StatusOK || response.StatusCode == http.StatusBadRequest {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (p *parrot) send(chat int64, text string) {
	p.call("sendMessage", url.Values{"chat_id": {fmt.Sprint(chat)}, "text": {text}})
}

// flock runs a crowd against a parrot.
func flock(t *testing.T, o Options, faults telegramsim.Faults, say func(*parrot, int64, int, string)) *Result {
	t.Helper()
	sim, err := telegramsim.Start(telegramsim.Options{Token: token, Faults: faults, RetryScale: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	p := &parrot{t: t, sim: sim, say: say, kept: map[int64]string{}}
	hook := httptest.NewServer(p)
	t.Cleanup(func() {
		if err := sim.Close(); err != nil {
			t.Error(err)
		}
		hook.Close()
		http.DefaultClient.CloseIdleConnections()
	})
	if err := sim.SetWebhook(hook.URL, "", 0); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := Run(ctx, sim, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func echo(p *parrot, chat int64, _ int, text string) { p.send(chat, text) }

func TestWell(t *testing.T) {
	r := flock(t, Options{Chats: 5, Each: 4}, telegramsim.Faults{}, func(p *parrot, chat int64, i int, text string) {
		p.call("sendChatAction", url.Values{"chat_id": {fmt.Sprint(chat)}, "action": {"typing"}})
		p.call("sendMessageDraft", url.Values{"chat_id": {fmt.Sprint(chat)}, "draft_id": {fmt.Sprint(i + 1)}})
		p.send(chat, text)
	})
	if !r.Kept() || r.Duplicated+r.Together+r.Violations != 0 || r.Acknowledged.Count != 20 || r.FirstFrame.Count != 20 || r.Final.Count != 20 {
		t.Errorf("%+v", r)
	}
	if r.FirstFrame.P50 > r.Final.P50 || r.FirstFrame.P50 <= 0 {
		t.Errorf("first %s, final %s", r.FirstFrame.P50, r.Final.P50)
	}
}

// Each way to fail is seen, and counted once.
func TestFailings(t *testing.T) {
	short := Options{Chats: 3, Each: 4, Wait: 300 * time.Millisecond}
	lost := flock(t, short, telegramsim.Faults{}, func(p *parrot, chat int64, i int, text string) {
		if i != 2 {
			p.send(chat, text)
		} else {
			p.send(chat, "Something went wrong.")
		}
	})
	if lost.Lost != 3 || lost.Kept() || lost.Reordered+lost.Duplicated != 0 {
		t.Errorf("lost: %+v", lost)
	}
	repeated := flock(t, short, telegramsim.Faults{}, func(p *parrot, chat int64, i int, text string) {
		p.send(chat, text)
		if i == 1 {
			p.send(chat, text)
			p.send(chat, text)
		}
	})
	if repeated.Duplicated != 6 || !repeated.Kept() {
		t.Errorf("repeated: %+v", repeated)
	}
	swapped := flock(t, short, telegramsim.Faults{}, func(p *parrot, chat int64, i int, text string) {
		p.mu.Lock()
		before := p.kept[chat]
		p.kept[chat] = text
		p.mu.Unlock()
		if i%2 == 1 {
			p.send(chat, text)
			p.send(chat, before)
		}
	})
	if swapped.Reordered != 6 || swapped.Kept() || swapped.Lost+swapped.Duplicated != 0 {
		t.Errorf("swapped: %+v", swapped)
	}
	merged := flock(t, short, telegramsim.Faults{}, func(p *parrot, chat int64, i int, text string) {
		p.mu.Lock()
		before := p.kept[chat]
		p.kept[chat] = text
		p.mu.Unlock()
		if i%2 == 1 {
			p.send(chat, before+"\n\n"+text)
		}
	})
	if merged.Together != 12 || !merged.Kept() || merged.Duplicated != 0 {
		t.Errorf("merged: %+v", merged)
	}
}

// A bot that is not patient is told apart from a Telegram that is strict.
func TestTooMany(t *testing.T) {
	r := flock(t, Options{Chats: 1, Each: 14}, telegramsim.Faults{EnforcePace: true}, echo)
	if r.TooMany.Caused < 1 || r.TooMany.Ignored < 1 || r.TooMany.Injected != 0 || !r.Kept() {
		t.Errorf("%+v", r.TooMany)
	}
	r = flock(t, Options{Chats: 20, Each: 5}, telegramsim.Faults{TooManyPercent: 20, BadGatewayPercent: 20, Seed: 1}, echo)
	if r.TooMany.Injected < 1 || r.TooMany.Caused != 0 || r.BadGateways < 1 || !r.Kept() {
		t.Errorf("%+v, %d", r.TooMany, r.BadGateways)
	}
}

func TestRefusals(t *testing.T) {
	r := flock(t, Options{Chats: 1, Each: 2, Answers: Any}, telegramsim.Faults{}, func(p *parrot, chat int64, _ int, _ string) {
		p.send(chat, strings.Repeat("x", 4097))
		p.send(chat, "an answer that repeats nothing")
	})
	if r.Refused["Bad Request: message is too long"] != 2 || !r.Kept() || r.Final.Count != 2 {
		t.Errorf("%+v", r)
	}
}

func TestOptions(t *testing.T) {
	for _, o := range []Options{{}, {Chats: 1}, {Chats: 1, Each: 1, Answers: "none"}, {Chats: 1, Each: 1, Rate: -1}} {
		if _, err := Run(t.Context(), nil, o); !errors.Is(err, ErrOptions) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func TestMarks(t *testing.T) {
	text := "> quoted\n" + Mark(5, 3) + "\n\nmessage in a bottle, " + Mark(6, 9) + Mark(5, 12) + "message 1 of 5"
	if got := Marks(5, text); !reflect.DeepEqual(got, []int{3, 12}) {
		t.Error(got)
	}
}

func TestResultAsText(t *testing.T) {
	r := &Result{Chats: 2, Messages: 4, FirstFrame: Spread{P50: Millis(1500 * time.Microsecond)}, Refused: map[string]int{"Bad Request: x": 2}, Kills: 3, Violations: 1}
	raw, err := json.Marshal(r)
	var back Result
	if err != nil || json.Unmarshal(raw, &back) != nil || !reflect.DeepEqual(*r, back) {
		t.Errorf("%s: %+v, %v", raw, back, err)
	}
	for _, want := range []string{"p50 1.5ms", "2× Bad Request: x", "kills            3"} {
		if !strings.Contains(r.String(), want) {
			t.Errorf("no %q in\n%s", want, r)
		}
	}
}
