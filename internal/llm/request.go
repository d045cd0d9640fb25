package llm

import (
	"crypto/sha256"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
	"github.com/tidwall/gjson"
)

const (
	maxDepth  = 256 // of a request's JSON; far below what any client sends
	maxLength = math.MaxInt32
)

// Request is a request of any operation, as whoever pays for it sees it. It never changes
// and may be used from any goroutine.
type Request struct {
	Operation    Operation
	Model        string
	Stream       bool
	IncludeUsage bool   // the client wants a stream's usage
	MaxOutput    int64  // tokens of one answer, as stated; 0: not stated
	MaxField     string // the field that stated MaxOutput: the smaller of two
	Warming      bool   // it wants no answer: its prompt is to fill the provider's cache
	N            int64  // answers; at least 1
	CacheMaxAge  int64  // seconds that an answer given before may be old; 0: not stated
	Units        Units  // beside tokens
	Sound        bool   // its streamed answer is bytes, not events
	Lacks        Kinds  // what the call certainly has no tokens of

	body    string // as it came
	variant string // what beside the body decides about the answer, such as headers
	form    form
}

// Kinds are kinds of tokens that may have prices of their own.
type Kinds struct {
	AudioIn, ImageIn   bool
	HourWrite          bool // of a prompt that is to be kept in the provider's cache for an hour
	AudioOut, ImageOut bool
}

// keepsNothingForAnHour says that a body certainly has no field "ttl", however it is
// spelled: how long a part of the prompt is to be kept in a cache.
func keepsNothingForAnHour(body string) bool {
	return !strings.Contains(body, `"ttl"`) && !strings.Contains(body, `\u00`)
}

// form is what only a request's own operation knows of it. Each operation has one type,
// which embeds the Request and is its form.
type form interface {
	// promptBound is a number of tokens that the prompt cannot exceed for the model.
	promptBound(m *Model) int64
	// promptEstimate counts the prompt's tokens for the model, as well as we can.
	promptEstimate(c *Counter, m *Model) int64
	// send says what a deployment is to receive and how its answer is to be read. See
	// [Request.For].
	send(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error)
	// repeatable tells whether an answer may stand for another.
	repeatable() bool
	// thread is what requests of one conversation have in common: what the client names
	// it by, or how it begins; "": nothing.
	thread() (named, beginning string)
}

// For says what a deployment is to receive, so that it answers with at most maxOutput
// tokens, and how its answer becomes what the client sees. t gathers a streamed answer's
// text; nil for an unstreamed call. Each attempt at a deployment has an Outbound and a
// Rendition of its own; t may be shared as long as nothing has come. A [*RequestError]
// names what the deployment's protocol cannot express.
func (r *Request) For(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	return r.form.send(d, maxOutput, t)
}

// Size is the body's length in bytes.
func (r *Request) Size() int { return len(r.body) }

// PromptBound is a number of tokens that the request's prompt cannot exceed for
// the model: a token covers at least one byte of what is said, what a template adds
// is allowed for, and an image counts as the model's ImageTokens.
//
// Embeddings have a context for each of their inputs.
func (r *Request) PromptBound(m *Model) int64 {
	bound := r.form.promptBound(m)
	if m.Context == 0 || r.Operation == OpEmbeddings {
		return bound
	}
	return min(bound, m.Context)
}

// Prompt estimates the tokens of a request's prompt for the model.
func (c *Counter) Prompt(r *Request, m *Model) int64 {
	return min(r.form.promptEstimate(c, m), r.PromptBound(m))
}

// Repeatable tells whether an answer to this request may stand for another: it asks for
// one answer without chance in it, and for words alone. A call of a tool or a search is
// something done, or a look at what changes, and audio or a copy kept at the provider is
// not in the answer's text.
func (r *Request) Repeatable() bool { return r.N == 1 && r.form.repeatable() }

// Digest names operation, headers that matter, and body: two requests have the same one
// only where their bodies are the same, byte for byte.
func (r *Request) Digest() [sha256.Size]byte {
	digest := sha256.New()
	digest.Write([]byte{byte(r.Operation)})
	digest.Write([]byte(r.variant + "\x00"))
	digest.Write([]byte(r.body))
	return [sha256.Size]byte(digest.Sum(nil))
}

