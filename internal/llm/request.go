package llm

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxDepth   = 256 // of a request's JSON; far below what any client sends
	maxAnswers = 128 // n
	maxLength  = math.MaxInt32

	// What a provider's template puts around the prompt, around each message and
	// around tools, beyond their own bytes. In tokens, generously.
	promptOverhead  = 8
	messageOverhead = 8
	toolsOverhead   = 512
	roleBytes       = 16 // of a role are within its message's overhead
)

// governed are the fields that this package reads: a client may send each of them
// once, spelled exactly so. Two of a kind, or MAX_TOKENS for a server that ignores
// case, would let the provider see another request than the one that is paid for.
var governed = [...]string{
	fieldModel:       "model",
	fieldMessages:    "messages",
	fieldStream:      "stream",
	fieldOptions:     "stream_options",
	fieldMax:         FieldMaxTokens,
	fieldMaxComplete: FieldMaxCompletionTokens,
	fieldN:           "n",
	fieldTier:        "service_tier",
	fieldCache:       FieldCacheMaxAge,
}

const (
	fieldModel = iota
	fieldMessages
	fieldStream
	fieldOptions
	fieldMax
	fieldMaxComplete
	fieldN
	fieldTier
	fieldCache
	fields
)

// Request is a chat completion request as a client sent it.
type Request struct {
	Model        string
	Stream       bool
	IncludeUsage bool   // the client wants a stream's usage
	MaxOutput    int64  // tokens of one answer, as stated; 0: not stated
	MaxField     string // the field that stated MaxOutput: the smaller of the two
	N            int64  // answers
	CacheMaxAge  int64  // seconds that an answer given before may be old; 0: not stated

	json       string
	at         [fields]member
	open       int // index of the byte after the object's brace
	messages   int64
	images     int64
	promptMost int64 // tokens of the prompt without its images, at most
}

// member is where a field's name and value stand in the JSON; zero: absent.
type member struct{ key, keyEnd, start, end int }

func (m member) present() bool { return m.end > 0 }

// ParseRequest reads a request's body, which is copied. The error is a
// [*RequestError].
func ParseRequest(body []byte) (*Request, error) {
	r := &Request{json: string(body), N: 1}
	if tooDeep(r.json) {
		return nil, &RequestError{Message: fmt.Sprintf("The body is nested deeper than %d levels.", maxDepth)}
	}
	if !gjson.Valid(r.json) {
		return nil, &RequestError{Message: "The body is not valid JSON."}
	}
	root := gjson.Parse(r.json)
	if !root.IsObject() {
		return nil, &RequestError{Message: "The body must be a JSON object."}
	}
	r.open = strings.IndexByte(r.json, '{') + 1
	values, err := r.locate(root)
	if err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	return r, nil
}

// NewChatRequest builds the streamed request of a ChatCall.
func NewChatRequest(call ChatCall) (*Request, error) {
	request := struct {
		Model    string    `json:"model"`
		Messages []Message `json:"messages"`
		Stream   bool      `json:"stream"`
	}{call.Model, call.Messages, true}
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("llm: encode a request: %w", err)
	}
	return ParseRequest(body)
}

// Size is the body's length in bytes.
func (r *Request) Size() int { return len(r.json) }

// locate finds the governed fields.
func (r *Request) locate(root gjson.Result) (values [fields]gjson.Result, err error) {
	root.ForEach(func(key, value gjson.Result) bool {
		field := fieldOf(key.Str)
		if field < 0 {
			r.promptMost += boundOf(key.Str, value)
			return true
		}
		if key.Str != governed[field] {
			err = &RequestError{Param: governed[field], Message: fmt.Sprintf("Spell the field '%s' in lower case.", governed[field])}
			return false
		}
		if r.at[field].present() {
			err = &RequestError{Param: key.Str, Message: fmt.Sprintf("The field '%s' appears twice.", key.Str)}
			return false
		}
		k, v := key.Index, value.Index
		r.at[field] = member{key: k, keyEnd: k + len(key.Raw), start: v, end: v + len(value.Raw)}
		values[field] = value
		return true
	})
	return values, err
}

func fieldOf(key string) int {
	for field, name := range governed {
		if key == name || strings.EqualFold(key, name) {
			return field
		}
	}
	return -1
}

func (r *Request) read(values *[fields]gjson.Result) error {
	model := values[fieldModel]
	if model.Type != gjson.String || model.Str == "" {
		return &RequestError{Param: "model", Message: "Say which model to use: 'model' must be a non-empty string."}
	}
	r.Model = model.Str
	if err := r.readMessages(values[fieldMessages]); err != nil {
		return err
	}
	var err error
	if r.Stream, err = boolean(values[fieldStream], "stream"); err != nil {
		return err
	}
	if err := r.readOptions(values[fieldOptions]); err != nil {
		return err
	}
	for _, field := range []int{fieldMaxComplete, fieldMax} {
		stated, err := integer(values[field], governed[field], maxLength)
		if err != nil {
			return err
		}
		if stated > 0 && (r.MaxOutput == 0 || stated < r.MaxOutput) {
			r.MaxOutput, r.MaxField = stated, governed[field]
		}
	}
	n, err := integer(values[fieldN], "n", maxAnswers)
	if err != nil {
		return err
	}
	r.N = max(1, n)
	if r.CacheMaxAge, err = integer(values[fieldCache], FieldCacheMaxAge, maxLength); err != nil {
		return err
	}
	return readTier(values[fieldTier])
}

func (r *Request) readOptions(options gjson.Result) error {
	if options.Type == gjson.Null {
		return nil
	}
	if !options.IsObject() {
		return &RequestError{Param: "stream_options", Message: "'stream_options' must be an object."}
	}
	include, err := boolean(options.Get("include_usage"), "stream_options.include_usage")
	r.IncludeUsage = include
	return err
}

// readTier refuses what is billed at other prices than the catalogue's.
func readTier(tier gjson.Result) error {
	switch {
	case tier.Type == gjson.Null:
		return nil
	case tier.Type != gjson.String:
		return &RequestError{Param: "service_tier", Message: "'service_tier' must be a string."}
	case tier.Str == "auto" || tier.Str == "default":
		return nil
	}
	return &RequestError{Param: "service_tier", Message: "Only the service tiers 'auto' and 'default' are offered here."}
}

func boolean(v gjson.Result, param string) (bool, error) {
	switch v.Type {
	case gjson.True:
		return true, nil
	case gjson.False, gjson.Null:
		return false, nil
	}
	return false, &RequestError{Param: param, Message: fmt.Sprintf("'%s' must be true or false.", param)}
}

// integer reads a positive integer; 0: absent or null.
func integer(v gjson.Result, param string, most int64) (int64, error) {
	if v.Type == gjson.Null {
		return 0, nil
	}
	if v.Type == gjson.Number {
		if n, err := strconv.ParseInt(v.Raw, 10, 64); err == nil && n >= 1 && n <= most {
			return n, nil
		}
	}
	return 0, &RequestError{Param: param, Message: fmt.Sprintf("'%s' must be an integer from 1 to %d.", param, most)}
}

// tooDeep looks only at brackets outside strings, so that JSON which nobody
// could parse without running out of stack is refused before it is parsed.
func tooDeep(json string) bool {
	depth, quoted := 0, false
	for i := 0; i < len(json); i++ {
		switch c := json[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
			if c == '\\' {
				i++
			}
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
