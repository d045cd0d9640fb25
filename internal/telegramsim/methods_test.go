package telegramsim

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/google/go-cmp/cmp"
)

// The official-shaped client (multipart bodies) against each method.
func TestClientMethods(t *testing.T) {
	s := start(t, Options{Username: "kiku_bot", Name: "Kiku"})
	b, ctx := client(t, s), soon(t)
	u := started(t, s, 0, "Ada")

	me, err := b.GetMe(ctx)
	if err != nil || me.ID != 7000000001 || me.Username != "kiku_bot" || !me.IsBot {
		t.Fatalf("getMe: %+v, %v", me, err)
	}
	m, err := b.SendMessage(ctx, &tg.SendMessageParams{
		ChatID: u.ID, Text: "Hello 👋 *Ada*", ParseMode: models.ParseModeMarkdown,
		ReplyMarkup: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "More", CallbackData: "more:1"}}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []models.MessageEntity{{Type: "bold", Offset: 9, Length: 3}}
	if m.Text != "Hello 👋 Ada" || m.Chat.ID != u.ID || m.From.ID != me.ID || !cmp.Equal(m.Entities, want) || len(m.ReplyMarkup.InlineKeyboard) != 1 {
		t.Fatalf("sendMessage: %+v", m)
	}
	edited, err := b.EditMessageText(ctx, &tg.EditMessageTextParams{ChatID: u.ID, MessageID: m.ID, Text: "Changed"})
	if err != nil || edited.Text != "Changed" || edited.EditDate == 0 || edited.ReplyMarkup != nil {
		t.Fatalf("editMessageText: %+v, %v", edited, err)
	}
	if _, err := b.EditMessageReplyMarkup(ctx, &tg.EditMessageReplyMarkupParams{ChatID: u.ID, MessageID: m.ID,
		ReplyMarkup: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "Copy", CopyText: &models.CopyTextButton{Text: "kk"}}}}}}); err != nil {
		t.Fatal(err)
	}
	if ok, err := b.SendChatAction(ctx, &tg.SendChatActionParams{ChatID: u.ID, Action: models.ChatActionTyping}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := b.SendMessageDraft(ctx, &tg.SendMessageDraftParams{ChatID: u.ID, DraftID: "7", Text: "Thin", CanStop: true}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if d := s.Draft(u.ID); d == nil || d.DraftID != 7 || d.Text != "Thin" || !d.CanStop {
		t.Fatalf("draft: %+v", d)
	}
	reply, err := b.SendMessage(ctx, &tg.SendMessageParams{ChatID: u.ID, Text: "final", ReplyParameters: &models.ReplyParameters{MessageID: m.ID}})
	if err != nil || reply.ReplyToMessage == nil || reply.ReplyToMessage.ID != m.ID {
		t.Fatalf("reply: %+v, %v", reply, err)
	}
	if s.Draft(u.ID) != nil {
		t.Fatal("a final message leaves the draft standing")
	}
	if ok, err := b.DeleteMessage(ctx, &tg.DeleteMessageParams{ChatID: u.ID, MessageID: reply.ID}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if v := s.Violations(); len(v) != 0 {
		t.Fatalf("violations: %v", v)
	}
}

func TestClientMenus(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	u := started(t, s, 0, "Ada")
	commands := []models.BotCommand{{Command: "help", Description: "What I can do"}}
	for _, lang := range []string{"", "de"} {
		if ok, err := b.SetMyCommands(ctx, &tg.SetMyCommandsParams{Commands: commands, Scope: &models.BotCommandScopeAllPrivateChats{}, LanguageCode: lang}); !ok || err != nil {
			t.Fatal(ok, err)
		}
	}
	got, err := b.GetMyCommands(ctx, &tg.GetMyCommandsParams{Scope: &models.BotCommandScopeAllPrivateChats{}, LanguageCode: "de"})
	if err != nil || !cmp.Equal(got, commands) {
		t.Fatalf("getMyCommands: %v, %v", got, err)
	}
	if _, err := b.DeleteMyCommands(ctx, &tg.DeleteMyCommandsParams{Scope: &models.BotCommandScopeAllPrivateChats{}, LanguageCode: "de"}); err != nil {
		t.Fatal(err)
	}
	if got, err = b.GetMyCommands(ctx, &tg.GetMyCommandsParams{Scope: &models.BotCommandScopeAllPrivateChats{}, LanguageCode: "de"}); err != nil || len(got) != 0 {
		t.Fatalf("after delete: %v, %v", got, err)
	}
	state, err := s.state(u.ID, 0, 0)
	if err != nil || len(state.Commands) != 1 {
		t.Fatalf("the page sees %v, %v", state.Commands, err)
	}
	if _, err := b.SetChatMenuButton(ctx, &tg.SetChatMenuButtonParams{ChatID: u.ID, MenuButton: models.MenuButtonWebApp{
		Type: models.MenuButtonTypeWebApp, Text: "App", WebApp: models.WebAppInfo{URL: "https://example.com/app"},
	}}); err != nil {
		t.Fatal(err)
	}
	button, err := b.GetChatMenuButton(ctx, &tg.GetChatMenuButtonParams{ChatID: u.ID})
	if err != nil || button.WebApp == nil || button.WebApp.WebApp.URL != "https://example.com/app" {
		t.Fatalf("menu button: %+v, %v", button, err)
	}
}

func TestClientWebhookSettings(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	if ok, err := b.SetWebhook(ctx, &tg.SetWebhookParams{URL: "http://127.0.0.1:1/hook", MaxConnections: 7, AllowedUpdates: []string{"message"}, SecretToken: "s"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if ok, err := b.SetWebhook(ctx, &tg.SetWebhookParams{URL: "http://127.0.0.1:1/other"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	info, err := b.GetWebhookInfo(ctx)
	if err != nil || info.URL != "http://127.0.0.1:1/other" || info.MaxConnections != 40 || !cmp.Equal(info.AllowedUpdates, []string{"message"}) {
		t.Fatalf("allowed_updates omitted must keep the previous: %+v, %v", info, err)
	}
	a := post(t, s, "getUpdates", object{})
	if a.status != 409 || a.Description != "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first" {
		t.Fatalf("getUpdates beside a webhook: %+v", a)
	}
	if ok, err := b.DeleteWebhook(ctx, &tg.DeleteWebhookParams{DropPendingUpdates: true}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if info, err = b.GetWebhookInfo(ctx); err != nil || info.URL != "" {
		t.Fatalf("after delete: %+v, %v", info, err)
	}
}

// A conversation by long polling: updates in order, callbacks answered, Stop, block.
func TestConversationByPolling(t *testing.T) {
	s := start(t, Options{})
	ctx := soon(t)
	u := s.User(0, "Ada")
	updates := make(chan *models.Update, 16)
	b := client(t, s, tg.WithDefaultHandler(func(_ context.Context, _ *tg.Bot, u *models.Update) { updates <- u }))
	polling, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { b.Start(polling); close(done) }()
	defer func() { stop(); <-done }()
	next := func() *models.Update {
		t.Helper()
		select {
		case u := <-updates:
			return u
		case <-ctx.Done():
			t.Fatal("no update came")
			return nil
		}
	}

	if _, err := s.StartBot(u.ID, "ref_7"); err != nil {
		t.Fatal(err)
	}
	got := next()
	if m := got.Message; m == nil || m.Text != "/start ref_7" || len(m.Entities) != 1 || m.Entities[0].Type != "bot_command" || m.Entities[0].Length != 6 || m.From.ID != u.ID {
		t.Fatalf("start: %+v", got.Message)
	}
	m, err := b.SendMessage(ctx, &tg.SendMessageParams{ChatID: u.ID, Text: "Choose",
		ReplyMarkup: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "A", CallbackData: "a"}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Press(u.ID, 0, int64(m.ID), "b"); !errors.Is(err, ErrButtonUnknown) {
		t.Fatal("pressed a button that is not there:", err)
	}
	if _, err := s.Press(u.ID, 0, int64(m.ID), "a"); err != nil {
		t.Fatal(err)
	}
	q := next().CallbackQuery
	if q == nil || q.Data != "a" || q.From.ID != u.ID || q.Message.Message == nil || q.Message.Message.ID != m.ID {
		t.Fatalf("callback: %+v", q)
	}
	if ok, err := b.AnswerCallbackQuery(ctx, &tg.AnswerCallbackQueryParams{CallbackQueryID: q.ID, Text: "Chosen"}); !ok || err != nil {
		t.Fatal(ok, err)
	}
	if _, err := b.AnswerCallbackQuery(ctx, &tg.AnswerCallbackQueryParams{CallbackQueryID: q.ID}); !errors.Is(err, tg.ErrorBadRequest) {
		t.Fatal("answered twice:", err)
	}
	if _, err := b.SendMessageDraft(ctx, &tg.SendMessageDraftParams{ChatID: u.ID, DraftID: "9", CanStop: true}); err != nil {
		t.Fatal(err)
	}
	if err := s.Stop(u.ID, 9); err != nil {
		t.Fatal(err)
	}
	if stopped := next().StoppedMessageGeneration; stopped == nil || stopped.DraftID != 9 || stopped.Chat.ID != u.ID {
		t.Fatalf("stop: %+v", stopped)
	}
	if err := s.Block(u.ID, true); err != nil {
		t.Fatal(err)
	}
	if change := next().MyChatMember; change == nil || change.NewChatMember.Type != models.ChatMemberTypeBanned {
		t.Fatalf("block: %+v", change)
	}
	if _, err := b.SendMessage(ctx, &tg.SendMessageParams{ChatID: u.ID, Text: "?"}); !errors.Is(err, tg.ErrorForbidden) {
		t.Fatal("wrote to someone who blocked the bot:", err)
	}
	if acks := s.Acked(); len(acks) < 3 {
		t.Fatalf("polling acknowledged %d updates", len(acks))
	}
}

// Every way to pass parameters.
func TestBodies(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1001, "Ada")
	base := s.URL() + "/bot" + testToken
	response, err := http.Get(base + "/sendMessage?chat_id=1001&text=by+query")
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatal(response, err)
	}
	_ = response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	form := url.Values{"chat_id": {"1001"}, "text": {"by form"}}
	if a := do(t, base+"/SENDMESSAGE", "application/x-www-form-urlencoded", []byte(form.Encode())); !a.OK {
		t.Fatal(a)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": 1001, "text": "by JSON", "entities": []object{{"type": "bold", "offset": 0, "length": 2}}, "reply_markup": nil}); !a.OK {
		t.Fatal(a)
	}
	var texts []string
	for _, m := range s.Messages(u.ID)[1:] {
		texts = append(texts, m.Text)
	}
	if want := []string{"by query", "by form", "by JSON"}; !cmp.Equal(texts, want) {
		t.Fatal(texts)
	}
}

func TestTokensAndNames(t *testing.T) {
	s := start(t, Options{})
	for path, want := range map[string]rawAnswer{
		"/bot123:wrong/getMe":            {ErrorCode: 401, Description: "Unauthorized"},
		"/botnonsense":                   {ErrorCode: 404, Description: "Not Found"},
		"/bot" + testToken + "/getMoney": {ErrorCode: 404, Description: "Not Found: method not found"},
		"/bot" + testToken + "/sendDice": {ErrorCode: 501, Description: "Not Implemented: sendDice is not simulated"},
	} {
		got := do(t, s.URL()+path, "application/json", nil)
		if got.OK || got.status != want.ErrorCode || got.ErrorCode != want.ErrorCode || got.Description != want.Description {
			t.Errorf("%s: %+v", path, got)
		}
	}
	if _, err := New(Options{Token: "nonsense"}); !errors.Is(err, ErrToken) {
		t.Fatal(err)
	}
}

func TestGroups(t *testing.T) {
	s := start(t, Options{})
	u, stranger := s.User(0, "Ada"), s.User(0, "Bob")
	g, err := s.Group("Friends", u.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(Saying{User: stranger.ID, Chat: g.ID, Text: "hi"}); !errors.Is(err, ErrNotMember) {
		t.Fatal(err)
	}
	if _, err := s.Send(Saying{User: u.ID, Chat: g.ID, Text: "/ask@kikuai_sim_bot why"}); err != nil {
		t.Fatal(err)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": g.ID, "text": "because"}); !a.OK {
		t.Fatal(a)
	}
	a := post(t, s, "sendMessageDraft", object{"chat_id": g.ID, "draft_id": 1, "text": "x"})
	if a.Description != "Bad Request: TEXTDRAFT_PEER_INVALID" {
		t.Fatal(a)
	}
	if got := s.Messages(g.ID); len(got) != 2 || got[0].MessageID != 1 || got[0].Entities[0].Length != 19 {
		t.Fatalf("%+v", got)
	}
}
