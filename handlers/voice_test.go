package handlers

import (
	"context"
	"errors"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/cache"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/internal/testenv"
)

// loaded are the bot's texts, once for all tests: nothing changes them.
var loaded = sync.OnceValues(texts.Load)

// book are the bot's texts.
func book(t *testing.T) *texts.Book {
	t.Helper()
	b, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func english(t *testing.T) texts.Voice { return book(t).Voice(texts.English) }

// sayIn sends a message from somebody whose Telegram speaks a language.
func (r *rig) sayIn(language, text string) {
	r.t.Helper()
	r.updates++
	r.handle(r.from("Ada", language, text))
}

// TestLanguageOfAnswers: it is the chosen one, else Telegram's, else English.
func TestLanguageOfAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := func(code string) {
		t.Helper()
		r.heard(`^` + regexp.QuoteMeta(book(t).Voice(code).Say("balance.now", "amount", hall.Dollars(welcomeNano))) + `$`)
	}
	for _, code := range texts.Languages() {
		r.sayIn(code, "/balance")
		want(code)
	}
	for _, tag := range []string{"", "xx", "de-CH"} {
		r.sayIn(tag, "/balance")
		want(texts.English)
	}
	r.sayIn("pt-br", "/balance")
	want("pt")
	account, err := r.desk.Accounts.ByTelegram(t.Context(), person)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.desk.Settings.Change(t.Context(), account.ID, func(s *billing.Settings) { s.Language = "zh" }); err != nil {
		t.Fatal(err)
	}
	r.sayIn("pt-br", "/balance")
	want("zh")
	if got := r.router.VoiceOf(t.Context(), account.ID).Language(); got != "zh" {
		t.Errorf("notices speak %s", got)
	}
}

// TestSettingsReachOtherInstances: what is changed on one instance holds on another that
// had the old settings in its memory.
func TestSettingsReachOtherInstances(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	client := testenv.Redis(t)
	instance := func() *Router {
		c, err := cache.New(cache.Options{Redis: client, Log: testenv.Logger(t)})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		t.Cleanup(func() {
			stop()
			if err := errors.Join(<-ended, c.Close()); err != nil {
				t.Error(err)
			}
		})
		o := r.options
		o.Hall.Cache, o.Till.Registerer = c, prometheus.NewRegistry()
		return New(o)
	}
	here, elsewhere := instance(), instance()
	r.say("/balance")
	q := hall.Request{From: *r.message(1, "").Message.From}
	if got := elsewhere.Addressed(t.Context(), q); got.Voice.Language() != texts.English || got.Settings.HideCost {
		t.Fatalf("before: %+v", got.Settings)
	}
	q, err := here.ChangeFor(t.Context(), q, func(s *billing.Settings) { s.Language, s.HideCost = "ru", true })
	if err != nil || q.Voice.Language() != "ru" || !q.Settings.HideCost {
		t.Fatalf("changed to %+v, %v", q.Settings, err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		got := elsewhere.Addressed(t.Context(), q)
		if got.Voice.Language() == "ru" && got.Settings.HideCost {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the other instance has %+v", got.Settings)
		}
	}
}
