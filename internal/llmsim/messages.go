package llmsim

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
)

// What the Script's usages are in Anthropic's protocol.
const (
	MessagesUsageNegative = `{"input_tokens":-12,"output_tokens":-7,"cache_read_input_tokens":-3,"cache_creation_input_tokens":-1}`
	MessagesUsageHuge     = `{"input_tokens":9223372036854775807,"output_tokens":9223372036854775807,"cache_read_input_tokens":9223372036854775807}`
	MessagesUsageString   = `{"input_tokens":"12","output_tokens":"7"}`
)

// messages says an output as Anthropic's messages do.
type messages struct {
	turn   *turn
	req    *messagesRequest
	script *Script
	id     int64
	block  int // content blocks begun in the stream
}

// messages is the protocol of Anthropic's messages.
func (s *Server) messages() protocol {
	return protocol{
		allowed: s.apiKey,
		denied:  badAPIKey,
		instant: &instantAnswer{whole: instantMessage, stream: instantMessageStream},
		refuse:  s.refuseMessages,
		read: func(r *http.Request, body []byte) (*turn, func(*Script) dialect, *apiError) {
			if fault := checkVersion(r); fault != nil {
				return nil, nil, fault
			}
			req, t, fault := parseMessages(body, r.Header.Get("Anthropic-Version"), false)
			if fault != nil {
				return nil, nil, fault
			}
			return t, func(script *Script) dialect {
				return &messages{turn: t, req: req, script: script, id: s.serial.Add(1)}
			}, nil
		},
	}
}

// apiKey tells whether a request carries the key as Anthropic's clients do: in a
// header of its own, or as a bearer.
func (s *Server) apiKey(r *http.Request) bool {
	return s.bearer(r) || s.isKey(r.Header.Get("X-Api-Key"))
}

// isMessages tells an Anthropic client's request where the path does not.
func isMessages(r *http.Request) bool { return r.Header.Get("Anthropic-Version") != "" }

func badAPIKey() *apiError {
	e := invalid("", "", "invalid x-api-key")
	e.Status = http.StatusUnauthorized
	return e
}

func unknownMessagesModel(model string) *apiError {
	e := invalid("", "", "model: "+model)
	e.Status = http.StatusNotFound
	return e
}

// newestVersion takes less than those before it: see messagesRequest.checkNewest.
const newestVersion = "2026-10-21"

func checkVersion(r *http.Request) *apiError {
	switch version := r.Header.Get("Anthropic-Version"); version {
	case "2023-01-01", "2023-06-01", newestVersion:
		return nil
	case "":
		return invalid("", "", "anthropic-version: header is required")
	default:
		return invalid("", "", fmt.Sprintf("anthropic-version: %q is not a valid version", version))
	}
}

// refuseMessages sends an error as Anthropic does.
func (s *Server) refuseMessages(w http.ResponseWriter, fault *apiError) {
	id := requestID(s.serial.Add(1))
	w.Header().Set("Request-Id", id)
	s.send(w, fault.Status, fault.messagesBody(id))
}

func requestID(serial int64) string { return fmt.Sprintf("req_sim%020d", serial) }

func (m *messages) header(h http.Header) {
	h.Set("Request-Id", requestID(m.id))
	h.Set("Anthropic-Organization-Id", "org_sim")
}

func (m *messages) fault(e *apiError) string {
	if e.Status == http.StatusNotFound {
		e = unknownMessagesModel(m.turn.model)
	}
	return e.messagesBody(requestID(m.id))
}

// head opens the message: all that stands before its content.
func (m *messages) head() string {
	if m.script.Bare {
		return fmt.Sprintf(`{"type":"message","role":"assistant","model":%s`, quoted(m.turn.model))
	}
	return fmt.Sprintf(`{"model":%s,"id":"msg_sim%020d","type":"message","role":"assistant"`, quoted(m.turn.model), m.id)
}

