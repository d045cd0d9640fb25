package telegramsim

import (
	"errors"
	"fmt"
	"testing"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
	"github.com/tidwall/gjson"
)

// A group that grows: both sides say so, and the old id is refused with the new one.
func TestUpgrade(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	ada, bob := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	small, err := s.BasicGroup("Friends", ada.ID, bob.ID)
	if err != nil || small.Type != ChatGroup {
		t.Fatal(small, err)
	}
	if err := s.Promote(bob.ID, small.ID, true); err != nil {
		t.Fatal(err)
	}
	large, err := s.Upgrade(ada.ID, small.ID)
	if err != nil || large.Type != ChatSupergroup || large.ID == small.ID {
		t.Fatal(large, err)
	}
	_, err = b.SendMessage(ctx, &tg.SendMessageParams{ChatID: small.ID, Text: "x"})
	var migrated *tg.MigrateError
	if !errors.As(err, &migrated) || int64(migrated.MigrateToChatID) != large.ID {
		t.Fatal(err)
	}
	if _, err := b.SendMessage(ctx, &tg.SendMessageParams{ChatID: large.ID, Text: "x"}); err != nil {
		t.Fatal(err)
	}
	admins, err := b.GetChatAdministrators(ctx, &tg.GetChatAdministratorsParams{ChatID: large.ID})
	if err != nil || len(admins) != 2 {
		t.Fatal(admins, err)
	}
	if _, err := s.Send(Saying{User: ada.ID, Chat: small.ID, Text: "x"}); !errors.Is(err, ErrChatUnknown) {
		t.Error(err)
	}
	if _, err := s.Upgrade(ada.ID, large.ID); !errors.Is(err, ErrChatUnknown) {
		t.Error(err)
	}
	last := s.Messages(small.ID)
	if m := last[len(last)-1]; m.MigrateTo != large.ID || s.Messages(large.ID)[0].MigrateFrom != small.ID {
		t.Errorf("%+v", m)
	}
	delivered(t, s)
}

