package telegramsim

import (
	"encoding/json"
	"strings"
	"testing"
)

func buttons(button object) object {
	return object{"inline_keyboard": [][]object{{button}}}
}

// What Telegram refuses, in its words.
func TestRefusals(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1001, "Ada")
	s.User(1002, "Silent")
	blocker := started(t, s, 1003, "Blocker")
	if err := s.Block(blocker.ID, true); err != nil {
		t.Fatal(err)
	}
	own := s.Messages(u.ID)[0].MessageID
	var sent struct {
		MessageID int64 `json:"message_id"`
	}
	answered(t, post(t, s, "sendMessage", object{"chat_id": 1001, "text": "mine"}), &sent)
	chat := func(o object) object { o["chat_id"] = 1001; return o }

	for _, test := range []struct {
		method string
		params object
		code   int
		want   string
	}{
		{"sendMessage", object{"text": "x"}, 400, "Bad Request: chat_id is empty"},
		{"sendMessage", object{"chat_id": 5, "text": "x"}, 400, "Bad Request: chat not found"},
		{"sendMessage", object{"chat_id": "@nobody", "text": "x"}, 400, "Bad Request: chat not found"},
		{"sendMessage", object{"chat_id": 1002, "text": "x"}, 403, "Forbidden: bot can't initiate conversation with a user"},
		{"sendMessage", object{"chat_id": 1003, "text": "x"}, 403, "Forbidden: bot was blocked by the user"},
		{"sendMessage", chat(object{}), 400, "Bad Request: message text is empty"},
		{"sendMessage", chat(object{"text": " \n\t"}), 400, "Bad Request: text must be non-empty"},
		{"sendMessage", chat(object{"text": "\u200b\u2060"}), 400, "Bad Request: text must be non-empty"},
		{"sendMessage", chat(object{"text": strings.Repeat("x", 4097)}), 400, "Bad Request: message is too long"},
		{"sendMessage", chat(object{"text": strings.Repeat("🙂", 2049)}), 400, "Bad Request: message is too long"},
		{"sendMessage", chat(object{"text": strings.Repeat("x", 1<<15+1)}), 400, "Bad Request: text is too long"},
		{"sendMessage", chat(object{"text": "x", "parse_mode": "XML"}), 400, "Bad Request: unsupported parse_mode"},
		{"sendMessage", chat(object{"text": "a.b", "parse_mode": "MarkdownV2"}), 400,
			`Bad Request: can't parse entities: Character '.' is reserved and must be escaped with the preceding '\'`},
		{"sendMessage", chat(object{"text": "<b>x", "parse_mode": "HTML"}), 400, `Bad Request: can't parse entities: Can't find end tag corresponding to start tag "b"`},
		{"sendMessage", chat(object{"text": "x", "reply_parameters": object{"message_id": 999}}), 400, "Bad Request: message to be replied not found"},
		{"sendMessage", chat(object{"text": "x", "message_thread_id": 4}), 400, "Bad Request: message thread not found"},
		{"sendMessage", chat(object{"text": "x", "reply_markup": "{"}), 400, "Bad Request: can't parse reply keyboard markup JSON object"},
		{"sendMessage", chat(object{"text": "x", "reply_markup": buttons(object{"text": "b", "callback_data": strings.Repeat("d", 65)})}), 400, "Bad Request: BUTTON_DATA_INVALID"},
		{"sendMessage", chat(object{"text": "x", "reply_markup": buttons(object{"text": "b", "copy_text": object{"text": strings.Repeat("d", 257)}})}), 400, "Bad Request: BUTTON_COPY_TEXT_INVALID"},
		{"sendMessage", chat(object{"text": "x", "reply_markup": buttons(object{"text": "b"})}), 400, "Bad Request: can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard"},
		{"sendMessage", chat(object{"text": "x", "reply_markup": buttons(object{"text": "b", "web_app": object{"url": "http://example.com"}})}), 400,
			"Bad Request: inline keyboard button Web App URL 'http://example.com' is invalid: Only HTTPS links are allowed"},
		{"sendMessage", chat(object{"text": "hi", "entities": []object{{"type": "bold", "offset": 1, "length": 5}}}), 400,
			"Bad Request: entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 6"},
		{"sendMessage", chat(object{"text": "hi", "entities": []object{{"type": "bold", "offset": 3, "length": 1}}}), 400, "Bad Request: entity begins after the end of the text at UTF-16 offset 3"},
		{"sendMessage", chat(object{"text": "🙂x", "entities": []object{{"type": "bold", "offset": 1, "length": 1}}}), 400, "Bad Request: entity begins in a middle of a UTF-16 symbol at byte offset 4"},
		{"sendMessage", chat(object{"text": "x🙂", "entities": []object{{"type": "bold", "offset": 0, "length": 2}}}), 400,
			"Bad Request: entity beginning at UTF-16 offset 0 ends in a middle of a UTF-16 symbol at byte offset 5"},
		{"sendMessage", chat(object{"text": "x", "entities": []object{{"type": "bold", "offset": -1, "length": 1}}}), 400, "Bad Request: receive an entity with incorrect offset -1"},
		{"sendMessage", chat(object{"text": "x", "entities": []object{{"type": "blink", "offset": 0, "length": 1}}}), 400, "Bad Request: can't parse MessageEntity: unsupported type specified"},
		{"sendMessage", chat(object{"text": "x", "entities": []object{{"type": "text_link", "offset": 0, "length": 1, "url": "localhost"}}}), 400, "Bad Request: entity URL 'localhost' is invalid: Wrong HTTP URL"},
		{"editMessageText", chat(object{"message_id": 9999, "text": "x"}), 400, "Bad Request: message to edit not found"},
		{"editMessageText", chat(object{"message_id": own, "text": "x"}), 400, "Bad Request: message can't be edited"},
		{"editMessageText", chat(object{"message_id": sent.MessageID, "text": "mine"}), 400, "Bad Request: " + saidNotModified},
		{"editMessageText", object{"text": "x"}, 400, "Bad Request: message identifier is not specified"},
		{"editMessageReplyMarkup", chat(object{"message_id": sent.MessageID}), 400, "Bad Request: " + saidNotModified},
		{"deleteMessage", chat(object{"message_id": 9999}), 400, "Bad Request: message to delete not found"},
		{"sendMessageDraft", chat(object{"draft_id": 0, "text": "x"}), 400, "Bad Request: draft_id must be a non-zero Integer"},
		{"sendMessageDraft", chat(object{"draft_id": "seven", "text": "x"}), 400, "Bad Request: draft_id must be a non-zero Integer"},
		{"sendMessageDraft", chat(object{"draft_id": 1, "text": strings.Repeat("x", 4097)}), 400, "Bad Request: message is too long"},
		{"sendChatAction", chat(object{"action": "dancing"}), 400, "Bad Request: wrong parameter action in request"},
		{"answerCallbackQuery", object{"callback_query_id": "1"}, 400, "Bad Request: " + saidQueryTooOld},
		{"answerCallbackQuery", object{"callback_query_id": "1", "text": strings.Repeat("x", 201)}, 400, "Bad Request: MESSAGE_TOO_LONG"},
		{"setMyCommands", object{"commands": []object{{"command": "No Way", "description": "x"}}}, 400, "Bad Request: BOT_COMMAND_INVALID"},
		{"setMyCommands", object{"commands": make([]object, 101)}, 400, "Bad Request: BOT_COMMANDS_TOO_MUCH"},
		{"setMyCommands", object{"commands": "x"}, 400, "Bad Request: can't parse commands JSON object"},
		{"setChatMenuButton", object{"menu_button": object{"type": "button"}}, 400, "Bad Request: can't parse menu button: MenuButton has unsupported type"},
		{"setWebhook", object{"url": "ftp://example.com"}, 400, "Bad Request: invalid webhook URL specified"},
		{"setWebhook", object{"url": "https://example.com", "secret_token": "a b"}, 400, "Bad Request: secret token contains unallowed characters"},
	} {
		got := post(t, s, test.method, test.params)
		if got.OK || got.status != test.code || got.ErrorCode != test.code || got.Description != test.want {
			t.Errorf("%s %v:\n got %d %s\nwant %d %s", test.method, test.params, got.status, got.Description, test.code, test.want)
		}
	}
	for _, text := range []string{strings.Repeat("x", 4096), strings.Repeat("🙂", 2048), "<b>" + strings.Repeat("x", 4096) + "</b>"} {
		params := chat(object{"text": text})
		if text[0] == '<' {
			params["parse_mode"] = "HTML"
		}
		if a := post(t, s, "sendMessage", params); !a.OK {
			t.Errorf("a text at the limit is refused: %s", a.Description)
		}
	}
}