func (m *messages) whole(o *output) string {
	var content []string
	for _, kind := range []pieceKind{saidThought, saidText, saidRefusal} {
		text := o.text(kind, 0)
		switch {
		case text == "":
		case kind == saidThought:
			content = append(content, fmt.Sprintf(`{"type":"thinking","thinking":%s,"signature":"%s"}`, quoted(text), signature(text)))
		default:
			content = append(content, fmt.Sprintf(`{"type":"text","text":%s}`, quoted(text)))
		}
	}
	for i, call := range o.calls {
		input := o.text(saidArguments, i)
		if o.finish == finishLength && i == len(o.calls)-1 {
			input = "{}" // what was cut off is no JSON, and is left out
		}
		content = append(content, fmt.Sprintf(`{"type":"tool_use","id":"%s","name":%s,"input":%s,"caller":{"type":"direct"}}`, m.callID(i), quoted(call.name), plain(input)))
	}
	usage := m.usage(o)
	if usage != "" {
		usage = `,"usage":` + usage
	}
	return fmt.Sprintf(`%s,"content":[%s],%s,"diagnostics":null%s}`, m.head(), strings.Join(content, ","), stopReason(o), usage)
}

func (m *messages) callID(call int) string { return fmt.Sprintf("toolu_sim%018d%02d", m.id, call) }

func (m *messages) open(*output) []event {
	usage := m.usage(nil)
	if usage != "" {
		usage = `,"usage":` + usage
	}
	return []event{
		named("message_start", fmt.Sprintf(`"message":%s,"content":[],"stop_reason":null,"stop_sequence":null,"stop_details":null,"container":null,"diagnostics":null%s}`, m.head(), usage)),
	}
}

func (m *messages) begin(*output) []event { return nil }

// piece carries a token, begins its block before the first of a run, and ends it
// after the last.
func (m *messages) piece(o *output, i, _ int) []event {
	p := o.pieces[i]
	var events []event
	if i == 0 || o.pieces[i-1].last {
		events = append(events, m.start(o, p))
		if i == 0 {
			events = append(events, named("ping", ""))
		}
		m.block++
	}
	index := m.block - 1
	delta := ""
	switch p.kind {
	case saidThought:
		delta = `{"type":"thinking_delta","thinking":` + quoted(p.text) + `}`
	case saidText, saidRefusal:
		delta = `{"type":"text_delta","text":` + quoted(p.text) + `}`
	case saidArguments:
		delta = `{"type":"input_json_delta","partial_json":` + quoted(p.text) + `}`
	}
	events = append(events, named("content_block_delta", fmt.Sprintf(`"index":%d,"delta":%s`, index, delta)))
	if !p.last {
		return events
	}
	if p.kind == saidThought {
		events = append(events, named("content_block_delta",
			fmt.Sprintf(`"index":%d,"delta":{"type":"signature_delta","signature":"%s"}`, index, signature(o.text(saidThought, 0)))))
	}
	return append(events, named("content_block_stop", fmt.Sprintf(`"index":%d`, index)))
}

func (m *messages) start(o *output, p piece) event {
	block := `{"type":"text","text":""}`
	switch p.kind {
	case saidThought:
		block = `{"type":"thinking","thinking":"","signature":""}`
	case saidArguments:
		block = fmt.Sprintf(`{"type":"tool_use","id":"%s","name":%s,"input":{},"caller":{"type":"direct"}}`, m.callID(p.call), quoted(o.calls[p.call].name))
	case saidText, saidRefusal:
	}
	return named("content_block_start", fmt.Sprintf(`"index":%d,"content_block":%s`, m.block, block))
}

func (m *messages) failure() event {
	return event{name: "error", data: m.fault(faultFor(http.StatusInternalServerError))}
}

func (m *messages) end(o *output) []event {
	usage := m.usage(o)
	if usage != "" {
		usage = `,"usage":` + usage
	}
	return []event{
		named("message_delta", fmt.Sprintf(`"delta":{%s}%s`, stopReason(o), usage)),
		named("message_stop", ""),
	}
}

