package bot

import (
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot/format"
	"github.com/kikuai/kikuai/internal/testenv"
)

// A frame shows the answer so far as it was rendered: as a draft in a private chat, as a
// message and its edits in a group.
func TestFramesAreRendered(t *testing.T) {
	for chat, methods := range map[int64][]string{
		7:  {"sendMessageDraft"},
		-7: {"sendMessage", "editMessageText"},
	} {
		a := newAPI(t)
		l := a.sender().Live(LiveOptions{ChatID: chat, Private: chat > 0, Render: format.Markdown})
		frame := func(text string) string {
			var entities string
			testenv.Until(t, "a frame is shown", func() bool {
				for _, c := range a.made(methods...) {
					if c.params["text"] == text {
						entities = c.params["entities"]
						return true
					}
				}
				return false
			})
			return entities
		}
		_ = l.Update("A **word** and ```")
		if got := frame("A word and ```"); !strings.Contains(got, `"type":"bold","offset":2,"length":4`) {
			t.Errorf("chat %d: %s", chat, got)
		}
		_ = l.Update("A **word** and\n```go\nx")
		if got := frame("A word and\nx"); !strings.Contains(got, `"language":"go"`) {
			t.Errorf("chat %d: %s", chat, got)
		}
		finish(t, l, "done")
	}
}

// A rich message is one call, whatever its length; refused, it is an ordinary message.
func TestRichMessage(t *testing.T) {
	a := newAPI(t)
	s := a.sender()
	m := Message{ChatID: 7, ThreadID: 3, Text: "plain", Rich: "<p>rich</p>", ReplyTo: 9,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{{Text: "b", CallbackData: "c"}}}}}
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	made := a.made()
	if len(made) != 1 || made[0].method != "sendRichMessage" {
		t.Fatalf("%+v", made)
	}
	p := made[0].params
	if p["rich_message"] != `{"html":"\u003cp\u003erich\u003c/p\u003e"}` && p["rich_message"] != `{"html":"<p>rich</p>"}` || p["message_thread_id"] != "3" || p["reply_markup"] == "" || p["reply_parameters"] == "" {
		t.Errorf("%v", p)
	}
	a.script(func(c call) reply {
		if c.method == "sendRichMessage" {
			return refusal(400, "Bad Request: can't parse rich message")
		}
		return reply{}
	})
	if _, err := s.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if texts := a.texts("sendMessage"); len(texts) != 1 || texts[0] != "plain" {
		t.Errorf("%v", texts)
	}
}