// Thread is a number that requests of one conversation of an account share, so that they
// can be sent where its beginning is still in a prompt cache: of what the client names
// the conversation by, or else of how it begins. The same on every instance.
func (r *Request) Thread(account int64) uint64 {
	named, beginning := r.form.thread()
	digest := xxhash.New()
	_, _ = digest.WriteString(strconv.FormatInt(account, 10)) // writing to it never fails
	if named != "" {
		_, _ = digest.WriteString("\x00n" + named)
	} else {
		_, _ = digest.WriteString("\x00b" + beginning)
	}
	return digest.Sum64()
}

// firstTurn is an array of messages, up to the first one of a user.
func (r *Request) firstTurn(messages member) string {
	text := r.body[messages.start:messages.end]
	until := len(text)
	eachElement(text, func(start, end int) bool {
		if roleOf(text[start:end]) == "user" {
			until = end
			return false
		}
		return true
	})
	return text[:until]
}

// roleOf is the first role that a message states; "": none.
func roleOf(message string) (role string) {
	if message[0] != '{' {
		return ""
	}
	eachField(message, 0, func(m member) bool {
		if unquoted(message[m.key:m.keyEnd]) != "role" {
			return true
		}
		if message[m.start] == '"' {
			role = unquoted(message[m.start:m.end])
		}
		return false
	})
	return role
}

// object parses a body that must be one JSON object.
func object(body string) (gjson.Result, error) {
	switch check(body) {
	case wellFormed:
	case tooDeep:
		return gjson.Result{}, &RequestError{Message: fmt.Sprintf("The body is nested deeper than %d levels.", maxDepth)}
	case malformed:
		return gjson.Result{}, &RequestError{Message: "The body is not valid JSON."}
	}
	root := gjson.Parse(body)
	if !root.IsObject() {
		return gjson.Result{}, &RequestError{Message: "The body must be a JSON object."}
	}
	return root, nil
}

// member is where a field's name and value stand in the JSON; zero: absent.
type member struct{ key, keyEnd, start, end int }

func (m member) present() bool { return m.end > 0 }

// locate finds a well-formed object's governed fields: where they stand, and their values. A client
// may send each of them once, spelled exactly so: two of a kind, or MAX_TOKENS for a
// server that ignores case, would let the provider see another request than the one that
// is paid for. others is called with all other fields.
func locate(root gjson.Result, names []string, at []member, values []gjson.Result, others func(key string, value gjson.Result)) error {
	var fault *RequestError
	eachField(root.Raw, 0, func(m member) bool {
		key, value := unquoted(root.Raw[m.key:m.keyEnd]), gjson.Parse(root.Raw[m.start:m.end])
		m.key, m.keyEnd, m.start, m.end = m.key+root.Index, m.keyEnd+root.Index, m.start+root.Index, m.end+root.Index
		value.Index = m.start
		field := fieldOf(names, key)
		if field < 0 {
			others(key, value)
			return true
		}
		if key != names[field] {
			fault = &RequestError{Param: names[field], Message: fmt.Sprintf("Spell the field '%s' in lower case.", names[field])}
			return false
		}
		if at[field].present() {
			fault = &RequestError{Param: key, Message: fmt.Sprintf("The field '%s' appears twice.", key)}
			return false
		}
		at[field], values[field] = m, value
		return true
	})
	if fault != nil {
		return fault
	}
	return nil
}

func fieldOf(names []string, key string) int {
	for field, name := range names {
		if key == name || strings.EqualFold(key, name) {
			return field
		}
	}
	return -1
}

// edit replaces body[start:end].
type edit struct {
	start, end int
	text       string
}

// appendEdited appends a body with edits, which it sorts.
func appendEdited(to []byte, body string, edits []edit) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int { return a.start - b.start })
	at := 0
	for _, e := range edits {
		to = append(to, body[at:e.start]...)
		to = append(to, e.text...)
		at = e.end
	}
	return append(to, body[at:]...)
}

// without takes a member out of an object, with the comma that goes with it: there are
// always others.
func without(body string, m member) edit {
	end := m.end
	for blank(body[end]) {
		end++
	}
	if body[end] == ',' {
		return edit{m.key, end + 1, ""}
	}
	start := m.key - 1
	for blank(body[start]) {
		start--
	}
	return edit{start, m.end, ""} // start is at the comma before
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// modelOf reads the field that every operation has.
func modelOf(model gjson.Result) (string, error) {
	if model.Type != gjson.String || model.Str == "" {
		return "", &RequestError{Param: "model", Message: "Say which model to use: 'model' must be a non-empty string."}
	}
	return model.Str, nil
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
