package spec

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"
)

// Every sample decodes with the client's types, and carries what it says.
func TestSamplesDecode(t *testing.T) {
	names, kinds := map[string]bool{}, map[string]bool{}
	ids := map[int64]bool{}
	for _, sample := range Samples() {
		if names[sample.Name] {
			t.Errorf("%s: twice", sample.Name)
		}
		names[sample.Name], kinds[sample.Kind] = true, true
		var u models.Update
		if err := json.Unmarshal(sample.JSON, &u); err != nil {
			t.Errorf("%s: %v\n%s", sample.Name, err, sample.JSON)
			continue
		}
		if u.ID == 0 || ids[u.ID] {
			t.Errorf("%s: update_id %d", sample.Name, u.ID)
		}
		ids[u.ID] = true
		again, err := json.Marshal(u)
		if err != nil {
			t.Errorf("%s: encode: %v", sample.Name, err)
			continue
		}
		if !bytes.Contains(again, []byte(`"`+sample.Kind+`":{`)) {
			t.Errorf("%s: the client saw no %s", sample.Name, sample.Kind)
		}
	}
	for _, kind := range Kinds() {
		if !kinds[kind] {
			t.Errorf("no sample of %s", kind)
		}
	}
	if len(Kinds()) != 28-1 {
		t.Errorf("%d kinds", len(Kinds()))
	}
	t.Logf("%d samples of %d kinds", len(names), len(kinds))
}

// Members of unions carry the value that tells them apart.
func TestSamplesTellUnionsApart(t *testing.T) {
	decoded := map[string]models.Update{}
	for _, sample := range Samples() {
		var u models.Update
		if err := json.Unmarshal(sample.JSON, &u); err != nil {
			t.Fatal(err)
		}
		decoded[sample.Name] = u
	}
	if o := decoded["message/forward_origin"].Message.ForwardOrigin; o.MessageOriginUser == nil {
		t.Errorf("%+v", o)
	}
	if o := decoded["message/forward_origin=MessageOriginChannel"].Message.ForwardOrigin; o.MessageOriginChannel == nil {
		t.Errorf("%+v", o)
	}
	if m := decoded["my_chat_member/new_chat_member=ChatMemberBanned"].MyChatMember.NewChatMember; m.Banned == nil {
		t.Errorf("%+v", m)
	}
	if b := decoded["chat_boost"].ChatBoost.Boost.Source; b.ChatBoostSourcePremium == nil {
		t.Errorf("%+v", b)
	}
}

func TestSamplesAreStable(t *testing.T) {
	a, b := Samples(), Samples()
	if !slices.EqualFunc(a, b, func(x, y Sample) bool { return x.Name == y.Name && bytes.Equal(x.JSON, y.JSON) }) {
		t.Fatal("two calls differ")
	}
	for _, s := range a {
		if strings.HasPrefix(s.Name, "message/photo") {
			return
		}
	}
	t.Fatal("no sample of a photo")
}

func TestCheckCall(t *testing.T) {
	for _, test := range []struct {
		method string
		params map[string]string
		want   string
	}{
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x"}, ""},
		{"sendMessage", map[string]string{"chat_id": "@channel", "text": "x", "reply_markup": `{"inline_keyboard":[]}`, "entities": `[{"type":"bold","offset":0,"length":1}]`}, ""},
		{"getMe", nil, ""},
		{"sendMessage", map[string]string{"chat_id": "5"}, "spec: sendMessage: missing text"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "zebra": "1", "colour": "red"}, "spec: sendMessage: unknown colour, zebra"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "protect_content": "maybe", "entities": "{}"}, "spec: sendMessage: wrong entities: not MessageEntity[], protect_content: not Boolean"},
		{"sendMessageDraft", map[string]string{"chat_id": "5", "draft_id": "seven", "can_stop": "true"}, "spec: sendMessageDraft: wrong draft_id: not Integer"},
		{"setWebhook", map[string]string{"url": "https://x", "allowed_updates": `["message",5]`}, "spec: setWebhook: wrong allowed_updates: not String[]"},
		{"sendMessage", map[string]string{"chat_id": "0", "text": strings.Repeat("🙂", 2049)}, "spec: sendMessage: wrong text: 4098 long, not 1 to 4096, chat_id: no id of a chat"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": strings.Repeat("x", 5000), "parse_mode": "HTML"}, ""},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "entities": `[{"type":"bold","offset":0,"length":2},{"type":"text_link","offset":0,"length":1}]`},
			"spec: sendMessage: wrong entities.0: 2 units from 0, of 1, entities.1: a link without an address"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "entities": `[{"type":"bold","length":1,"color":"red"}]`},
			"spec: sendMessage: wrong entities.0.offset: missing, entities.0.color: unknown"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "reply_markup": `{"inline_keyboard":[[{"text":" ","callback_data":""},{"text":"b","copy_text":{"text":""}}]]}`},
			"spec: sendMessage: wrong reply_markup: button 1 without words, reply_markup: button 1 with 0 bytes of data, not 1 to 64, reply_markup: button 2 copies 0 units, not 1 to 256"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "reply_markup": `{"inline_keyboard":[[{"label":"b"}]]}`},
			"spec: sendMessage: wrong reply_markup.inline_keyboard.0.0.text: missing, reply_markup.inline_keyboard.0.0.label: unknown, reply_markup: button 1 without words"},
		{"sendMessage", map[string]string{"chat_id": "5", "text": "x", "reply_parameters": `{"chat_id":5}`}, "spec: sendMessage: wrong reply_parameters.message_id: missing"},
		{"sendPhoto", map[string]string{"chat_id": "5", "photo": "attach://x", "caption": strings.Repeat("x", 1025)}, "spec: sendPhoto: wrong caption: 1025 long, not 0 to 1024"},
		{"sendMessageDraft", map[string]string{"chat_id": "5", "draft_id": "0"}, "spec: sendMessageDraft: wrong draft_id: zero"},
		{"answerCallbackQuery", map[string]string{"callback_query_id": "5", "text": strings.Repeat("x", 201)}, "spec: answerCallbackQuery: wrong text: 201 long, not 0 to 200"},
		{"setMyCommands", map[string]string{"commands": `[{"command":"Start","description":""}]`, "scope": `{"type":"chat"}`},
			"spec: setMyCommands: wrong scope.chat_id: missing, commands: \"Start\" is none, commands: Start described in 0, not 1 to 256"},
		{"editMessageMedia", map[string]string{"media": `{"type":"photo","caption":"x"}`}, "spec: editMessageMedia: wrong media.media: missing"},
		{"sendMoney", nil, "spec: sendMoney: wrong the method does not exist"},
	} {
		got := ""
		if err := CheckCall(test.method, test.params); err != nil {
			got = err.Error()
		}
		if got != test.want {
			t.Errorf("%s %v:\n got %s\nwant %s", test.method, test.params, got, test.want)
		}
	}
}

func TestMethodNames(t *testing.T) {
	if name, ok := MethodName("SENDMESSAGE"); !ok || name != "sendMessage" {
		t.Error(name, ok)
	}
	if _, ok := MethodName("sendMoney"); ok {
		t.Error("invented a method")
	}
	if n := len(Methods()); n < 180 {
		t.Errorf("%d methods", n)
	}
}