// People come and go, and the bot is banned.
func TestMembers(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	ada, bob := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	g, err := s.Group("Friends", ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	status := func(id int64) models.ChatMemberType {
		t.Helper()
		m, err := b.GetChatMember(ctx, &tg.GetChatMemberParams{ChatID: g.ID, UserID: id})
		if err != nil {
			t.Fatal(err)
		}
		return m.Type
	}
	if status(ada.ID) != models.ChatMemberTypeOwner || status(bob.ID) != models.ChatMemberTypeLeft || status(s.Bot().ID) != models.ChatMemberTypeMember {
		t.Error(status(ada.ID), status(bob.ID), status(s.Bot().ID))
	}
	for _, step := range []error{s.Join(bob.ID, g.ID), s.Promote(bob.ID, g.ID, true)} {
		if step != nil {
			t.Fatal(step)
		}
	}
	if status(bob.ID) != models.ChatMemberTypeAdministrator {
		t.Error(status(bob.ID))
	}
	if err := s.Leave(bob.ID, g.ID); err != nil || status(bob.ID) != models.ChatMemberTypeLeft {
		t.Error(err)
	}
	if err := s.RemoveBot(ada.ID, g.ID, true); err != nil {
		t.Fatal(err)
	}
	a := post(t, s, "sendMessage", object{"chat_id": g.ID, "text": "x"})
	if a.status != 403 || a.Description != "Forbidden: bot was kicked from the supergroup chat" {
		t.Errorf("%+v", a)
	}
	before := len(delivered(t, s))
	if _, err := s.Send(Saying{User: ada.ID, Chat: g.ID, Text: "is it gone?"}); err != nil || len(delivered(t, s)) != before {
		t.Error("a banned bot hears the group", err)
	}
	if err := s.AddBot(ada.ID, g.ID); err != nil {
		t.Fatal(err)
	}
	if a := post(t, s, "leaveChat", object{"chat_id": g.ID}); !a.OK {
		t.Error(a)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": g.ID, "text": "x"}); a.Description != "Forbidden: bot is not a member of the supergroup chat" {
		t.Errorf("%+v", a)
	}
	if err := s.Leave(ada.ID, ada.ID); !errors.Is(err, ErrChatUnknown) {
		t.Error(err)
	}
}

// In privacy mode a group's talk is not the bot's.
func TestPrivacyMode(t *testing.T) {
	s := start(t, Options{Privacy: true, Username: "kiku_bot"})
	ada := started(t, s, 0, "Ada")
	g, err := s.Group("Friends", ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	heard := func(say Saying) bool {
		t.Helper()
		before := len(delivered(t, s))
		say.User, say.Chat = ada.ID, g.ID
		if _, err := s.Send(say); err != nil {
			t.Fatal(err)
		}
		return len(delivered(t, s)) > before
	}
	for text, want := range map[string]bool{
		"hello all": false, "/ask@other_bot why": false, "hello @other_bot": false, "/ask why": false,
		"/ask@Kiku_Bot why": true, "hello 👋 @kiku_bot": true,
	} {
		if heard(Saying{Text: text}) != want {
			t.Errorf("%q: heard %t", text, !want)
		}
	}
	if a := post(t, s, "sendMessage", object{"chat_id": g.ID, "text": "here"}); !a.OK {
		t.Fatal(a)
	}
	messages := s.Messages(g.ID)
	if !heard(Saying{Text: "why?", Reply: messages[len(messages)-1].MessageID}) || !heard(Saying{Text: "/ask now"}) {
		t.Error("a reply to the bot, or a command after it wrote, is not heard")
	}
	if !heard(Saying{Text: "what is @kiku_bot", Attach: &Attachment{Kind: "document"}}) {
		t.Error("a caption is not looked at")
	}
}

func TestTopics(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	ada := started(t, s, 0, "Ada")
	g, err := s.Group("Friends", ada.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Topic(ada.ID, g.ID, "Cooking"); !errors.Is(err, ErrChatUnknown) {
		t.Error(err)
	}
	if err := s.Forum(g.ID); err != nil {
		t.Fatal(err)
	}
	for _, chat := range []int64{g.ID, ada.ID} {
		thread, err := s.Topic(ada.ID, chat, "Cooking")
		if err != nil {
			t.Fatal(err)
		}
		m, err := b.SendMessage(ctx, &tg.SendMessageParams{ChatID: chat, MessageThreadID: int(thread), Text: "x"})
		if err != nil || int64(m.MessageThreadID) != thread || !m.IsTopicMessage {
			t.Error(m, err)
		}
		if a := post(t, s, "sendMessage", object{"chat_id": chat, "message_thread_id": thread + 1000, "text": "x"}); a.Description != "Bad Request: message thread not found" {
			t.Errorf("%+v", a)
		}
	}
	topic, err := b.CreateForumTopic(ctx, &tg.CreateForumTopicParams{ChatID: ada.ID, Name: "Travel"})
	if err != nil || topic.MessageThreadID == 0 {
		t.Fatal(topic, err)
	}
	if ok, err := b.EditForumTopic(ctx, &tg.EditForumTopicParams{ChatID: ada.ID, MessageThreadID: topic.MessageThreadID, Name: "Journeys"}); !ok || err != nil {
		t.Error(err)
	}
	names := func() string {
		_, state := pageCall(t, s, "GET", fmt.Sprintf("/sim/state?user=%d", ada.ID), nil, nil)
		return state.Get("topics.#.name").String()
	}
	if got := names(); got != `["Cooking","Journeys"]` {
		t.Error(got)
	}
	if _, err := b.CreateForumTopic(ctx, &tg.CreateForumTopicParams{ChatID: g.ID, Name: "Travel"}); err == nil {
		t.Error("a bot without rights makes topics")
	}
	if ok, err := b.DeleteForumTopic(ctx, &tg.DeleteForumTopicParams{ChatID: ada.ID, MessageThreadID: topic.MessageThreadID}); !ok || err != nil {
		t.Error(err)
	}
	if a := post(t, s, "sendMessage", object{"chat_id": ada.ID, "message_thread_id": topic.MessageThreadID, "text": "x"}); a.OK {
		t.Error("a deleted topic takes messages")
	}
	if got := names(); got != `["Cooking"]` {
		t.Error(got)
	}
	delivered(t, s)
}

func TestInline(t *testing.T) {
	s := start(t, Options{})
	b, ctx := client(t, s), soon(t)
	ada := started(t, s, 0, "Ada")
	id, err := s.Type(ada.ID, "group", "how high is Fuji", "")
	if err != nil || s.Offered(id) != nil {
		t.Fatal(err)
	}
	article := &models.InlineQueryResultArticle{
		ID: "1", Title: "3776 m", InputMessageContent: &models.InputTextMessageContent{MessageText: "*3776 m*", ParseMode: models.ParseModeMarkdown},
		ReplyMarkup: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "More", CallbackData: "more"}}}},
	}
	answer := &tg.AnswerInlineQueryParams{InlineQueryID: id, Results: []models.InlineQueryResult{article}, CacheTime: 5, IsPersonal: true}
	if ok, err := b.AnswerInlineQuery(ctx, answer); !ok || err != nil {
		t.Fatal(err)
	}
	if offered := s.Offered(id); offered == nil || len(offered.Results) != 1 || offered.CacheTime != 5 || !offered.Personal {
		t.Fatalf("%+v", offered)
	}
	if _, err := b.AnswerInlineQuery(ctx, answer); err == nil {
		t.Error("a query is answered twice")
	}
	message, err := s.Choose(id, "1")
	if err != nil || message == "" {
		t.Fatal(err)
	}
	if _, err := b.EditMessageText(ctx, &tg.EditMessageTextParams{InlineMessageID: message, Text: "longer"}); err != nil || s.InlineMessage(message).Text != "longer" {
		t.Error(err)
	}
	if _, err := s.Choose(id, "2"); !errors.Is(err, ErrInlineUnknown) {
		t.Error(err)
	}
	content := object{"message_text": "x"}
	for said, results := range map[string]any{
		"RESULT_ID_DUPLICATE":   []object{{"type": "article", "id": "1", "title": "t", "input_message_content": content}, {"type": "article", "id": "1", "title": "t", "input_message_content": content}},
		"RESULT_ID_EMPTY":       []object{{"type": "article", "id": "", "title": "t", "input_message_content": content}},
		"ARTICLE_TITLE_EMPTY":   []object{{"type": "article", "id": "1", "title": "", "input_message_content": content}},
		"message text is empty": []object{{"type": "article", "id": "1", "title": "t", "input_message_content": object{"message_text": ""}}},
		"RESULTS_TOO_MUCH":      make([]object, maxInlineResults+1),
		"query is too old and response timeout expired or query ID is invalid": []object{},
	} {
		if a := post(t, s, "answerInlineQuery", object{"inline_query_id": "5", "results": results}); a.Description != "Bad Request: "+said {
			t.Errorf("%s: %+v", said, a)
		}
	}
	delivered(t, s)
}

