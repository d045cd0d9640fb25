package llm

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

// The fields of a request in Anthropic's messages that this package reads.
var messagesGoverned = [...]string{
	messagesModel:     "model",
	messagesMessages:  "messages",
	messagesMax:       FieldMaxTokens,
	messagesStream:    "stream",
	messagesTools:     "tools",
	messagesTier:      "service_tier",
	messagesCache:     FieldCacheMaxAge,
	messagesContext:   "context_management",
	messagesContainer: "container",
	messagesServers:   "mcp_servers",
	messagesSpeed:     "speed",
	messagesRegion:    "inference_geo",
	messagesThread:    "thread",
	messagesFallbacks: "fallbacks",
	messagesCompact:   "compaction",
	messagesBilling:   "billing_policy",
	messagesCredit:    "fallback_credit_token",
	messagesProfile:   "user_profile_id",
}

const (
	messagesModel = iota
	messagesMessages
	messagesMax
	messagesStream
	messagesTools
	messagesTier
	messagesCache
	messagesContext
	messagesContainer
	messagesServers
	messagesSpeed
	messagesRegion
	messagesThread
	messagesFallbacks
	messagesCompact
	messagesBilling
	messagesCredit
	messagesProfile
	messagesFields
)

// messagesRequest is a request of Anthropic's messages, or to count one's tokens.
type messagesRequest struct {
	Request
	at         [messagesFields]member
	version    string // of the protocol, as the client stated it; "": it did not
	beta       string // what the client wants to try, separated by commas
	messages   int64
	images     int64
	tools      int64 // with instructions of the provider's own
	unbounded  bool  // a document whose length nobody knows
	promptMost int64 // tokens of the prompt without its images, at most
}

// MessagesHeaders are what a client says of Anthropic's protocol beside the body.
type MessagesHeaders struct {
	Version string // anthropic-version
	Beta    string // anthropic-beta; of several, joined by commas
	Profile string // anthropic-user-profile-id
}

// ParseMessages reads a request of Anthropic's messages; the body is copied. The error is
// a [*RequestError].
func ParseMessages(body []byte, h MessagesHeaders) (*Request, error) {
	return parseMessages(OpMessages, body, h)
}

// ParseCountTokens reads a request to count the tokens of a prompt in Anthropic's
// messages; the body is copied. The error is a [*RequestError].
func ParseCountTokens(body []byte, h MessagesHeaders) (*Request, error) {
	return parseMessages(OpCountTokens, body, h)
}

func parseMessages(o Operation, body []byte, h MessagesHeaders) (*Request, error) {
	r := &messagesRequest{Request: Request{Operation: o, N: 1, IncludeUsage: true, body: string(body)}}
	r.form = r
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	if err := r.readHeaders(h); err != nil {
		return nil, err
	}
	var values [messagesFields]gjson.Result
	others := func(key string, value gjson.Result) { r.promptMost += boundOf(key, value) }
	if err := locate(root, messagesGoverned[:], r.at[:], values[:], others); err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	r.Lacks = Kinds{
		AudioIn: true, AudioOut: true, ImageOut: true,
		ImageIn: r.images == 0 && !r.unbounded, HourWrite: keepsNothingForAnHour(r.body),
	}
	return &r.Request, nil
}

// readHeaders passes on a version that is one, and every wish but one that would have the
// provider take a longer prompt than the catalogue's, which is what is paid for.
func (r *messagesRequest) readHeaders(h MessagesHeaders) error {
	if versionForm.MatchString(h.Version) {
		r.version = h.Version
	}
	r.variant = r.version + "\x00" + h.Beta
	if h.Profile != "" {
		return notOffered("anthropic-user-profile-id", keptThere)
	}
	if h.Beta == "" {
		return nil
	}
	if len(h.Beta) > maxBeta || !betaForm.MatchString(h.Beta) {
		return &RequestError{Param: "anthropic-beta", Message: "The header 'anthropic-beta' must be names separated by commas."}
	}
	for name := range strings.SplitSeq(h.Beta, ",") {
		if name = strings.TrimSpace(name); strings.HasPrefix(name, "context-1m") {
			return &RequestError{Param: "anthropic-beta", Message: fmt.Sprintf(
				"anthropic-beta: '%s' is not offered here. Use a model whose context is long enough by itself.", name)}
		}
	}
	r.beta = h.Beta
	return nil
}

func (r *messagesRequest) read(values *[messagesFields]gjson.Result) error {
	var err error
	if r.Model, err = modelOf(values[messagesModel]); err != nil {
		return err
	}
	if r.Stream, err = boolean(values[messagesStream], "stream"); err != nil {
		return err
	}
	if !r.at[messagesMax].present() && r.Operation == OpMessages {
		return &RequestError{Param: FieldMaxTokens, Message: "max_tokens: Field required"}
	}
	r.Warming = values[messagesMax].Raw == "0"
	if r.MaxOutput, err = integer(values[messagesMax], FieldMaxTokens, maxLength); err != nil && !r.Warming {
		return err
	}
	if r.MaxOutput == 0 && !r.Warming && r.Operation == OpMessages {
		return &RequestError{Param: FieldMaxTokens, Message: "max_tokens: Input should be a valid integer"}
	}
	r.MaxField = FieldMaxTokens
	if r.CacheMaxAge, err = integer(values[messagesCache], FieldCacheMaxAge, maxLength); err != nil {
		return err
	}
	if err := r.readMessages(values[messagesMessages]); err != nil {
		return err
	}
	if err := r.readTools(values[messagesTools]); err != nil {
		return err
	}
	return r.readPriced(values)
}