func answered(t *testing.T, a rawAnswer, v any) {
	t.Helper()
	if !a.OK {
		t.Fatalf("refused: %d %s", a.ErrorCode, a.Description)
	}
	if err := json.Unmarshal(a.Result, v); err != nil {
		t.Fatal(err)
	}
}

func TestDraftsExpire(t *testing.T) {
	s := start(t, Options{LifeScale: 0.001})
	u := started(t, s, 0, "Ada")
	reader := s.hub.open(u.ID)
	defer s.hub.leave(reader)
	if a := post(t, s, "sendMessageDraft", object{"chat_id": u.ID, "draft_id": 5}); !a.OK {
		t.Fatal(a)
	}
	for ctx := soon(t); ; {
		select {
		case f := <-reader.frames:
			if strings.Contains(string(f.data), `"draft_end"`) {
				if !strings.Contains(string(f.data), `"expired"`) || s.Draft(u.ID) != nil {
					t.Fatalf("%s", f.data)
				}
				return
			}
		case <-ctx.Done():
			t.Fatal("the draft stays")
		}
	}
}

func TestCallbacksGrowOld(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 0, "Ada")
	if a := post(t, s, "sendMessage", object{"chat_id": u.ID, "text": "x", "reply_markup": buttons(object{"text": "b", "callback_data": "d"})}); !a.OK {
		t.Fatal(a)
	}
	if err := s.SetFaults(Faults{StaleCallbackPercent: 100}); err != nil {
		t.Fatal(err)
	}
	messages := s.Messages(u.ID)
	id, err := s.Press(u.ID, 0, messages[len(messages)-1].MessageID, "d")
	if err != nil {
		t.Fatal(err)
	}
	if a := post(t, s, "answerCallbackQuery", object{"callback_query_id": id}); a.Description != "Bad Request: "+saidQueryTooOld {
		t.Fatal(a)
	}
}
