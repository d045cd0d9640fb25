package main

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/texts"
)

// TestMenusAreShown: a server that starts shows its menus, in each language, and puts
// them right where another version changed them.
func TestMenusAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const admin = 4711
	s.telegram.User(admin, "Grace")
	if _, err := s.telegram.StartBot(admin, ""); err != nil {
		t.Fatal(err)
	}
	s.env["ADMIN_TELEGRAM_IDS"] = "4711"
	client, err := bot.NewClient(simToken, s.telegram.URL(), s.client)
	if err != nil {
		t.Fatal(err)
	}
	old := []models.BotCommand{{Command: "old", Description: "Of an earlier version"}}
	if err := bot.SetMenus(t.Context(), client, bot.Menu{Commands: old}, bot.Menu{Scope: &models.BotCommandScopeAllPrivateChats{}, Commands: old}); err != nil {
		t.Fatal(err)
	}
	menu := func(scope models.BotCommandScope, language string) map[string]string {
		list, err := client.GetMyCommands(t.Context(), &tg.GetMyCommandsParams{Scope: scope, LanguageCode: language})
		if err != nil {
			t.Fatal(err)
		}
		words := map[string]string{}
		for _, c := range list {
			words[c.Command] = c.Description
		}
		return words
	}
	s.serve()
	s.until(20*time.Second, "shown to the admin, which is last", func() bool {
		return menu(&models.BotCommandScopeChat{ChatID: admin}, "")["broadcast"] != ""
	})
	if everywhere := menu(nil, ""); len(everywhere) != 0 {
		t.Errorf("the earlier version's menu is still there: %v", everywhere)
	}
	book, err := texts.Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, language := range texts.Languages() {
		asked := language
		if language == texts.English {
			asked = ""
		}
		private := menu(&models.BotCommandScopeAllPrivateChats{}, asked)
		if private["balance"] != book.Voice(language).Say("menu.balance") || private["broadcast"] != "" || private["old"] != "" {
			t.Errorf("%s: %v", language, private)
		}
	}
}

// TestOpens: only a Telegram on this machine opens what is served without TLS, and only here.
func TestOpens(t *testing.T) {
	const genuine, simulated = "https://api.telegram.org", "http://127.0.0.1:8081"
	for _, test := range []struct {
		public, telegram string
		want             bool
	}{
		{"https://kikuai.example", genuine, true},
		{"http://kikuai.example", genuine, false},
		{"http://127.0.0.1:8080", genuine, false},
		{"http://127.0.0.1:8080", simulated, true},
		{"http://localhost:8080", "http://[::1]:8081", true},
		{"http://kikuai.example", simulated, false},
		{"http://127.0.0.1.example", simulated, false},
		{"", simulated, false},
	} {
		if got := opens(test.public, test.telegram); got != test.want {
			t.Errorf("%s opens %s: %t", test.telegram, test.public, got)
		}
	}
}

// TestMiniAppIsAskedFor: the menu button opens it where it is served, and nowhere else.
func TestMiniAppIsAskedFor(t *testing.T) {
	served := false
	web := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !served || r.URL.Path != "/webapp/" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer web.Close()
	if app := miniApp(t.Context(), web.Client(), web.URL, "https://api.telegram.org"); app != "" {
		t.Errorf("found %q where nothing is served", app)
	}
	served = true
	if app := miniApp(t.Context(), web.Client(), web.URL, "https://api.telegram.org"); app != web.URL+"/webapp/" {
		t.Errorf("found %q", app)
	}
	if app := miniApp(t.Context(), web.Client(), "http://"+web.Listener.Addr().String(), "https://api.telegram.org"); app != "" {
		t.Errorf("%q is no address for Telegram", app)
	}
	web.Close()
	if app := miniApp(t.Context(), web.Client(), web.URL, "https://api.telegram.org"); app != "" {
		t.Errorf("found %q where nobody answers", app)
	}
}
