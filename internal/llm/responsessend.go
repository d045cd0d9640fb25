package llm

import (
	"encoding/json"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

var responsesProtocol = protocol{appendResponseCost, func(to []byte, t translator, f Failure) []byte {
	return failResponse(to, t.(numbered).Next(), f)
}}

// numbered is a translator whose client numbers the events.
type numbered interface {
	translator
	Next() int64
}

// send: a provider that has Responses is asked for them, others for what they have.
func (r *responsesRequest) send(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	switch {
	case d.Provider.Protocol == ProtocolAnthropic:
		return r.sendMessages(d, maxOutput, t)
	case !d.Provider.Responses:
		return r.sendChat(d, maxOutput, t)
	}
	body := r.appendPatched(make([]byte, 0, len(r.body)+patchRoom), d, maxOutput)
	a := &responsesAnswer{heard: heard{text: t}}
	return d.outbound(OpResponses, r.Stream, body), Rendition{read: a, write: a}, nil
}

func (r *responsesRequest) sendChat(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	asked := r.translatable()
	body, err := translate.ResponsesToChat(asked, translate.Out{Model: d.Model, MaxTokens: maxOutput, LengthField: d.Provider.lengthField("")})
	if err != nil {
		return Outbound{}, Rendition{}, translated(err, err)
	}
	stream := func(a translate.Answer) translator {
		a.Request = asked
		return translate.NewResponsesStream(a)
	}
	turn := func(answer []byte, a translate.Answer) ([]byte, error) {
		a.Request = asked
		return translate.ChatAnswerToResponses(answer, a)
	}
	read := &chatAnswer{heard: heard{text: t}, model: r.Model}
	return d.outbound(OpChat, r.Stream, d.Provider.unkept(body)), newTranslation(read, responsesProtocol, stream, turn), nil
}

func (r *responsesRequest) sendMessages(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	asked := r.translatable()
	body, err := translate.ResponsesToMessages(asked, translate.Out{Model: d.Model, MaxTokens: maxOutput})
	if err != nil {
		return Outbound{}, Rendition{}, translated(err, err)
	}
	stream := func(a translate.Answer) translator {
		a.Request = asked
		return translate.NewChain(a)
	}
	turn := func(answer []byte, a translate.Answer) ([]byte, error) {
		a.Request = asked
		return translate.MessagesAnswerToResponses(answer, a)
	}
	read := &messagesAnswer{heard: heard{text: t}}
	return d.outbound(OpMessages, r.Stream, body), newTranslation(read, responsesProtocol, stream, turn), nil
}

// appendResponseCost appends a response, or an event that holds one, with the cost in the
// usage that stands in it; see appendWithCost.
func appendResponseCost(to []byte, body string, usage gjson.Result, f Final) []byte {
	if usage.IsObject() && usage.Index > 0 && !f.Estimated && !usage.Get("cost").Exists() {
		return appendCost(to, body, usage, f)
	}
	path := "usage"
	if gjson.Get(body, "response").IsObject() {
		path = "response.usage"
	}
	return appendPatched(to, body, path, patchedUsage(usage, f, "input_tokens", "output_tokens"))
}

// failResponse appends the event that ends a stream of Responses in an error. It says so
// twice: as OpenAI documents it, and in an object "error", as OpenAI sends it and its
// clients look for it.
func failResponse(to []byte, number int64, f Failure) []byte {
	text, _ := json.Marshal(struct { // strings and numbers always encode
		Type    string          `json:"type"`
		Code    string          `json:"code"`
		Message string          `json:"message"`
		Param   *string         `json:"param"`
		Number  int64           `json:"sequence_number"`
		Error   json.RawMessage `json:"error,omitempty"`
	}{"error", f.Code, f.Message, nil, number, json.RawMessage(gjson.GetBytes(f.Body, "error").Raw)})
	to = append(to, "event: error\n"+eventHead...)
	to = append(to, text...)
	return append(to, eventTail...)
}
