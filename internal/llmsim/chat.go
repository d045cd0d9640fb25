package llmsim

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

const (
	soundBytes  = 480 // of the 24 kHz PCM that stands for a spoken token: 10 ms
	soundExpiry = 3600
	likelihood  = -0.0001 // of every token, as a logarithm
)

// chat says an output as chat completions do.
type chat struct {
	openAI
	req  *chatRequest
	sent int // tokens streamed
}

func readChat(_ *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req, t, fault := parseChat(body)
	if fault != nil {
		return nil, nil, fault
	}
	return t, func(a openAI) dialect { return &chat{openAI: a, req: req} }, nil
}

// head opens every object sent: id, created, model …
func (c *chat) head() string {
	object := "chat.completion"
	if c.turn.stream {
		object = "chat.completion.chunk"
	}
	if c.script.Bare {
		return fmt.Sprintf(`{"object":"%s","model":%s`, object, quoted(c.turn.model))
	}
	return fmt.Sprintf(`{"id":"chatcmpl-sim%020d","object":"%s","created":%d,"model":%s,"service_tier":"default","system_fingerprint":"fp_llmsim0001"`,
		c.id, object, c.created, quoted(c.turn.model))
}

func (c *chat) whole(o *output) string {
	var b strings.Builder
	b.WriteString(c.head() + `,"choices":[`)
	for i := range c.turn.choices {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"index":%d,"message":%s,"logprobs":%s,"finish_reason":"%s"}`, i, c.message(o, i), c.logprobs(o), chatFinish(o.finish))
	}
	b.WriteByte(']')
	if usage := c.usage(o, len(o.pieces)*c.turn.choices); usage != "" {
		b.WriteString(`,"usage":` + usage)
	}
	b.WriteByte('}')
	return b.String()
}

func (c *chat) message(o *output, choice int) string {
	content, refusal, more := "null", "null", ""
	if o.finish == finishRefusal {
		refusal = quoted(o.text(saidRefusal, 0))
	}
	if len(o.calls) == 0 && o.finish != finishRefusal {
		content = quoted(o.text(saidText, 0))
	}
	if c.turn.spoken && len(o.calls) == 0 {
		content = "null"
		more += fmt.Sprintf(`,"audio":{"id":"audio_sim%020d","data":"%s","expires_at":%d,"transcript":%s}`,
			c.id, sound(o.count(saidText)), c.created+soundExpiry, quoted(o.text(saidText, 0)))
	}
	if c.script.Reveal {
		more += `,"reasoning_content":` + quoted(o.text(saidThought, 0))
	}
	if len(o.calls) > 0 {
		var calls []string
		for i, call := range o.calls {
			calls = append(calls, fmt.Sprintf(`{"id":"%s","type":"function","function":{"name":%s,"arguments":%s}}`,
				c.callID(choice, i), quoted(call.name), quoted(o.text(saidArguments, i))))
		}
		more += `,"tool_calls":[` + strings.Join(calls, ",") + `]`
	}
	return fmt.Sprintf(`{"role":"assistant","content":%s,"refusal":%s,"annotations":[]%s}`, content, refusal, more)
}

func (c *chat) callID(choice, call int) string {
	return fmt.Sprintf("call_sim%018d%02d%02d", c.id, choice, call)
}

func (c *chat) open(*output) []event { return nil }

func (c *chat) begin(o *output) []event {
	content := `""`
	if len(o.calls) > 0 || c.turn.spoken {
		content = "null"
	}
	var events []event
	for i := range c.turn.choices {
		events = append(events, c.chunk(i, `{"role":"assistant","content":`+content+`,"refusal":null}`, "null", ""))
	}
	return events
}

func (c *chat) piece(o *output, i, choice int) []event {
	p := o.pieces[i]
	c.sent++
	switch p.kind {
	case saidThought:
		return []event{c.chunk(choice, `{"reasoning_content":`+quoted(p.text)+`}`, "null", "")}
	case saidRefusal:
		return []event{c.chunk(choice, `{"refusal":`+quoted(p.text)+`}`, "null", "")}
	case saidArguments:
		return c.arguments(o, i, choice)
	case saidText:
	}
	if c.turn.spoken {
		return []event{c.chunk(choice, fmt.Sprintf(`{"audio":{"id":"audio_sim%020d","transcript":%s,"data":"%s"}}`, c.id, quoted(p.text), sound(1)), "null", "")}
	}
	return []event{c.chunk(choice, `{"content":`+quoted(p.text)+`}`, c.logprob(p), "")}
}

// arguments carries a piece of a call, and before its first one the call's name.
func (c *chat) arguments(o *output, i, choice int) []event {
	p := o.pieces[i]
	more := c.chunk(choice, fmt.Sprintf(`{"tool_calls":[{"index":%d,"function":{"arguments":%s}}]}`, p.call, quoted(p.text)), "null", "")
	if i > 0 && o.pieces[i-1].kind == saidArguments && o.pieces[i-1].call == p.call {
		return []event{more}
	}
	return []event{c.chunk(choice, fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"%s","type":"function","function":{"name":%s,"arguments":""}}]}`,
		p.call, c.callID(choice, p.call), quoted(o.calls[p.call].name)), "null", ""), more}
}

