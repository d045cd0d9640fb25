package bot

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/kikuai/kikuai/internal/telegramsim/spec"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Updates of every type, bare and with all that is optional, and those of Telegram's
// webhook guide: each is kept, put in order, decoded and handled, and nothing panics.
func TestEveryTypeOfUpdate(t *testing.T) {
	m := newMachine(t)
	var mu sync.Mutex
	handled := map[string]int{}
	d := m.dispatch(func(_ context.Context, u *Update) error {
		e, err := open(string(u.Raw))
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		handled[e.kind]++
		return nil
	})
	sent := map[string]int{}
	for _, sample := range spec.Samples() {
		if e, err := open(string(sample.JSON)); err != nil || e.kind != sample.Kind || knownKind(sample.Kind) != sample.Kind {
			t.Errorf("%s: %+v, %v", sample.Name, e, err)
		}
		sent[sample.Kind]++
		m.put(sample.JSON)
	}
	if want := len(spec.Kinds()); len(sent) != want || want < 27 {
		t.Errorf("%d types of %d", len(sent), want)
	}
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	mu.Lock()
	defer mu.Unlock()
	for kind, n := range sent {
		if handled[kind] != n {
			t.Errorf("%s: %d of %d handled", kind, handled[kind], n)
		}
	}
	for _, l := range m.dead() {
		t.Errorf("dead letter: %s: %s\n%.300s", l.Kind, l.Error, l.Raw)
	}
	if got := metric(t, d.registry, "telegram_updates_total", outcomeUnknown, kindUnknown); got != 0 {
		t.Errorf("%v types are unknown", got)
	}
}

func TestEnvelope(t *testing.T) {
	const chat, user = 1001, 2002
	from := fmt.Sprintf(`"from":{"id":%d}`, user)
	for _, c := range []struct {
		raw  string
		kind string
		key  int64
		lane lane
	}{
		{`{"message":{"chat":{"id":1001}}}`, "message", chat, ordered},
		{`{"message":{"chat":{"id":-1001},` + from + `}}`, "message", -chat, ordered},
		{`{"message":{"chat":{"id":1001},"text":"/stop"}}`, "message", chat, urgent},
		{`{"message":{"chat":{"id":1001},"text":"/STOP@KikuBot now"}}`, "message", chat, urgent},
		{`{"message":{"chat":{"id":1001},"text":"/stopwatch"}}`, "message", chat, ordered},
		{`{"message":{"chat":{"id":1001},"text":"please /stop"}}`, "message", chat, ordered},
		{`{"message":{"chat":{"id":1001},"text":5}}`, "message", chat, ordered},
		{`{"edited_message":{"chat":{"id":1001},"text":"/stop"}}`, "edited_message", chat, ordered},
		{`{"channel_post":{"chat":{"id":1001}}}`, "channel_post", chat, ordered},
		{`{"callback_query":{` + from + `,"message":{"chat":{"id":1001}}}}`, "callback_query", chat, urgent},
		{`{"callback_query":{` + from + `,"inline_message_id":"x"}}`, "callback_query", user, urgent},
		{`{"inline_query":{` + from + `}}`, "inline_query", user, urgent},
		{`{"pre_checkout_query":{` + from + `}}`, "pre_checkout_query", user, checkout},
		{`{"subscription":{"user":{"id":2002}}}`, "subscription", user, urgent},
		{`{"message":{"chat":{"id":1001},"successful_payment":{}}}`, "message", chat, urgent},
		{`{"message":{"chat":{"id":1001},"refunded_payment":{"total_amount":1}}}`, "message", chat, urgent},
		{`{"message":{"chat":{"id":1001},"successful_payment":null,"text":"x"}}`, "message", chat, ordered},
		{`{"edited_message":{"chat":{"id":1001},"successful_payment":{}}}`, "edited_message", chat, ordered},
		{`{"shipping_query":{` + from + `}}`, "shipping_query", user, urgent},
		{`{"stopped_message_generation":{"chat":{"id":1001}}}`, "stopped_message_generation", chat, urgent},
		{`{"poll_answer":{"user":{"id":2002}}}`, "poll_answer", user, ordered},
		{`{"poll_answer":{"voter_chat":{"id":1001}}}`, "poll_answer", chat, ordered},
		{`{"purchased_paid_media":{` + from + `}}`, "purchased_paid_media", user, ordered},
		{`{"business_connection":{"user":{"id":2002}}}`, "business_connection", user, ordered},
		{`{"poll":{"id":"77"}}`, "poll", 5, ordered},
		{`{"message":{"chat":{"id":"1001"}}}`, "message", 5, ordered},
		{`{"message":{"chat":{"id":1.5}}}`, "message", 5, ordered},
		{`{"message":[]}`, "", 5, ordered},
		{`{"message":null}`, "", 5, ordered},
		{`{"newer":{"chat":{"id":1001}},"message":{}}`, "newer", chat, ordered},
	} {
		raw := `{"update_id":5,` + c.raw[1:]
		e, err := open(raw)
		want := envelope{id: 5, kind: c.kind, key: c.key, lane: c.lane}
		want.paid = c.lane == urgent && strings.Contains(raw, "payment")
		want.stop = c.lane == urgent && (c.kind == "stopped_message_generation" || strings.Contains(strings.ToLower(raw), "/stop"))
		if err != nil || e != want {
			t.Errorf("%s: %+v, %v; want %+v", raw, e, err, want)
		}
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(string(textUpdate(1, 7, "/stop")))
	f.Add(string(callbackUpdate(2, 7)))
	f.Add(`{"update_id":1e3}`)
	f.Add(`{"update_id":3,"update_id":4,"message":{"chat":{"id":{}}}}`)
	f.Fuzz(func(t *testing.T, raw string) {
		e, err := open(raw)
		if err != nil {
			return
		}
		if e.id <= 0 || e.id > idMost || !json.Valid([]byte(raw)) {
			t.Errorf("%q: %+v", raw, e)
		}
		u := Update{Raw: []byte(raw)}
		_ = decode(&u) // whatever comes, it returns
	})
}
