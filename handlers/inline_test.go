package handlers

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// typed lets somebody type behind the bot's name and returns what is offered.
func (s *serving) typed(who int64, text string) (query string, offered *telegramsim.InlineAnswer) {
	s.t.Helper()
	query, err := s.telegram.Type(who, "group", text, "")
	if err != nil {
		s.t.Fatal(err)
	}
	testenv.Until(s.t, "it is answered", func() bool { offered = s.telegram.Offered(query); return offered != nil })
	return query, offered
}

// chosen sends the first result, and returns the message's id.
func (s *serving) chosen(query string, offered *telegramsim.InlineAnswer) string {
	s.t.Helper()
	if len(offered.Results) != 1 {
		s.t.Fatalf("offered %s", offered.Results)
	}
	id, err := s.telegram.Choose(query, gjson.GetBytes(offered.Results[0], "id").String())
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// became waits until a message that was sent through the bot says something.
func (s *serving) became(message, what string) string {
	s.t.Helper()
	var text string
	testenv.Until(s.t, "the message becomes "+what, func() bool {
		text = s.telegram.InlineMessage(message).Text
		return strings.Contains(text, what)
	})
	return text
}

// TestInline: typing costs nothing; what is chosen is asked once, briefly, and its answer
// takes the message's place without a word of what the asker owns.
func TestInline(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	if _, offered := s.typed(person, " "); len(offered.Results) != 0 || offered.Button != nil {
		t.Errorf("for nothing: %+v", offered)
	}
	query, offered := s.typed(person, "why is the sky blue?")
	if r := string(offered.Results[0]); !offered.Personal || gjson.Get(r, "title").String() != "Ask: why is the sky blue?" || len(s.calls) != 0 {
		t.Errorf("offered %s, %d calls", r, len(s.calls))
	}
	message := s.chosen(query, offered)
	text := s.became(message, "You said")
	if text != "why is the sky blue?\nYou said why is the sky blue?\n\n$0.000045" {
		t.Errorf("%q", text)
	}
	if m := s.telegram.InlineMessage(message); len(m.ReplyMarkup) != 0 {
		t.Errorf("a button is left: %s", m.ReplyMarkup)
	}
	call := s.calls[0]
	if call.MaxOutput != 100 || call.Messages[0].Role != "system" || len(call.Messages) != 2 {
		t.Errorf("asked %+v", call)
	}
	again := s.chosen(s.typed(person, "why is the sky blue?"))
	if text := s.became(again, "You said"); !strings.HasSuffix(text, "$0.00") || len(s.calls) != 1 {
		t.Errorf("the same again: %q, %d calls", text, len(s.calls))
	}
	s.settled()
}

// TestInlineWithTheBotItself: in the chat with the bot, too, the bot gets the message that was
// sent through it beside what tells of the choice; its question is asked and paid for once.
func TestInlineWithTheBotItself(t *testing.T) {
	s := newRig(t).serve()
	query, offered := s.typed(person, "why is the sky blue?")
	sent, err := s.telegram.ChooseIn(query, gjson.GetBytes(offered.Results[0], "id").String(), 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	var text string
	testenv.Until(s.t, "the message becomes the answer", func() bool {
		for _, m := range s.telegram.Messages(person) {
			if m.MessageID == sent.MessageID {
				text = m.Text
			}
		}
		return strings.Contains(text, "You said")
	})
	s.settled()
	if all := s.telegram.Messages(person); len(s.calls) != 1 || all[len(all)-1].MessageID != sent.MessageID {
		t.Errorf("%d calls, last message %+v", len(s.calls), all[len(all)-1])
	}
}

// TestInlineButton: where Telegram tells of no choice the button asks; both together, or
// either again, ask once; and only the asker presses.
func TestInlineButton(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.say("/start")
	s := r.serve()
	query, offered := s.typed(person, "why?")
	button := gjson.GetBytes(offered.Results[0], "reply_markup.inline_keyboard.0.0.callback_data").String()
	message := s.chosen(query, offered)
	s.became(message, "You said")
	press := func(id int64, who int64) *bot.Update {
		raw, err := json.Marshal(map[string]any{"update_id": id, "callback_query": map[string]any{
			"id": "1", "chat_instance": "1", "inline_message_id": message, "data": button,
			"from": map[string]any{"id": who, "is_bot": false, "first_name": "Ada"}}})
		if err != nil {
			t.Fatal(err)
		}
		return r.decode(id, string(raw))
	}
	// However long ago the same was asked: the message has its answer.
	same, err := s.client.Keys(t.Context(), stream.ShardOfChat(person).Key("inline", strconv.Itoa(person), "same", "*")).Result()
	if err != nil || len(same) != 1 || s.client.Del(t.Context(), same...).Err() != nil {
		t.Fatal(same, err)
	}
	for id := range int64(2) {
		u := press(8000+id, person)
		u.Deferred = true
		r.handle(u)
	}
	if len(r.calls) != 1 {
		t.Errorf("asked %d times", len(r.calls))
	}
	r.handle(press(8002, stranger))
	if len(r.calls) != 1 {
		t.Error("somebody else asked in the asker's name")
	}
}

// TestInlineBounds: strangers are asked to start the bot and are not charged; a day has an
// end; who cannot pay is told without a sum.
func TestInlineBounds(t *testing.T) {
	t.Parallel()
	s := newRig(t).serve()
	s.telegram.User(stranger, "Bob")
	if _, offered := s.typed(stranger, "why?"); len(offered.Results) != 0 || gjson.GetBytes(offered.Button, "start_parameter").String() != "inline" {
		t.Errorf("a stranger: %+v", offered)
	}
	s.answer = func(llm.ChatCall) (llm.ChatAnswer, error) {
		return llm.ChatAnswer{Text: "Dear.", CostNano: 500_000_000}, nil
	}
	s.became(s.chosen(s.typed(person, "one?")), "Dear.")
	s.became(s.chosen(s.typed(person, "two?")), "a lot for one day")
	if len(s.calls) != 1 {
		t.Errorf("asked %d times", len(s.calls))
	}
	s.settled()
}
