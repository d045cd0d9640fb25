package llm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/translate"
)

// fieldMaxOutput is Responses' name of the field that limits an answer's length.
const fieldMaxOutput = "max_output_tokens"

// The fields of a request of Responses that this package reads.
var responsesGoverned = [...]string{
	responsesModel:        "model",
	responsesInput:        "input",
	responsesInstructions: "instructions",
	responsesStream:       "stream",
	responsesMax:          fieldMaxOutput,
	responsesTools:        "tools",
	responsesStore:        "store",
	responsesBackground:   "background",
	responsesPrevious:     "previous_response_id",
	responsesConversation: "conversation",
	responsesPrompt:       "prompt",
	responsesContext:      "context_management",
	responsesTier:         "service_tier",
	responsesCache:        FieldCacheMaxAge,
}

const (
	responsesModel = iota
	responsesInput
	responsesInstructions
	responsesStream
	responsesMax
	responsesTools
	responsesStore
	responsesBackground
	responsesPrevious
	responsesConversation
	responsesPrompt
	responsesContext
	responsesTier
	responsesCache
	responsesFields
)

// responsesRequest is a request of OpenAI's Responses.
type responsesRequest struct {
	Request
	at         [responsesFields]member
	open       int   // index of the byte after the object's brace
	items      int64 // of the input
	images     int64
	unbounded  bool  // a file, whose length in tokens nobody knows
	tooled     bool  // there are tools
	reasoned   bool  // there are thoughts of earlier turns
	promptMost int64 // tokens of the prompt without its images, at most
}

// ParseResponses reads a request of Responses; the body is copied. What reads or leaves
// anything at the provider is refused: all accounts share ours there, so that one would
// read another's. So is what costs otherwise than by the token. The error is a
// [*RequestError].
func ParseResponses(body []byte) (*Request, error) {
	r := &responsesRequest{Request: Request{Operation: OpResponses, N: 1, IncludeUsage: true, body: string(body)}}
	r.form = r
	r.Lacks = Kinds{AudioIn: true, ImageIn: true, AudioOut: true, ImageOut: true, HourWrite: true} // until it is found
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	r.open = strings.IndexByte(r.body, '{') + 1
	var values [responsesFields]gjson.Result
	others := func(key string, value gjson.Result) { r.promptMost += boundOf(key, value) }
	if err := locate(root, responsesGoverned[:], r.at[:], values[:], others); err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	return &r.Request, nil
}

func (r *responsesRequest) read(values *[responsesFields]gjson.Result) error {
	var err error
	if r.Model, err = modelOf(values[responsesModel]); err != nil {
		return err
	}
	if r.Stream, err = boolean(values[responsesStream], "stream"); err != nil {
		return err
	}
	if r.MaxOutput, err = integer(values[responsesMax], fieldMaxOutput, maxLength); err != nil {
		return err
	}
	if r.MaxOutput > 0 {
		r.MaxField = fieldMaxOutput
	}
	if r.CacheMaxAge, err = integer(values[responsesCache], FieldCacheMaxAge, maxLength); err != nil {
		return err
	}
	if err := r.stateless(values); err != nil {
		return err
	}
	if err := readTier(values[responsesTier]); err != nil {
		return err
	}
	if tools := values[responsesTools]; tools.Type != gjson.Null {
		if err := clientTools(tools, "tools"); err != nil {
			return err
		}
		r.tooled = r.tooled || len(tools.Array()) > 0
		r.promptMost += int64(len(tools.Raw)) + toolsOverhead
	}
	r.promptMost += int64(len(values[responsesInstructions].Raw)) + promptOverhead
	return r.readInput(values[responsesInput])
}

// stateless refuses what would be kept at the provider, or is there.
func (r *responsesRequest) stateless(values *[responsesFields]gjson.Result) error {
	for _, field := range []struct {
		at      int
		message string
	}{
		{responsesStore, "Answers are not stored here: leave 'store' out or set it to false, and send the conversation in 'input'."},
		{responsesBackground, "Answers are given while the client waits: leave 'background' out, and stream."},
	} {
		kept, err := boolean(values[field.at], responsesGoverned[field.at])
		if err != nil {
			return err
		}
		if kept {
			return &RequestError{Param: responsesGoverned[field.at], Message: field.message}
		}
	}
	for _, field := range []struct {
		at      int
		message string
	}{
		{responsesPrevious, "Answers are not stored here, so that 'previous_response_id' names none: send the conversation in 'input'."},
		{responsesConversation, "Conversations are not kept here: send the conversation in 'input'."},
		{responsesPrompt, "Prompts are not kept here: send what the prompt says in 'instructions' and 'input'."},
		{responsesContext, "'context_management' is not offered here: it is billed apart."},
	} {
		if values[field.at].Type != gjson.Null {
			return &RequestError{Param: responsesGoverned[field.at], Message: field.message}
		}
	}
	return nil
}

