package llm

import (
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

// TestTranslatedResponseFails: the event that tells of an error has the number after the
// last one's, and says it where OpenAI documents it and where its clients look.
func TestTranslatedResponseFails(t *testing.T) {
	for name, stream := range map[string]func(translate.Answer) translator{
		"from chat":     func(a translate.Answer) translator { return translate.NewResponsesStream(a) },
		"from messages": func(a translate.Answer) translator { return translate.NewChain(a) },
	} {
		read := &chatAnswer{heard: heard{text: NewTranscript(new(Counter))}}
		r := newTranslation(read, responsesProtocol, stream, nil)
		data := `{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":"a"}}]}`
		if name == "from messages" {
			data = `{"type":"message_start","message":{"id":"msg_1","usage":{}}}`
		}
		said, err := r.write.passed(Event{Data: []byte(data)})
		if err != nil {
			t.Fatal(err)
		}
		before := int64(strings.Count(string(said), "event: "))
		failed := string(r.Fail(nil, Failure{Body: []byte(`{"error":{"message":"It broke.","type":"server_error","param":null,"code":"provider_error"}}`), Code: "provider_error", Message: "It broke."}))
		event, is := strings.CutPrefix(failed, "event: error\ndata: ")
		if !is || !strings.HasSuffix(event, "\n\n") || !gjson.Valid(event) {
			t.Fatalf("%s: %q", name, failed)
		}
		if e := gjson.Parse(event); before == 0 || e.Get("sequence_number").Int() != before || e.Get("code").Str != "provider_error" || e.Get("error.message").Str != "It broke." {
			t.Errorf("%s: after %d events: %s", name, before, event)
		}
	}
}

// TestTranslatedAnswerHasID: a provider that names none does not leave its answers
// without, nor two of them with the same.
func TestTranslatedAnswerHasID(t *testing.T) {
	seen := map[string]bool{}
	for range 2 {
		read := &chatAnswer{heard: heard{text: NewTranscript(new(Counter))}}
		r := newTranslation(read, messagesProtocol, func(a translate.Answer) translator { return translate.NewMessagesStream(a) }, nil)
		said, err := r.write.passed(Event{Data: []byte(`{"choices":[{"index":0,"delta":{"content":"a"}}]}`)})
		if err != nil {
			t.Fatal(err)
		}
		_, data, _ := strings.Cut(string(said), "data: ")
		id := gjson.Get(data, "message.id").Str
		if len(id) < len("msg_")+20 || seen[id] {
			t.Errorf("the id is %q", id)
		}
		seen[id] = true
	}
}
