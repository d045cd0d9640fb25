package llmsim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// What the Script's usages are where tokens are called input and output: in
// responses, images and transcriptions.
const (
	ResponsesUsageNegative = `{"input_tokens":-12,"output_tokens":-7,"total_tokens":-19,"input_tokens_details":{"cached_tokens":-3}}`
	ResponsesUsageHuge     = `{"input_tokens":9223372036854775807,"output_tokens":9223372036854775807,"total_tokens":9223372036854775807}`
	ResponsesUsageString   = `{"input_tokens":"12","output_tokens":"7","total_tokens":"19"}`
)

// scriptedUsage is what a script says in place of the usage of such a protocol.
func scriptedUsage(script *Script) (usage string, scripted bool) {
	switch script.Usage {
	case "":
		return "", false
	case UsageNone:
		return "null", true
	case UsageNegative:
		return ResponsesUsageNegative, true
	case UsageHuge:
		return ResponsesUsageHuge, true
	case UsageString:
		return ResponsesUsageString, true
	}
	return script.Usage, true
}

// openAI is what OpenAI's answers have in common.
type openAI struct {
	turn    *turn
	script  *Script
	id      int64
	created int64
}

func (a *openAI) header(h http.Header) {
	h.Set("X-Request-Id", requestID(a.id))
	h.Set("Openai-Version", "2020-10-01")
}

func (a *openAI) fault(e *apiError) string {
	if e.Status == http.StatusNotFound {
		e = unknownModel(a.turn.model)
	}
	return e.body()
}

// openAIProtocol is a protocol of OpenAI's.
func (s *Server) openAIProtocol(read func(r *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError)) protocol {
	return protocol{
		allowed: s.bearer,
		denied:  badKey,
		refuse:  s.refuse,
		read: func(r *http.Request, body []byte) (*turn, func(*Script) dialect, *apiError) {
			t, answer, fault := read(r, body)
			if fault != nil {
				return nil, nil, fault
			}
			return t, func(script *Script) dialect {
				return answer(openAI{turn: t, script: script, id: s.serial.Add(1), created: s.now().Unix()})
			}, nil
		},
	}
}

// response says an output as the Responses API does.
type response struct {
	openAI
	req    *responsesRequest
	events int // sent
	items  int // begun
}

func readResponses(_ *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req, t, fault := parseResponses(body)
	if fault != nil {
		return nil, nil, fault
	}
	return t, func(a openAI) dialect { return &response{openAI: a, req: req} }, nil
}

func (r *response) whole(o *output) string {
	status := "completed"
	if o.finish == finishLength {
		status = "incomplete"
	}
	return r.object(status, r.finished(o), r.usage(o))
}

// object is the response with what it has so far.
func (r *response) object(status string, items []string, usage string) string {
	incomplete, completed := "null", "null"
	switch status {
	case "incomplete":
		incomplete = `{"reason":"max_output_tokens"}`
	case "completed":
		completed = strconv.FormatInt(r.created, 10)
	}
	fields := []string{
		fmt.Sprintf(`"id":"resp_sim%020d","object":"response","created_at":%d,"status":"%s","background":false,"completed_at":%s,"error":null,"incomplete_details":%s`,
			r.id, r.created, status, completed, incomplete),
		`"instructions":` + orElse(r.req.Instructions, "null") + `,"max_output_tokens":` + orNull(r.req.MaxOutputTokens) + `,"max_tool_calls":null`,
		fmt.Sprintf(`"model":%s,"output":[%s],"parallel_tool_calls":%t,"previous_response_id":null`,
			quoted(r.turn.model), strings.Join(items, ","), !r.turn.single),
		`"reasoning":` + r.reasoning() + `,"service_tier":"default"`,
		`"temperature":` + orOne(r.req.Temperature) + `,"text":` + r.format(),
		`"tool_choice":` + orElse(r.req.ToolChoice, `"auto"`) + `,"tools":` + orElse(r.req.Tools, "[]"),
		`"top_logprobs":0,"top_p":` + orOne(r.req.TopP) + `,"truncation":"disabled","access_programs":null`,
		`"usage":` + usage + `,"user":null,"metadata":` + orElse(r.req.Metadata, "{}"),
	}
	return "{" + strings.Join(fields, ",") + "}"
}

