package telegramsim

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tidwall/gjson"
)

func pageCall(t *testing.T, s *Server, method, path string, body any, change func(*http.Request)) (int, gjson.Result) {
	t.Helper()
	var reader io.Reader
	if body != nil {
		reader = strings.NewReader(string(mustJSON(body)))
	}
	r, err := http.NewRequestWithContext(soon(t), method, s.URL()+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Close = true
	if change != nil {
		change(r)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, gjson.ParseBytes(raw)
}

// A person's way through the page: register, start, read events, press, stop.
func TestPage(t *testing.T) {
	s := start(t, Options{UI: fstest.MapFS{"index.html": {Data: []byte("<h1>Chat</h1>")}}})
	status, created := pageCall(t, s, "POST", "/sim/users", object{"name": "Ada"}, nil)
	user := created.Get("user.id").Int()
	if status != 200 || user == 0 {
		t.Fatal(status, created)
	}
	id := created.Get("user.id").Raw

	r, err := http.NewRequestWithContext(soon(t), http.MethodGet, s.URL()+"/sim/events?user="+id, nil)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := http.DefaultClient.Do(r)
	if err != nil || stream.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(stream, err)
	}
	defer func() { _ = stream.Body.Close() }()
	lines := bufio.NewScanner(stream.Body)
	next := func(kind string) gjson.Result {
		t.Helper()
		for lines.Scan() {
			if data, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if e := gjson.Parse(data); e.Get("type").String() == kind {
					return e
				}
			}
		}
		t.Fatalf("the stream ended before %q: %v", kind, lines.Err())
		return gjson.Result{}
	}

	if status, a := pageCall(t, s, "POST", "/sim/start", object{"user": user}, nil); status != 200 || a.Get("message.text").String() != "/start" {
		t.Fatal(status, a)
	}
	if e := next("message"); e.Get("message.entities.0.type").String() != "bot_command" || e.Get("chat_id").Int() != user {
		t.Fatal(e)
	}
	if e := next("pending"); e.Get("pending").Int() != 1 {
		t.Fatal(e)
	}
	post(t, s, "sendChatAction", object{"chat_id": user, "action": "typing"})
	if e := next("typing"); e.Get("seconds").Int() != 5 {
		t.Fatal(e)
	}
	post(t, s, "sendMessageDraft", object{"chat_id": user, "draft_id": 4, "text": "Thin", "can_stop": true})
	if e := next("draft"); e.Get("draft.text").String() != "Thin" || !e.Get("draft.can_stop").Bool() {
		t.Fatal(e)
	}
	if status, a := pageCall(t, s, "POST", "/sim/stop", object{"user": user, "draft_id": 4}, nil); status != 200 {
		t.Fatal(status, a)
	}
	if e := next("draft_end"); e.Get("reason").String() != "stopped" {
		t.Fatal(e)
	}
	post(t, s, "sendMessage", object{"chat_id": user, "text": "Choose", "reply_markup": buttons(object{"text": "b", "callback_data": "d"})})
	m := next("message").Get("message")
	if status, a := pageCall(t, s, "POST", "/sim/press", object{"user": user, "message_id": m.Get("message_id").Int(), "data": "d"}, nil); status != 200 {
		t.Fatal(status, a)
	} else {
		post(t, s, "answerCallbackQuery", object{"callback_query_id": a.Get("callback_query_id").String(), "text": "Done", "show_alert": true})
	}
	if e := next("callback_answer"); e.Get("text").String() != "Done" || !e.Get("show_alert").Bool() {
		t.Fatal(e)
	}
	post(t, s, "sendMessage", object{"chat_id": user, "text": "Keys", "reply_markup": object{"keyboard": [][]string{{"Yes", "No"}}}})
	if e := next("keyboard"); e.Get("keyboard.keyboard.0.1").String() != "No" {
		t.Fatal(e)
	}
	_, state := pageCall(t, s, "GET", "/sim/state?user="+id, nil, nil)
	if len(state.Get("messages").Array()) != 3 || state.Get("keyboard.keyboard.0.0").String() != "Yes" || state.Get("draft").Type != gjson.Null ||
		state.Get("seq").Int() == 0 || state.Get("menu_button.type").String() != "commands" || state.Get("pending").Int() != 3 {
		t.Fatal(state)
	}
	_, older := pageCall(t, s, "GET", "/sim/state?user="+id+"&before="+m.Get("message_id").Raw, nil, nil)
	if len(older.Get("messages").Array()) != 1 {
		t.Fatal(older)
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestPageRefuses(t *testing.T) {
	s := start(t, Options{})
	s.User(1001, "Ada")
	for name, test := range map[string]struct {
		method, path string
		body         any
		change       func(*http.Request)
		want         int
	}{
		"another host":    {"GET", "/sim/users", nil, func(r *http.Request) { r.Host = "evil.example" }, 403},
		"another origin":  {"POST", "/sim/start", object{"user": 1001}, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		"opaque origin":   {"POST", "/sim/start", object{"user": 1001}, func(r *http.Request) { r.Header.Set("Origin", "null") }, 403},
		"own origin":      {"POST", "/sim/start", object{"user": 1001}, func(r *http.Request) { r.Header.Set("Origin", "http://localhost:8081") }, 200},
		"form body":       {"POST", "/sim/start", object{"user": 1001}, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }, 400},
		"unknown user":    {"GET", "/sim/state?user=7", nil, nil, 404},
		"no user":         {"GET", "/sim/events", nil, nil, 404},
		"unknown message": {"POST", "/sim/press", object{"user": 1001, "message_id": 9, "data": "x"}, nil, 404},
		"unknown call":    {"POST", "/sim/dance", object{}, nil, 400},
		"unknown path":    {"GET", "/sim/dance", nil, nil, 404},
		"empty text":      {"POST", "/sim/send", object{"user": 1001, "text": " "}, nil, 400},
		"not JSON":        {"POST", "/sim/send", json.RawMessage(`[]`), nil, 400},
		"too big":         {"POST", "/sim/edit", object{"user": 1001, "message_id": 1, "text": strings.Repeat("x", 1<<20)}, nil, 413},
		"bad faults":      {"POST", "/sim/faults", object{"slow_percent": -1}, nil, 400},
	} {
		status, a := pageCall(t, s, test.method, test.path, test.body, test.change)
		if status != test.want || status != 200 && a.Get("error").String() == "" {
			t.Errorf("%s: %d %s", name, status, a)
		}
	}
	if status, a := pageCall(t, s, "POST", "/sim/faults", object{"too_many_percent": 5, "chat_retry_after": object{"1001": 9}}, nil); status != 200 || a.Get("chat_retry_after.1001").Int() != 9 {
		t.Error(status, a)
	}
	if status, a := pageCall(t, s, "POST", "/sim/faults", object{"slow_ms": 1}, nil); status != 200 || a.Get("too_many_percent").Int() != 5 {
		t.Error("other fields must keep their value", status, a)
	}
}

// A page that does not read is cut off and holds nobody up.
func TestSlowReaderIsCutOff(t *testing.T) {
	s := start(t, Options{})
	u := started(t, s, 1, "Ada")
	r := s.hub.open(u.ID)
	for range readerBuffer + 1 {
		if _, err := s.Say(u.ID, "x"); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for range r.frames {
		n++
	}
	if n != readerBuffer {
		t.Fatalf("%d events kept", n)
	}
	s.hub.leave(r)
}

// What asks for words is in force until there are some, and tells by which message.
func TestForceReply(t *testing.T) {
	s := start(t, Options{})
	ada := started(t, s, 0, "Ada")
	post(t, s, "sendMessage", object{"chat_id": ada.ID, "text": "How many?", "reply_markup": object{"force_reply": true}})
	state := func() gjson.Result {
		_, state := pageCall(t, s, "GET", "/sim/state?user="+strconv.FormatInt(ada.ID, 10), nil, nil)
		return state
	}
	if now := state(); !now.Get("keyboard.force_reply").Bool() || now.Get("keyboard_of").Int() != now.Get("messages.@reverse.0.message_id").Int() {
		t.Error(now)
	}
	if _, err := s.Say(ada.ID, "Five"); err != nil {
		t.Fatal(err)
	}
	if now := state(); now.Get("keyboard").Type != gjson.Null || now.Get("keyboard_of").Int() != 0 {
		t.Error(now)
	}
}

// Words that stand twice are quoted where the person marked them.
func TestQuoteAt(t *testing.T) {
	s := start(t, Options{})
	ada := started(t, s, 0, "Ada")
	first, err := s.Say(ada.ID, "👋 one two one")
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[int]int{11: 200, 3: 200, 4: 400, -1: 400, 99: 400} {
		status, a := pageCall(t, s, "POST", "/sim/send", object{"user": ada.ID, "text": "x", "reply_to": first.MessageID, "quote": "one", "quote_at": at}, nil)
		if status != want || status == 200 && a.Get("message.quote.position").Int() != int64(at) {
			t.Errorf("at %d: %d %s", at, status, a)
		}
	}
}

// Groups and inline mode, as the page drives them.
func TestPageGroups(t *testing.T) {
	s := start(t, Options{})
	ada, bob := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	act := func(path string, body object) gjson.Result {
		t.Helper()
		status, a := pageCall(t, s, "POST", path, body, nil)
		if status != 200 {
			t.Fatal(path, status, a)
		}
		return a
	}
	small := act("/sim/group", object{"name": "Friends", "members": []int64{ada.ID}, "chat_type": "group"}).Get("chat.id").Int()
	chat := act("/sim/upgrade", object{"user": ada.ID, "chat": small}).Get("chat.id").Int()
	act("/sim/join", object{"user": bob.ID, "chat": chat})
	act("/sim/promote", object{"user": bob.ID, "chat": chat, "admin": true})
	act("/sim/forum", object{"chat": chat})
	if thread := act("/sim/topic", object{"user": bob.ID, "chat": chat, "name": "Food"}).Get("thread").Int(); thread == 0 {
		t.Error("no topic")
	}
	act("/sim/bot", object{"user": ada.ID, "chat": chat, "ban": true})
	act("/sim/bot", object{"user": ada.ID, "chat": chat, "present": true})
	act("/sim/leave", object{"user": bob.ID, "chat": chat})
	if _, a := pageCall(t, s, "GET", "/sim/chats?user="+strconv.FormatInt(ada.ID, 10), nil, nil); a.Get("chats.#").Int() != 2 || a.Get("chats.1.id").Int() != chat {
		t.Error(a)
	}
	id := act("/sim/type", object{"user": ada.ID, "text": "Fuji"}).Get("inline_query_id").String()
	if a := post(t, s, "answerInlineQuery", object{"inline_query_id": id, "results": []object{{
		"type": "article", "id": "a", "title": "t", "input_message_content": object{"message_text": "3776 m"},
	}}}); !a.OK {
		t.Fatal(a)
	}
	if _, a := pageCall(t, s, "GET", "/sim/inline?id="+id, nil, nil); a.Get("answer.results.0.id").String() != "a" {
		t.Error(a)
	}
	if a := act("/sim/choose", object{"query": id, "result": "a", "chat": chat}); a.Get("message.via_bot.id").Int() != s.Bot().ID {
		t.Error(a)
	}
	act("/sim/choose", object{"query": id, "result": "a", "elsewhere": true})
}

// Each chat has the commands of its own scope.
func TestCommandsOfAChat(t *testing.T) {
	s := start(t, Options{})
	ada, bob := started(t, s, 0, "Ada"), started(t, s, 0, "Bob")
	g, err := s.Group("Friends", ada.ID, bob.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, scope := range []string{"default", "all_private_chats", "all_group_chats", "all_chat_administrators"} {
		post(t, s, "setMyCommands", object{"scope": object{"type": scope}, "commands": []object{{"command": scope, "description": "x"}}})
	}
	for want, who := range map[string][2]int64{"all_private_chats": {ada.ID, ada.ID}, "all_chat_administrators": {ada.ID, g.ID}, "all_group_chats": {bob.ID, g.ID}} {
		_, state := pageCall(t, s, "GET", fmt.Sprintf("/sim/state?user=%d&chat=%d", who[0], who[1]), nil, nil)
		if got := state.Get("commands.0.command").String(); got != want {
			t.Errorf("%v sees %s, not %s", who, got, want)
		}
	}
}
