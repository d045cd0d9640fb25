package outbox

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"
	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/postgres"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMessageArrivesAsItWasPut(t *testing.T) {
	r := newRig(t)
	want := bot.Message{
		ChatID: 7, ThreadID: 3, Text: "bold 🙂", Silent: true,
		Entities: []models.MessageEntity{{Type: models.MessageEntityTypeBold, Offset: 0, Length: 4}},
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "Top up", CallbackData: "topup"}}}},
	}
	for range 2 {
		if _, err := r.box.Put(t.Context(), Post{Name: "one", Message: want}); err != nil {
			t.Fatal(err)
		}
	}
	r.courier(claimLife)
	testenv.Until(r.t, "it is noted", func() bool { return r.states()["sent"] == 1 })
	if diff := cmp.Diff([]bot.Message{want}, r.post.sent); diff != "" {
		t.Error(diff)
	}
	if added, err := r.box.Put(t.Context(), Post{Name: "one", Message: want}); added != 0 || err != nil {
		t.Errorf("put again after it was sent: %d, %v", added, err)
	}
	var kept int
	if err := r.pool.QueryRow(t.Context(), `select count(*) from outbox where message is not null`).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("the words of %d sent messages are kept (%v)", kept, err)
	}
}

func TestPostsThatAreNone(t *testing.T) {
	r := newRig(t)
	fine := bot.Message{ChatID: 7, Text: "x"}
	for name, p := range map[string]Post{
		"no name":     {Message: fine},
		"long name":   {Name: strings.Repeat("ж", nameMost+1), Message: fine},
		"no chat":     {Name: "n", Message: bot.Message{Text: "x"}},
		"no words":    {Name: "n", Message: bot.Message{ChatID: 7, Text: " \x00\n"}},
		"no text":     {Name: "n", Message: bot.Message{ChatID: 7, Text: "\xff"}},
		"a file":      {Name: "n", Message: bot.Message{ChatID: 7, Text: "x", Photo: &bot.File{}}},
		"a book":      {Name: "n", Message: bot.Message{ChatID: 7, Text: strings.Repeat("x", messageMost)}},
		"a good name": {Name: strings.Repeat("ж", nameMost), Message: bot.Message{ChatID: 7, Text: "a\x00b"}},
	} {
		if _, err := r.box.Put(t.Context(), p); errors.Is(err, ErrPost) == (name == "a good name") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A name that somebody chose stands for what they wished with it, also once it was sent.
func TestWishes(t *testing.T) {
	r := newRig(t)
	ask := func(text, wish string) (int, error) {
		sum := sha256.Sum256([]byte(wish))
		return r.box.Put(t.Context(), Post{Name: "chosen", Message: bot.Message{ChatID: 7, Text: text}, Wish: sum[:]})
	}
	if added, err := ask("one", "this"); added != 1 || err != nil {
		t.Fatal(added, err)
	}
	for range 2 {
		if added, err := ask("another", "this"); added != 0 || err != nil {
			t.Errorf("the same wish: %d, %v", added, err)
		}
		if added, err := ask("one", "that"); added != 0 || !errors.Is(err, ErrWish) {
			t.Errorf("another wish: %d, %v", added, err)
		}
		if len(r.post.texts()) == 0 {
			r.courier(claimLife)
			testenv.Until(r.t, "it is noted", func() bool { return r.states()["sent"] == 1 })
		}
	}
	wished := Post{Name: "together", Message: bot.Message{ChatID: 7, Text: "x"}, Wish: make([]byte, sha256.Size)}
	if _, err := r.box.Put(t.Context(), wished, Post{Name: "other", Message: wished.Message}); !errors.Is(err, ErrPost) {
		t.Errorf("beside another: %v", err)
	}
}

// A message is put together with what it tells, or not at all.
func TestPutInATransaction(t *testing.T) {
	r := newRig(t)
	failed := errors.New("no")
	for _, err := range []error{failed, nil} {
		got := postgres.InTx(t.Context(), r.pool, func(tx pgx.Tx) error {
			if _, err := r.box.PutIn(t.Context(), tx, Post{Name: "one", Message: bot.Message{ChatID: 7, Text: "x"}}); err != nil {
				return err
			}
			return err
		})
		if !errors.Is(got, err) {
			t.Fatal(got)
		}
		if n := r.states()["waiting"]; (n == 1) != (err == nil) {
			t.Errorf("%d wait after %v", n, err)
		}
	}
}

// Several couriers, some of which are slow: each message once, each chat's in order.
func TestCouriersSideBySide(t *testing.T) {
	r := newRig(t)
	var inChat sync.Map
	r.post.answer = func(_ context.Context, m bot.Message) error {
		if _, busy := inChat.LoadOrStore(m.ChatID, true); busy {
			t.Errorf("two messages into chat %d at once", m.ChatID)
		}
		time.Sleep(time.Millisecond)
		inChat.Delete(m.ChatID)
		return nil
	}
	const chats, each = 12, 8
	var posts []Post
	for i := range chats * each {
		chat := int64(1 + i%chats)
		posts = append(posts, Post{Name: fmt.Sprint(i), Message: bot.Message{ChatID: chat, Text: fmt.Sprintf("%d %02d", chat, i/chats)}})
	}
	if added, err := r.box.Put(t.Context(), posts...); added != len(posts) || err != nil {
		t.Fatal(added, err)
	}
	for range 3 {
		r.courier(claimLife)
	}
	testenv.Until(r.t, "all are noted", func() bool { return r.states()["sent"] == chats*each })
	texts := r.post.texts()
	if len(texts) != chats*each {
		t.Errorf("%d messages sent, want %d", len(texts), chats*each)
	}
	for chat := range chats {
		var mine []string
		for _, text := range texts {
			if strings.HasPrefix(text, fmt.Sprint(chat+1)+" ") {
				mine = append(mine, text)
			}
		}
		if !slices.IsSorted(mine) || len(mine) != each {
			t.Errorf("chat %d: %v", chat+1, mine)
		}
	}
}

func TestWhatBecomesOfATry(t *testing.T) {
	r := newRig(t)
	var tries atomic.Int32
	r.post.answer = func(_ context.Context, m bot.Message) error {
		switch m.Text {
		case "blocked":
			return &bot.APIError{Code: 403, Description: "Forbidden: bot was blocked by the user"}
		case "refused":
			return &bot.APIError{Code: 400, Description: "Bad Request: message is too long"}
		case "flooded":
			if tries.Add(1) == 1 {
				return &bot.APIError{Code: 429, RetryAfter: 50 * time.Millisecond}
			}
		}
		return nil
	}
	for i, text := range []string{"blocked", "refused", "flooded", "fine"} {
		r.put(text, int64(i+1), text)
	}
	if _, err := r.box.Put(t.Context(),
		Post{Name: "late", Message: bot.Message{ChatID: 8, Text: "late"}, Expires: time.Now().Add(-time.Second)},
		Post{Name: "early", Message: bot.Message{ChatID: 9, Text: "early"}, Due: time.Now().Add(time.Hour)},
	); err != nil {
		t.Fatal(err)
	}
	r.courier(claimLife)
	want := map[string]int{"blocked": 1, "failed": 1, "sent": 2, "expired": 1, "waiting": 1}
	testenv.Until(r.t, "all but the early one ended", func() bool { return cmp.Equal(r.states(), want) })
	if texts := r.post.texts(); len(texts) != 2 {
		t.Errorf("sent: %v", texts)
	}
	var claims int
	if err := r.pool.QueryRow(t.Context(), `select claims from outbox where name = 'flooded'`).Scan(&claims); err != nil || claims != 1 {
		t.Errorf("%d claims of a message that was put off once and sent once (%v)", claims, err)
	}
}

// A courier that dies after sending: the message is claimed again when its claim has run
// out, sent again, and counted as such.
func TestClaimsRunOut(t *testing.T) {
	r := newRig(t)
	r.put("one", 7, "x")
	const hold = 300 * time.Millisecond
	died, err := r.box.claim(t.Context(), 1, hold)
	if err != nil || len(died) != 1 {
		t.Fatal(died, err)
	}
	if others, err := r.box.claim(t.Context(), 10, hold); err != nil || len(others) != 0 {
		t.Fatalf("claimed by another: %v, %v", others, err)
	}
	r.courier(hold)
	testenv.Until(r.t, "it is sent", func() bool { return r.states()["sent"] == 1 })
	var claims int
	if err := r.pool.QueryRow(t.Context(), `select claims from outbox`).Scan(&claims); err != nil || claims != 2 {
		t.Errorf("%d claims (%v)", claims, err)
	}
	// The first comes back to life and puts it off: too late.
	if err := r.box.note(t.Context(), []outcome{{id: died[0].id, claims: died[0].claims, state: stateWaiting}}); err != nil {
		t.Fatal(err)
	}
	if n := r.states()["sent"]; n != 1 {
		t.Error("what was sent waits again")
	}
}

// When it is told to stop, a courier lets what is on its way arrive and notes it.
func TestCourierStopsInOrder(t *testing.T) {
	r := newRig(t)
	begun, release := make(chan struct{}, 1), make(chan struct{})
	r.post.answer = func(ctx context.Context, _ bot.Message) error {
		begun <- struct{}{}
		<-release
		return ctx.Err()
	}
	r.put("one", 7, "x")
	stop := r.courier(claimLife)
	<-begun
	time.AfterFunc(50*time.Millisecond, func() { close(release) })
	stop()
	if n := r.states()["sent"]; n != 1 {
		t.Errorf("states: %v", r.states())
	}
}

func TestForget(t *testing.T) {
	r := newRig(t)
	r.put("old", 7, "x")
	r.put("new", 8, "x")
	r.courier(claimLife)
	testenv.Until(r.t, "both are sent", func() bool { return r.states()["sent"] == 2 })
	r.put("waiting", 9, "x")
	if _, err := r.pool.Exec(t.Context(), `update outbox set ended_at = now() - interval '31 days' where name = 'old'`); err != nil {
		t.Fatal(err)
	}
	if err := r.box.Forget(t.Context(), 30*24*time.Hour); err != nil {
		t.Fatal(err)
	}
	var left int
	if err := r.pool.QueryRow(t.Context(), `select count(*) from outbox where name <> 'old'`).Scan(&left); err != nil || left != 2 {
		t.Errorf("%d left (%v)", left, err)
	}
	if _, err := r.box.Put(t.Context(), Post{Name: "old", Message: bot.Message{ChatID: 7, Text: "x"}}); err != nil {
		t.Error(err)
	}
}

// A document goes with its words, is kept until then and not longer; what is too large, or
// could not be sent, is refused at once.
func TestDocument(t *testing.T) {
	r := newRig(t)
	failed := make(chan struct{}, 1)
	tries := 0
	r.post.answer = func(context.Context, bot.Message) error {
		if tries++; tries == 1 { // by one courier, one at a time
			failed <- struct{}{}
			return &bot.APIError{Code: http.StatusTooManyRequests, RetryAfter: time.Millisecond}
		}
		return nil
	}
	content := bytes.Repeat([]byte("a,b\n"), 1000)
	if _, err := r.box.Put(t.Context(), Post{Name: "file", Message: bot.Message{ChatID: 7, Text: "yours", Document: &bot.File{Name: "usage.csv", Data: content}}}); err != nil {
		t.Fatal(err)
	}
	for what, m := range map[string]bot.Message{
		"nothing in it": {ChatID: 7, Text: "x", Document: &bot.File{Name: "a.csv"}},
		"no name":       {ChatID: 7, Text: "x", Document: &bot.File{Data: content}},
		"too large":     {ChatID: 7, Text: "x", Document: &bot.File{Name: "a.csv", Data: make([]byte, fileMost+1)}},
		"long caption":  {ChatID: 7, Text: strings.Repeat("😀", captionMost/2+1), Document: &bot.File{Name: "a.csv", Data: content}},
		"a picture":     {ChatID: 7, Text: "x", Photo: &bot.File{Name: "a.png", Data: content}},
	} {
		if _, err := r.box.Put(t.Context(), Post{Name: what, Message: m}); !errors.Is(err, ErrPost) {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.courier(claimLife)
	<-failed
	testenv.Until(r.t, "it is sent", func() bool { return r.states()["sent"] == 1 })
	r.post.mu.Lock()
	defer r.post.mu.Unlock()
	if m := r.post.sent[0]; len(r.post.sent) != 1 || m.Text != "yours" || m.Document == nil || m.Document.Name != "usage.csv" || !bytes.Equal(m.Document.Data, content) {
		t.Errorf("sent %+v", r.post.sent)
	}
	var kept int
	if err := r.pool.QueryRow(t.Context(), `select count(*) from outbox where file is not null or message is not null`).Scan(&kept); err != nil || kept != 0 {
		t.Errorf("%d are kept, %v", kept, err)
	}
}