func (c *chat) failure() event { return event{data: faultFor(http.StatusInternalServerError).body()} }

func (c *chat) end(o *output) []event {
	var events []event
	for i := range c.turn.choices {
		if c.turn.spoken && len(o.calls) == 0 {
			events = append(events, c.chunk(i, fmt.Sprintf(`{"audio":{"id":"audio_sim%020d","expires_at":%d}}`, c.id, c.created+soundExpiry), "null", ""))
		}
		events = append(events, c.chunk(i, `{}`, "null", chatFinish(o.finish)))
	}
	if usage := c.usage(o, c.sent); usage != "" {
		events = append(events, event{data: c.head() + `,"choices":[],"usage":` + usage + `}`})
	}
	return append(events, event{data: "[DONE]"})
}

func (c *chat) chunk(index int, delta, logprobs, finish string) event {
	reason, usage := "null", ""
	if finish != "" {
		reason = `"` + finish + `"`
	}
	if c.req.includeUsage() && c.script.Usage != UsageNone {
		usage = `,"usage":null`
	}
	return event{data: fmt.Sprintf(`%s,"choices":[{"index":%d,"delta":%s,"logprobs":%s,"finish_reason":%s}]%s}`, c.head(), index, delta, logprobs, reason, usage)}
}

// usage is the JSON of the usage, or "" for none. Completion is in tokens shown,
// over all choices.
func (c *chat) usage(o *output, completion int) string {
	switch {
	case c.script.Usage == UsageNone || !c.req.includeUsage():
		return ""
	case c.script.Usage != "":
		return c.script.Usage
	}
	prompt, cached := c.turn.promptTokens()
	if cached = cached / cacheStep * cacheStep; prompt < cacheFrom {
		cached = 0
	}
	reasoning := o.hidden + o.count(saidThought)*c.turn.choices
	completion += o.hidden
	spoken := 0
	if c.turn.spoken {
		spoken = o.count(saidText) * c.turn.choices
	}
	return fmt.Sprintf(`{"prompt_tokens":%d,"completion_tokens":%d,"total_tokens":%d,`+
		`"prompt_tokens_details":{"cached_tokens":%d,"audio_tokens":%d},`+
		`"completion_tokens_details":{"reasoning_tokens":%d,"audio_tokens":%d,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}`,
		prompt, completion, prompt+int64(completion), cached, c.turn.soundTokens(), reasoning, spoken)
}

func (c *chat) logprobs(o *output) string {
	if !c.req.Logprobs {
		return "null"
	}
	var all []string
	for _, p := range o.pieces {
		if p.kind == saidText {
			all = append(all, c.likely(p.text))
		}
	}
	return `{"content":[` + strings.Join(all, ",") + `],"refusal":null}`
}

func (c *chat) logprob(p piece) string {
	if !c.req.Logprobs {
		return "null"
	}
	return `{"content":[` + c.likely(p.text) + `],"refusal":null}`
}

// likely is a token with its likelihood. Among the tokens that could have stood
// there it comes first; the others are it with dots behind it.
func (c *chat) likely(text string) string {
	top := make([]string, 0, c.req.TopLogprobs)
	for i := range c.req.TopLogprobs {
		top = append(top, oneLogprob(text+strings.Repeat(".", i), likelihood-float64(i))+"}")
	}
	return oneLogprob(text, likelihood) + `,"top_logprobs":[` + strings.Join(top, ",") + `]}`
}

func oneLogprob(text string, value float64) string {
	numbers := make([]int, len(text)) // not []byte, which JSON writes as base64
	for i := range len(text) {
		numbers[i] = int(text[i])
	}
	raw, err := json.Marshal(numbers)
	if err != nil { // numbers always encode
		raw = []byte("null")
	}
	return fmt.Sprintf(`{"token":%s,"logprob":%g,"bytes":%s`, quoted(text), value, raw)
}

func chatFinish(f finish) string {
	switch f {
	case finishLength:
		return "length"
	case finishCalls:
		return "tool_calls"
	case finishStop, finishSequence, finishRefusal:
	}
	return "stop"
}

// sound is silence in base64, as long as so many spoken tokens.
func sound(tokens int) string {
	return base64.StdEncoding.EncodeToString(make([]byte, tokens*soundBytes))
}