// What is sent through the bot where it is stands in that chat: the bot gets it, it is edited in its place, and
// its buttons tell the bot no more than its inline_message_id.
func TestInlineInAChat(t *testing.T) {
	s := start(t, Options{Privacy: true})
	b, ctx := client(t, s), soon(t)
	ada, bob := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	g, err := s.Group("Friends", ada.ID, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	offer := func(kind string) string {
		t.Helper()
		id, err := s.Type(ada.ID, kind, "how high is Fuji", "")
		if err != nil {
			t.Fatal(err)
		}
		if a := post(t, s, "answerInlineQuery", object{"inline_query_id": id, "results": []object{
			{"type": "article", "id": "1", "title": "t", "input_message_content": object{"message_text": "*3776 m*", "parse_mode": "Markdown"}, "reply_markup": buttons(object{"text": "More", "callback_data": "more"})},
			{"type": "article", "id": "2", "title": "t", "input_message_content": object{"latitude": 1, "longitude": 2}},
		}}); !a.OK {
			t.Fatal(a)
		}
		return id
	}
	for _, chat := range []int64{g.ID, ada.ID} {
		query := offer("group")
		if _, err := s.ChooseIn(query, "2", chat, 0); !errors.Is(err, ErrInlineUnknown) {
			t.Error(err)
		}
		if _, err := s.ChooseIn(query, "1", chat, 999); !errors.Is(err, ErrChatUnknown) {
			t.Error(err)
		}
		m, err := s.ChooseIn(query, "1", chat, 0)
		if err != nil || m.Text != "3776 m" || m.Entities[0].Type != "bold" || m.ViaBot.ID != s.Bot().ID {
			t.Fatal(m, err)
		}
		updates := delivered(t, s)
		heard := gjson.Get(updates[len(updates)-2]["body"].(string), "message")
		report := gjson.Get(updates[len(updates)-1]["body"].(string), "chosen_inline_result")
		message := report.Get("inline_message_id").String()
		if heard.Get("via_bot.id").Int() != s.Bot().ID || heard.Get("chat.id").Int() != chat || message == "" {
			t.Errorf("heard %s, told %s", heard, report)
		}
		if _, err := s.Press(ada.ID, chat, m.MessageID, "more"); err != nil {
			t.Fatal(err)
		}
		updates = delivered(t, s)
		if query := gjson.Get(updates[len(updates)-1]["body"].(string), "callback_query"); query.Get("message").Exists() || query.Get("inline_message_id").String() != message {
			t.Error(query)
		}
		if _, err := b.EditMessageText(ctx, &tg.EditMessageTextParams{InlineMessageID: message, Text: "longer"}); err != nil {
			t.Fatal(err)
		}
		all := s.Messages(chat)
		if last := all[len(all)-1]; last.MessageID != m.MessageID || last.Text != "longer" || last.EditDate == 0 || last.ReplyMarkup != nil {
			t.Errorf("%+v", last)
		}
	}
	if err := s.Block(ada.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ChooseIn(offer("sender"), "1", 0, 0); !errors.Is(err, ErrBotBlocked) {
		t.Error(err)
	}
}

// A press below a message that is gone tells the bot no more than where it was.
func TestForgedPresses(t *testing.T) {
	s := start(t, Options{})
	ada := started(t, s, 0, "Ada")
	if _, err := s.Forge(ada.ID, 0, 900, "anything"); err != nil {
		t.Fatal(err)
	}
	updates := delivered(t, s)
	query := gjson.Get(updates[len(updates)-1]["body"].(string), "callback_query")
	if query.Get("message.date").Int() != 0 || query.Get("message.message_id").Int() != 900 || query.Get("data").String() != "anything" {
		t.Error(query)
	}
}
