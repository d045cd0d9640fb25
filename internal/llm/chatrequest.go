package llm

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	maxAnswers = 128 // n

	// What a provider's template puts around the prompt, around each message and
	// around tools, beyond their own bytes. In tokens, generously.
	promptOverhead  = 8
	messageOverhead = 8
	toolsOverhead   = 512
	roleBytes       = 16 // of a role are within its message's overhead
)

// governed are the fields of a chat completion request that this package reads.
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
	fieldTools:       "tools",
	fieldStore:       "store",
}

// billedApart are fields that have a provider search, run tools or ask another model, which
// costs otherwise than by this model's tokens.
var billedApart = []string{
	"web_search_options", "search_parameters", "search_settings", "enable_search", "compound_custom", "plugins", "models", "fallbacks", "mcp_servers",
	"data_sources", "dataSources", "safety_model",
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
	fieldTools
	fieldStore
	fields
)

// chatRequest is a request of OpenAI's chat completions.
type chatRequest struct {
	Request
	at         [fields]member
	open       int // index of the byte after the object's brace
	messages   int64
	images     int64
	unbounded  bool  // something whose length nobody knows
	promptMost int64 // tokens of the prompt without its images, at most
	fault      error // what is wrong with a field that is not governed
}

// ParseChat reads the body of a chat completion request, which is copied. The error is
// a [*RequestError].
func ParseChat(body []byte) (*Request, error) {
	r := &chatRequest{Request: Request{Operation: OpChat, N: 1, body: string(body)}}
	r.form = r
	r.Lacks = Kinds{AudioIn: true, ImageIn: true, AudioOut: true, ImageOut: true} // until it is found
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	r.open = strings.IndexByte(r.body, '{') + 1
	var values [fields]gjson.Result
	if err := locate(root, governed[:], r.at[:], values[:], r.other); err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	r.Lacks.HourWrite = keepsNothingForAnHour(r.body)
	return &r.Request, nil
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
	return ParseChat(body)
}

func (r *chatRequest) read(values *[fields]gjson.Result) error {
	var err error
	if r.Model, err = modelOf(values[fieldModel]); err != nil {
		return err
	}
	if r.fault != nil {
		return r.fault
	}
	if err := readStore(values[fieldStore]); err != nil {
		return err
	}
	if err := r.readMessages(values[fieldMessages]); err != nil {
		return err
	}
	if err := r.readTools(values[fieldTools]); err != nil {
		return err
	}
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

func (r *chatRequest) readOptions(options gjson.Result) error {
	if options.Type == gjson.Null {
		return nil
	}
	if !options.IsObject() {
		return &RequestError{Param: "stream_options", Message: "'stream_options' must be an object."}
	}
	// Of two, the provider might heed the one that we do not, and tell no usage.
	const param = "stream_options." + includeUsage
	count := 0
	var err error
	options.ForEach(func(key, value gjson.Result) bool {
		if !strings.EqualFold(key.Str, includeUsage) {
			return true
		}
		if count++; count > 1 || key.Str != includeUsage {
			err = refused(param, "'%s' must stand there once, in lower case.", param)
		} else {
			r.IncludeUsage, err = boolean(value, param)
		}
		return err == nil
	})
	return err
}

const includeUsage = "include_usage"

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
