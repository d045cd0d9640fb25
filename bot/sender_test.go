package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestSendKeepsOrderWithinAChat(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	var flying atomic.Int32
	a.script(func(call) reply {
		if flying.Add(1) > 1 {
			t.Error("two messages into one chat at once")
		}
		time.Sleep(5 * time.Millisecond)
		flying.Add(-1)
		return reply{}
	})
	// The chat is busy while they queue up, one after another.
	if err := s.chats.acquire(context.Background(), 7); err != nil {
		t.Fatal(err)
	}
	var sent sync.WaitGroup
	for i := range privateBurst {
		sent.Go(func() {
			if _, err := s.Send(context.Background(), Message{ChatID: 7, Text: fmt.Sprint(i)}); err != nil {
				t.Error(err)
			}
		})
		testenv.Until(t, "it waits", func() bool {
			s.chats.mu.Lock()
			defer s.chats.mu.Unlock()
			return len(s.chats.turns[7].waiting) == i+1
		})
	}
	s.chats.release(7)
	sent.Wait()
	if got := strings.Join(a.texts("sendMessage"), ""); got != "01234" {
		t.Errorf("order %s", got)
	}
	if len(s.chats.turns) != 0 {
		t.Error("a turn is left behind")
	}
}

func TestWaitingMessagesAreBounded(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	if err := s.chats.acquire(context.Background(), 7); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var waiting sync.WaitGroup
	for range waitingMost {
		waiting.Go(func() {
			if _, err := s.Send(ctx, Message{ChatID: 7, Text: "x"}); !errors.Is(err, context.Canceled) {
				t.Errorf("Send: %v", err)
			}
		})
	}
	testenv.Until(t, "all wait", func() bool {
		s.chats.mu.Lock()
		defer s.chats.mu.Unlock()
		return len(s.chats.turns[7].waiting) == waitingMost
	})
	if _, err := s.Send(ctx, Message{ChatID: 7, Text: "x"}); !errors.Is(err, ErrTryLater) {
		t.Errorf("one too many: %v", err)
	}
	cancel()
	waiting.Wait()
	s.chats.release(7)
	if len(s.chats.turns) != 0 {
		t.Error("a turn is left behind")
	}
}