// named is an event whose data repeats its name, as all of Anthropic's do.
func named(name, more string) event {
	if more != "" {
		more = "," + more
	}
	return event{name: name, data: fmt.Sprintf(`{"type":"%s"%s}`, name, more)}
}

// usage is the JSON of the usage, or "" for none; before anything is said, that of
// the prompt. What is read from the cache or
// written to it is not among the input tokens.
func (m *messages) usage(said *output) string {
	switch m.script.Usage {
	case "":
	case UsageNone:
		return ""
	case UsageNegative:
		return MessagesUsageNegative
	case UsageHuge:
		return MessagesUsageHuge
	case UsageString:
		return MessagesUsageString
	default:
		return m.script.Usage
	}
	all, _ := m.turn.promptTokens()
	read, written := m.req.cache.split()
	short, long := written, int64(0)
	if m.req.cache.hour {
		short, long = 0, written
	}
	prompt := fmt.Sprintf(`{"input_tokens":%d,"cache_creation_input_tokens":%d,"cache_read_input_tokens":%d`, all-read-written, written, read)
	kept := fmt.Sprintf(`,"cache_creation":{"ephemeral_5m_input_tokens":%d,"ephemeral_1h_input_tokens":%d},"service_tier":"standard","inference_geo":null,"speed":null`, short, long)
	if said == nil {
		return prompt + kept + `,"output_tokens":1,"output_tokens_details":null,"server_tool_use":null}`
	}
	told := fmt.Sprintf(`,"output_tokens":%d,"output_tokens_details":{"thinking_tokens":%d},"server_tool_use":null}`, len(said.pieces)+said.hidden, said.hidden+said.count(saidThought))
	if m.turn.stream {
		return prompt + told
	}
	return prompt + kept + told
}

// split tells how much of the prefix is read from the cache, and how much is
// written to it. What is marked before the newest message was written when that
// part of the conversation was new. Short prefixes are not cached.
func (p prefix) split() (read, written int64) {
	if p.read >= cacheFrom {
		read = p.read
	}
	if p.end >= cacheFrom {
		written = max(0, p.end-read)
	}
	return read, written
}

func stopReason(o *output) string {
	reason, sequence, details := "end_turn", "null", "null"
	switch o.finish {
	case finishLength:
		reason = "max_tokens"
	case finishSequence:
		reason, sequence = "stop_sequence", quoted(o.stopped)
	case finishCalls:
		reason = "tool_use"
	case finishRefusal:
		reason, details = "refusal", `{"type":"refusal","category":null,"explanation":null}`
	case finishStop:
	}
	return fmt.Sprintf(`"stop_reason":"%s","stop_sequence":%s,"stop_details":%s,"container":null`, reason, sequence, details)
}

// signature stands for the proof that a thought is the model's own.
func signature(thought string) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "llmsim:%d", pick(thought, 1<<30)))
}

// counting is the protocol of Anthropic's token count. It takes scripts for their
// faults; what it tells is the prompt.
func (s *Server) counting() protocol {
	return protocol{
		allowed: s.apiKey,
		denied:  badAPIKey,
		refuse:  s.refuseMessages,
		read: func(r *http.Request, body []byte) (*turn, func(*Script) dialect, *apiError) {
			if fault := checkVersion(r); fault != nil {
				return nil, nil, fault
			}
			req, t, fault := parseMessages(body, r.Header.Get("Anthropic-Version"), true)
			if fault != nil {
				return nil, nil, fault
			}
			t.mute, t.stream = true, false
			return t, func(script *Script) dialect {
				return &counted{messages{turn: t, req: req, script: script, id: s.serial.Add(1)}}
			}, nil
		},
	}
}

// counted answers with the count alone.
type counted struct{ messages }

func (c *counted) whole(*output) string {
	all, _ := c.turn.promptTokens()
	return fmt.Sprintf(`{"input_tokens":%d}`, all)
}