func (r *responsesRequest) promptBound(m *Model) int64 {
	if r.unbounded {
		return m.Context
	}
	return r.promptMost + r.images*m.ImageTokens
}

func (r *responsesRequest) promptEstimate(c *Counter, m *Model) int64 {
	tokens := int64(answerTokens) + r.items*messageTokens + r.images*min(imageTokens, m.ImageTokens)
	root := gjson.Parse(r.body)
	var text strings.Builder
	for _, field := range []string{"instructions", "input"} {
		eachText(root.Get(field), func(words string) {
			text.WriteString(words)
			text.WriteByte('\n')
		})
	}
	return tokens + c.Count(text.String())
}

// repeatable: temperature 0, and no tools.
func (r *responsesRequest) repeatable() bool {
	temperatures, cold := 0, false
	gjson.Parse(r.body).ForEach(func(key, value gjson.Result) bool {
		if strings.EqualFold(key.Str, fieldTemperature) {
			temperatures++
			cold = key.Str == fieldTemperature && value.Type == gjson.Number && value.Num == 0
		}
		return true
	})
	return temperatures == 1 && cold && !r.tooled
}

func (r *responsesRequest) thread() (named, beginning string) {
	root := gjson.Parse(r.body)
	for _, field := range [...]string{"prompt_cache_key", "user", "safety_identifier"} {
		if v := root.Get(field); v.Type == gjson.String && v.Str != "" {
			return v.Str, ""
		}
	}
	beginning = root.Get("instructions").Raw
	if input := root.Get("input"); input.IsArray() {
		return "", beginning + r.firstTurn(r.at[responsesInput])
	}
	return "", beginning + root.Get("input").Raw
}

// appendPatched appends the request as a provider with Responses of its own is to receive
// it: its model's name, an answer of at most maxOutput tokens, nothing stored, and without
// the field that is meant for us. All other bytes are as they came.
func (r *responsesRequest) appendPatched(to []byte, d *Deployment, maxOutput int64) []byte {
	var room [5]edit
	edits := room[:0]
	if at := r.at[responsesModel]; r.Model != d.Model {
		edits = append(edits, edit{at.start, at.end, d.quoted})
	}
	set := func(field int, value string) {
		if at := r.at[field]; at.present() {
			edits = append(edits, edit{at.start, at.end, value})
		} else {
			edits = append(edits, edit{r.open, r.open, `"` + responsesGoverned[field] + `":` + value + ","})
		}
	}
	set(responsesMax, strconv.FormatInt(maxOutput, 10))
	set(responsesStore, "false")
	if at := r.at[responsesInput]; r.reasoned {
		edits = append(edits, edit{at.start, at.end, withoutLostThoughts(r.body[at.start:at.end])})
	}
	if at := r.at[responsesCache]; at.present() {
		edits = append(edits, without(r.body, at))
	}
	return appendEdited(to, r.body, edits)
}

// withoutLostThoughts is an input without the thoughts that its provider cannot read: those
// that were not sealed, of which it knows only where it stores answers, and those that were
// translated here. All other items are as they came.
func withoutLostThoughts(input string) string {
	var kept []string
	eachElement(input, func(start, end int) bool {
		item := input[start:end]
		if gjson.Get(item, "type").Str == "reasoning" {
			if sealed := gjson.Get(item, "encrypted_content").Str; sealed == "" || translate.Sealed(sealed) {
				return true
			}
		}
		kept = append(kept, item)
		return true
	})
	return "[" + strings.Join(kept, ",") + "]"
}

// translatable is the request without the field that is meant for us.
func (r *responsesRequest) translatable() []byte {
	var edits []edit
	if at := r.at[responsesCache]; at.present() {
		edits = append(edits, without(r.body, at))
	}
	return appendEdited(nil, r.body, edits)
}

func refused(param, format string, args ...any) error {
	return &RequestError{Param: param, Message: fmt.Sprintf(format, args...)}
}