func (r *response) reasoning() string {
	given := gjson.ParseBytes(r.req.Reasoning)
	return fmt.Sprintf(`{"effort":%s,"summary":%s}`, orElse(json.RawMessage(given.Get("effort").Raw), "null"), orElse(json.RawMessage(given.Get("summary").Raw), "null"))
}

func (r *response) format() string {
	given := gjson.GetBytes(r.req.Text, "format").Raw
	verbosity := gjson.GetBytes(r.req.Text, "verbosity").Raw
	return fmt.Sprintf(`{"format":%s,"verbosity":%s}`, orElse(json.RawMessage(given), `{"type":"text"}`), orElse(json.RawMessage(verbosity), `"medium"`))
}

func orElse(raw json.RawMessage, fallback string) string {
	if len(raw) == 0 || string(raw) == "null" {
		return fallback
	}
	return string(raw)
}

func orNull(n *int64) string {
	if n == nil {
		return "null"
	}
	return strconv.FormatInt(*n, 10)
}

func orOne(f *float64) string {
	if f == nil {
		return "1.0"
	}
	return strconv.FormatFloat(*f, 'f', -1, 64)
}

// finished are the items of the whole output.
func (r *response) finished(o *output) []string {
	var items []string
	if o.hidden > 0 || o.count(saidThought) > 0 {
		items = append(items, r.thought(len(items), o.text(saidThought, 0)))
	}
	if len(o.calls) == 0 {
		kind := saidText
		if o.finish == finishRefusal {
			kind = saidRefusal
		}
		items = append(items, r.message(len(items), "completed", part(kind, o.text(kind, 0))))
	}
	for i, c := range o.calls {
		items = append(items, r.call(len(items), i, "completed", c.name, o.text(saidArguments, i)))
	}
	return items
}

func (r *response) itemID(prefix string, item int) string {
	return fmt.Sprintf("%s_sim%018d%02d", prefix, r.id, item)
}

func (r *response) thought(item int, text string) string {
	summary := ""
	if text != "" {
		summary = `{"type":"summary_text","text":` + quoted(text) + `}`
	}
	sealed := ""
	if slices.Contains(r.req.Include, "reasoning.encrypted_content") {
		sealed = `,"encrypted_content":"` + sealedThought + `"`
	}
	return fmt.Sprintf(`{"id":"%s","type":"reasoning"%s,"summary":[%s]}`, r.itemID("rs", item), sealed, summary)
}

// sealedThought is what nobody but the provider can read of a thought.
const sealedThought = "gAAAAABsimulated"

func (r *response) message(item int, status, content string) string {
	return fmt.Sprintf(`{"id":"%s","type":"message","status":"%s","content":[%s],"role":"assistant"}`, r.itemID("msg", item), status, content)
}

func (r *response) call(item, call int, status, name, arguments string) string {
	return fmt.Sprintf(`{"id":"%s","type":"function_call","status":"%s","arguments":%s,"call_id":"call_sim%018d%02d","name":%s}`,
		r.itemID("fc", item), status, quoted(arguments), r.id, call, quoted(name))
}

// part is the content of a message.
func part(kind pieceKind, text string) string {
	if kind == saidRefusal {
		return `{"type":"refusal","refusal":` + quoted(text) + `}`
	}
	return `{"type":"output_text","annotations":[],"logprobs":[],"text":` + quoted(text) + `}`
}

func (r *response) usage(o *output) string {
	if usage, scripted := scriptedUsage(r.script); scripted {
		return usage
	}
	in, cached := r.turn.promptTokens()
	if cached = cached / cacheStep * cacheStep; in < cacheFrom {
		cached = 0
	}
	out := int64(len(o.pieces) + o.hidden)
	return fmt.Sprintf(`{"input_tokens":%d,"input_tokens_details":{"cached_tokens":%d,"cache_write_tokens":0},"output_tokens":%d,"output_tokens_details":{"reasoning_tokens":%d},"total_tokens":%d}`,
		in, cached, out, o.hidden+o.count(saidThought), in+out)
}