// readPriced refuses what is billed otherwise than by the catalogue's prices of tokens.
func (r *messagesRequest) readPriced(values *[messagesFields]gjson.Result) error {
	for _, field := range []struct {
		at      int
		allowed []string
	}{
		{messagesTier, []string{"auto", "standard_only"}},
		{messagesSpeed, []string{"standard"}},
		{messagesRegion, []string{"global", "not_available"}},
		{messagesContainer, nil},
		{messagesCompact, nil},
		{messagesBilling, nil},
		{messagesCredit, nil},
	} {
		if err := oneOf(values[field.at], messagesGoverned[field.at], field.allowed); err != nil {
			return err
		}
	}
	if values[messagesThread].Type != gjson.Null {
		return notOffered(messagesGoverned[messagesThread], "conversations kept at the provider are nobody's here")
	}
	if values[messagesProfile].Type != gjson.Null {
		return notOffered(messagesGoverned[messagesProfile], keptThere)
	}
	if values[messagesFallbacks].Type != gjson.Null {
		return notOffered(messagesGoverned[messagesFallbacks], "another model has other prices")
	}
	if v := values[messagesServers]; v.Type != gjson.Null && !(v.IsArray() && len(v.Array()) == 0) {
		return notOffered("mcp_servers", "what servers of others add to a prompt has no bound")
	}
	return r.readContext(values[messagesContext])
}

// keptThere says why what names a thing at the provider is refused: all accounts share ours.
const keptThere = "what is kept at the provider is nobody's here"

// readContext refuses edits of the prompt that the provider has a model write.
func (r *messagesRequest) readContext(context gjson.Result) error {
	param := messagesGoverned[messagesContext]
	r.promptMost += boundOf(param, context)
	edits, fault := only(context, "edits", param)
	if fault != nil {
		return fault
	}
	count := 0
	edits.ForEach(func(_, e gjson.Result) bool {
		where := fmt.Sprintf("%s.edits[%d]", param, count)
		kind, err := only(e, "type", where)
		if fault = err; fault == nil && strings.HasPrefix(kind.Str, "compact") {
			fault = notOffered(where, "it is billed apart")
		}
		count++
		return fault == nil
	})
	return fault
}

func oneOf(v gjson.Result, param string, allowed []string) error {
	if v.Type == gjson.Null {
		return nil
	}
	for _, a := range allowed {
		if v.Type == gjson.String && v.Str == a {
			return nil
		}
	}
	if len(allowed) == 0 {
		return notOffered(param, "it is billed apart")
	}
	return &RequestError{Param: param, Message: fmt.Sprintf("'%s' must be one of '%s' here.", param, strings.Join(allowed, "', '"))}
}

func notOffered(param, why string) error {
	return &RequestError{Param: param, Message: fmt.Sprintf("'%s' is not offered here: %s.", param, why)}
}

func (r *messagesRequest) send(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	if d.Provider.Protocol != ProtocolAnthropic {
		return r.sendChat(d, maxOutput, t)
	}
	body := r.appendPatched(make([]byte, 0, len(r.body)+patchRoom), d, maxOutput)
	a := &messagesAnswer{heard: heard{text: t}}
	return d.outbound(r.Operation, r.Stream, body, headerAnthropicVersion, r.version, headerAnthropicBeta, r.beta), Rendition{read: a, write: a}, nil
}

// appendPatched appends the request as the deployment is to receive it: its model's name,
// an answer of at most maxOutput tokens, and without the field that is meant for us. All
// other bytes are as they came.
func (r *messagesRequest) appendPatched(to []byte, d *Deployment, maxOutput int64) []byte {
	var room [3]edit
	edits := room[:0]
	if at := r.at[messagesModel]; r.Model != d.Model {
		edits = append(edits, edit{at.start, at.end, d.quoted})
	}
	if at, limit := r.at[messagesMax], strconv.FormatInt(maxOutput, 10); r.Operation == OpMessages && r.body[at.start:at.end] != limit {
		edits = append(edits, edit{at.start, at.end, limit})
	}
	if at := r.at[messagesCache]; at.present() {
		edits = append(edits, without(r.body, at))
	}
	return appendEdited(to, r.body, edits)
}

// repeatable: temperature 0, and no tools.
func (r *messagesRequest) repeatable() bool {
	temperatures, cold := 0, false
	gjson.Parse(r.body).ForEach(func(key, value gjson.Result) bool {
		if strings.EqualFold(key.Str, fieldTemperature) {
			temperatures++
			cold = key.Str == fieldTemperature && value.Type == gjson.Number && value.Num == 0
		}
		return true
	})
	tools := r.at[messagesTools]
	return temperatures == 1 && cold && (!tools.present() || len(gjson.Parse(r.body[tools.start:tools.end]).Array()) == 0)
}

// thread names the conversation by its user; it begins with the system's words and all up
// to the first message of a user.
func (r *messagesRequest) thread() (named, beginning string) {
	root := gjson.Parse(r.body)
	if id := root.Get("metadata.user_id"); id.Type == gjson.String && id.Str != "" {
		return id.Str, ""
	}
	return "", root.Get("system").Raw + r.firstTurn(r.at[messagesMessages])
}
