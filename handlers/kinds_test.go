package handlers

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/telegramsim/spec"
	"github.com/kikuai/kikuai/internal/testenv"
)

// Private chats of the documentation's samples: several, so that no pace holds them up.
const (
	sampleChat  = 100_001
	sampleChats = 40
)

// Every kind of update, and every kind of message, with optional fields missing one by one
// and all of them, leads to a sentence, to a question or to nothing: never to a failure,
// after which it would be a dead letter.
func TestEveryKindOfMessage(t *testing.T) {
	t.Parallel()
	s, _ := newReader(t)
	said := func(chat int64) (n int) {
		for _, m := range s.telegram.Messages(chat) {
			if m.FromBot() {
				n++
			}
		}
		return n
	}
	for chat := range int64(sampleChats) {
		s.telegram.User(sampleChat+chat, "Sample")
		if _, err := s.telegram.StartBot(sampleChat+chat, ""); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Until(s.t, "they are welcomed", func() bool { return said(sampleChat+sampleChats-1) == 1 })
	s.settled()
	quiet, spoken, id := 0, 0, int64(900_000_000)
	for _, sample := range thinned(t, spec.Samples()) {
		id++
		chat := sampleChat + id%sampleChats
		if sample.Kind == "message" && gjson.GetBytes(sample.JSON, "message.from").Exists() {
			sample.JSON = ofPerson(t, sample.JSON, chat)
		}
		raw, err := sjson.SetBytes(sample.JSON, "update_id", id)
		if err != nil {
			t.Fatal(err)
		}
		u, err := bot.Decode(raw)
		if err != nil {
			t.Errorf("%s cannot be decoded: %v", sample.Name, err)
			continue
		}
		before := said(chat)
		if err := s.router.Handle(t.Context(), u); err != nil {
			t.Errorf("%s: %v", sample.Name, err)
		}
		switch words := said(chat) - before; words {
		case 0:
			quiet++
		case 1, 2: // a sentence, or an answer and the picture of a bill
			spoken++
		default:
			t.Errorf("%s: %d messages", sample.Name, words)
		}
		s.reopen() // nobody was told to wait
	}
	if quiet == 0 || spoken < 15 {
		t.Errorf("%d led to nothing, %d to a sentence", quiet, spoken)
	}
	t.Logf("%d kinds: %d led to nothing, %d to a sentence", quiet+spoken, quiet, spoken)
}

// thinned adds to each message that is full of one thing the same with a part of that
// missing, wherever the decoder takes it.
func thinned(t *testing.T, samples []spec.Sample) (all []spec.Sample) {
	t.Helper()
	for _, sample := range samples {
		all = append(all, sample)
		if sample.Kind != "message" {
			continue
		}
		sample.Name, sample.JSON = sample.Name+" of a person", ofPerson(t, sample.JSON, sampleChat)
		all = append(all, sample)
		thing, found := strings.CutPrefix(strings.TrimSuffix(sample.Name, " of a person"), "message/")
		if !found || strings.ContainsAny(thing, "/=") || strings.HasSuffix(thing, "_payment") { // what is paid has no optional fields
			continue
		}
		gjson.GetBytes(sample.JSON, "message."+thing).ForEach(func(key, _ gjson.Result) bool {
			if key.Type != gjson.String {
				return true
			}
			raw, err := sjson.DeleteBytes(sample.JSON, "message."+thing+"."+key.Str)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := bot.Decode(raw); err == nil {
				all = append(all, spec.Sample{Name: sample.Name + " without " + key.Str, Kind: sample.Kind, JSON: raw})
			}
			return true
		})
	}
	return all
}

// ofPerson makes a message one that a person wrote in private.
func ofPerson(t *testing.T, raw []byte, chat int64) []byte {
	t.Helper()
	for path, value := range map[string]any{
		"message.from": map[string]any{"id": chat, "is_bot": false, "first_name": "Sample"},
		"message.chat": map[string]any{"id": chat, "type": "private", "first_name": "Sample"},
	} {
		var err error
		if raw, err = sjson.SetBytes(raw, path, value); err != nil {
			t.Fatal(err)
		}
	}
	return raw
}

// A person's message that is nothing anybody could read is answered with one sentence,
// though it comes within an album.
func TestUnreadableThings(t *testing.T) {
	t.Parallel()
	s, _ := newReader(t)
	before := len(s.answered(1))
	for i, kind := range []string{"sticker", "location", "contact", "poll", "dice", "venue", "story", "checklist"} {
		raw := `{"update_id":` + string(rune('1'+i)) + `00,"message":{"message_id":1,"date":1790000000,"from":{"id":77,"is_bot":false,"first_name":"Ada"},
			"chat":{"id":77,"type":"private","first_name":"Ada"}}}`
		shape := map[string]string{
			"sticker": "Sticker", "location": "Location", "contact": "Contact", "poll": "Poll", "dice": "Dice", "venue": "Venue", "story": "Story", "checklist": "Checklist",
		}[kind]
		raw, err := sjson.SetRaw(raw, "message."+kind, string(spec.Object(shape)))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.inbox.Append(t.Context(), []byte(raw)); err != nil {
			t.Fatal(err)
		}
		before++
		if answers := s.answered(before); !strings.Contains(answers[before-1], "This one I cannot read") {
			t.Errorf("%s: %q", kind, answers[before-1])
		}
	}
	s.settled()
	if s.asks() != 0 {
		t.Errorf("asked %d times", s.asks())
	}
}