func TestFloodPausesOnlyItsChat(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	var once sync.Once
	a.script(func(c call) (out reply) {
		if c.chat() == 7 {
			once.Do(func() { out = refusal(429, "Too Many Requests: retry after 3", `"retry_after":3`) })
		}
		return out
	})
	done := make(chan error, 1)
	started := time.Now()
	go func() {
		_, err := s.Send(context.Background(), Message{ChatID: 7, Text: "held up"})
		done <- err
	}()
	testenv.Until(t, "the chat is paused", func() bool { return s.chats.rest(7) > 0 })
	for chat := range int64(5) {
		if _, err := s.Send(context.Background(), Message{ChatID: 100 + chat, Text: "passes"}); err != nil {
			t.Error(err)
		}
	}
	select {
	case <-done:
		t.Fatalf("other chats waited %v", time.Since(started))
	default:
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if took := time.Since(started); took < 3*time.Second || took > patience {
		t.Errorf("sent after %v, want 3 s", took)
	}
}

// Where the context would end first, waiting is pointless: the update comes back later.
func TestLongFloodIsReturnedAtOnce(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(call) reply { return refusal(429, "Too Many Requests: retry after 30", `"retry_after":30`) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	started := time.Now()
	_, err := s.Send(ctx, Message{ChatID: 7, Text: "x"})
	var api *APIError
	if !errors.As(err, &api) || api.Code != 429 || api.RetryAfter != 30*time.Second || !errors.Is(err, ErrTryLater) {
		t.Errorf("Send: %v", err)
	}
	if _, err := s.Send(ctx, Message{ChatID: 7, Text: "y"}); !errors.Is(err, ErrTryLater) {
		t.Errorf("Send while paused: %v", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
	if n := len(a.made()); n != 1 {
		t.Errorf("%d calls during the pause, want 1", n)
	}
}

func TestPassingFailuresAreRepeated(t *testing.T) {
	for name, fault := range map[string]reply{
		"500":                {status: 500, body: `{"ok":false,"error_code":500,"description":"Internal Server Error"}`},
		"502 with HTML":      {status: 502, body: "<html><h1>502 Bad Gateway</h1>" + testToken + "</html>"},
		"200 with HTML":      {status: 200, body: "<html>captive portal</html>"},
		"nothing in time":    {wait: make(chan struct{})},
		"a cut-off document": {status: 200, body: `{"ok":true,"result":{"messa`},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			s := a.sender()
			client, err := NewClient(testToken, a.url, &http.Client{Transport: a.client.Transport, Timeout: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			s.client = client
			var tries atomic.Int32
			a.script(func(call) reply {
				if tries.Add(1) < callTries {
					return fault
				}
				return reply{}
			})
			if _, err := s.Send(context.Background(), Message{ChatID: 7, Text: "x"}); err != nil {
				t.Errorf("after %d tries: %v", tries.Load(), err)
			}
			tries.Store(-100)
			_, err = s.Send(context.Background(), Message{ChatID: 8, Text: "x"})
			if !errors.Is(err, ErrTryLater) {
				t.Errorf("Send: %v", err)
			}
			if n := tries.Load() + 100; n != callTries {
				t.Errorf("%d tries, want %d", n, callTries)
			}
			if strings.Contains(fmt.Sprintf("%+v", err), "SECRET") || strings.Contains(err.Error(), "html") {
				t.Errorf("the error tells too much: %v", err)
			}
		})
	}
}

func TestErrorsHideTheToken(t *testing.T) {
	client, err := NewClient(testToken, "http://127.0.0.1:1", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, err = WebhookInfo(context.Background(), client)
	if err == nil || strings.Contains(err.Error(), "SECRET") || strings.Contains(err.Error(), "127.0.0.1:1/") {
		t.Errorf("WebhookInfo: %v", err)
	}
	p := NewPoller(PollerOptions{Token: testToken, ServerURL: "http://127.0.0.1:1"})
	_, polled := p.fetch(context.Background(), 0)
	p = NewPoller(PollerOptions{Token: testToken, ServerURL: "http://127.0.0.1:port"})
	_, unfit := p.fetch(context.Background(), 0)
	for _, err := range []error{err, polled, unfit} {
		if err == nil {
			t.Error("a call to nowhere succeeded")
		}
		for ; err != nil; err = errors.Unwrap(err) {
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("within: %v", err)
			}
		}
	}
}

func TestBlockedChatsAreRemembered(t *testing.T) {
	for name, fault := range map[string]reply{
		"blocked": refusal(403, "Forbidden: bot was blocked by the user"),
		"unknown": refusal(400, "Bad Request: chat not found"),
	} {
		t.Run(name, func(t *testing.T) {
			a := newAPI(t)
			s := a.sender()
			a.script(func(call) reply { return fault })
			for range 3 {
				if _, err := s.Send(context.Background(), Message{ChatID: 7, Text: "x"}); !errors.Is(err, ErrBlocked) {
					t.Errorf("Send: %v", err)
				}
			}
			if n := len(a.made()); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
			s.Heard(7)
			a.script(nil)
			if _, err := s.Send(context.Background(), Message{ChatID: 7, Text: "x"}); err != nil {
				t.Errorf("after something came from the chat: %v", err)
			}
		})
	}
}

func TestRefusalsAreFinal(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(call) reply { return refusal(400, "Bad Request: message text is empty") })
	_, err := s.Send(context.Background(), Message{ChatID: 7, Text: "x"})
	var api *APIError
	if !errors.As(err, &api) || api.Code != 400 || errors.Is(err, ErrTryLater) || errors.Is(err, ErrBlocked) {
		t.Errorf("Send: %v", err)
	}
	if n := len(a.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	if _, err := s.Send(context.Background(), Message{ChatID: 7, Text: " \n"}); err == nil {
		t.Error("a message of white space was sent")
	}
}

func TestEntitiesThatDoNotParseAreDropped(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.params["entities"] != "" {
			return refusal(400, "Bad Request: can't parse entities: unexpected end")
		}
		return reply{}
	})
	m := Message{ChatID: 7, Text: "bold", Entities: []models.MessageEntity{{Type: models.MessageEntityTypeBold, Offset: 0, Length: 4}}}
	if _, err := s.Send(context.Background(), m); err != nil {
		t.Error(err)
	}
	if err := s.Edit(context.Background(), 5, m); err != nil {
		t.Error(err)
	}
	if n := len(a.made()); n != 4 {
		t.Errorf("%d calls, want 4", n)
	}
}

func TestGroupThatBecameASupergroup(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(c call) reply {
		if c.chat() == -7 {
			return refusal(400, "Bad Request: group chat was upgraded", `"migrate_to_chat_id":-1007`)
		}
		return reply{}
	})
	if _, err := s.Send(context.Background(), Message{ChatID: -7, Text: "x"}); err != nil {
		t.Error(err)
	}
	if made := a.made(); len(made) != 2 || made[1].chat() != -1007 {
		t.Errorf("calls: %+v", made)
	}
}

func TestLongMessageKeepsEntitiesAndKeyboard(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	text := strings.Repeat("a", 4000) + "\n\n" + strings.Repeat("🙂", 50) + "bold"
	id, err := s.Send(context.Background(), Message{
		ChatID: 7, ThreadID: 3, Text: text, ReplyTo: 9, Silent: true,
		Entities: []models.MessageEntity{{Type: models.MessageEntityTypeBold, Offset: format.Units(text) - 4, Length: 4}},
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "b", CallbackData: "c"}}}},
	})
	if err != nil || id != 2 {
		t.Fatalf("id %d, %v", id, err)
	}
	made := a.made("sendMessage")
	if len(made) != 2 {
		t.Fatalf("%d messages", len(made))
	}
	first, last := made[0].params, made[1].params
	if first["reply_markup"] != "" || first["reply_parameters"] == "" || first["entities"] != "" || first["message_thread_id"] != "3" {
		t.Errorf("first: %v", first["reply_markup"])
	}
	if last["reply_markup"] == "" || last["reply_parameters"] != "" || !strings.Contains(last["entities"], `"offset":100,"length":4`) {
		t.Errorf("last: %+v", last)
	}
}

func TestEdit(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	a.script(func(call) reply { return refusal(400, "Bad Request: message is not modified") })
	if err := s.Edit(context.Background(), 5, Message{ChatID: 7, Text: "same"}); err != nil {
		t.Error(err)
	}
	if c := a.made("editMessageText"); len(c) != 1 || c[0].params["message_id"] != "5" {
		t.Errorf("calls: %+v", c)
	}
}

func TestAnswerCallback(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	if err := s.AnswerCallback(context.Background(), "q1", strings.Repeat("ж", 300)); err != nil {
		t.Error(err)
	}
	if got := a.made()[0].params["text"]; got != strings.Repeat("ж", callbackTextMax) {
		t.Errorf("text of %d bytes", len(got))
	}
	a.script(func(call) reply {
		return refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
	})
	if err := s.AnswerCallback(context.Background(), "q1", ""); err != nil {
		t.Error(err)
	}
}

func TestTyping(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	if err := s.Typing(context.Background(), 7, 3); err != nil {
		t.Error(err)
	}
	s.chats.pause(7, time.Minute)
	if err := s.Typing(context.Background(), 7, 3); err != nil {
		t.Error(err)
	}
	if n := len(a.made("sendChatAction")); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
}
