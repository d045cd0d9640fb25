package doctor

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestTelegram(t *testing.T) {
	t.Parallel()
	const token = "424242:simulated-bot-token-of-thirty-five-ch"
	sim, err := telegramsim.Start(telegramsim.Options{Token: token, Log: testenv.Logger(t), RetryScale: 0.001})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sim.Close() }()
	client, err := bot.NewClient(token, sim.URL(), bot.NewHTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ bool, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }))
	defer refuses.Close()
	commands := []models.BotCommand{{Command: "start", Description: "Begin"}, {Command: "balance", Description: "What is left"}}
	app := "https://kikuai.example/webapp/"
	c := Telegram{Client: client, Webhook: refuses.URL + "/webhook", Updates: bot.AllowedUpdates(), Commands: commands, App: func(context.Context) string { return app }, Now: time.Now}
	checks := c.Checks()

	expect(t, checks, "telegram.webhook", "fault: No webhook is set")
	expect(t, checks, "telegram.commands", "warning: lists no commands")
	expect(t, checks, "telegram.menu", "warning: opens nothing, and the Mini App is at https://kikuai.example/webapp/")

	must(client.SetWebhook(t.Context(), &tg.SetWebhookParams{URL: refuses.URL + "/elsewhere"}))
	expect(t, checks, "telegram.webhook", "fault: Telegram delivers to "+refuses.URL+"/elsewhere")
	must(client.SetWebhook(t.Context(), &tg.SetWebhookParams{URL: c.Webhook, AllowedUpdates: bot.AllowedUpdates()[1:], MaxConnections: 1}))
	expect(t, checks, "telegram.webhook", "fault: to itself: message.", "warning: at most 1 connections")
	if err := bot.SetWebhook(t.Context(), client, c.Webhook, "a-secret-of-some-length"); err != nil {
		t.Fatal(err)
	}
	expect(t, checks, "telegram.webhook", "ok: 0 updates wait")

	must(client.SetMyCommands(t.Context(), &tg.SetMyCommandsParams{Commands: commands[:1], Scope: &models.BotCommandScopeAllPrivateChats{}}))
	expect(t, checks, "telegram.commands", "warning: other commands")
	must(client.SetMyCommands(t.Context(), &tg.SetMyCommandsParams{Commands: commands, Scope: &models.BotCommandScopeAllPrivateChats{}}))
	expect(t, checks, "telegram.commands", "ok: its 2 commands")
	if err := bot.SetMenuButton(t.Context(), client, "KikuAI", app); err != nil {
		t.Fatal(err)
	}
	expect(t, checks, "telegram.menu", "ok: opens the Mini App")
	app = ""
	expect(t, checks, "telegram.menu", "warning: and the Mini App is at nothing")

	// Updates that are refused wait, and Telegram says why.
	person := sim.User(7, "Ada").ID
	say := func(times int) {
		t.Helper()
		for range times {
			if _, err := sim.Say(person, "hello"); err != nil {
				t.Fatal(err)
			}
		}
	}
	say(pendingWorth)
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		info, err := bot.WebhookInfo(t.Context(), client)
		if err != nil || time.Now().After(deadline) {
			t.Fatalf("no failed delivery: %+v, %v", info, err)
		}
		if info.LastErrorMessage != "" {
			break
		}
	}
	expect(t, checks, "telegram.webhook", "warning: 100 updates wait", "warning: A delivery failed")
	say(pendingMost - pendingWorth)
	expect(t, checks, "telegram.webhook", "fault: 1000 updates wait", "warning: A delivery failed")
	c.Now = func() time.Time { return time.Now().Add(2 * errorRecent) }
	expect(t, c.Checks(), "telegram.webhook", "fault: 1000 updates wait")

	stranger, err := bot.NewClient("424243:another-bot-token-of-thirty-five-chars", sim.URL(), bot.NewHTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	c.Client = stranger
	expect(t, c.Checks(), "telegram.bot", "fault: does not know the bot")
	for _, quiet := range []string{"webhook", "commands", "menu"} {
		expect(t, c.Checks(), "telegram."+quiet)
	}
}
