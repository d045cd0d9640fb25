package llmsim

import (
	"slices"
	"strconv"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	mediaTokens  = 85
	promptTokens = 3
	turnTokens   = 4
	cacheFrom    = 1024
	cacheStep    = 128
)

// turn is what a request asks of the model, whatever the protocol that it came in.
type turn struct {
	model    string
	stream   bool
	messages []message // what the system is told comes first
	limit    int64     // most tokens of one choice; 0: none stated
	stops    []string
	choices  int

	tools  []tool
	choice toolChoice
	single bool   // at most one call
	schema string // that the answer must satisfy, as JSON; "" for prose

	thinking int // most tokens of thinking that may be shown; 0: none
	spoken   bool
	answer   string // what is said, in place of words about the messages
	mute     bool   // nothing is said: the answer is not the model's words
}

// message is one turn of the conversation.
type message struct {
	role   string // system, user, assistant or tool
	text   string
	images int
	sounds int
	calls  []call
}

// tool is a function that the model may call.
type tool struct {
	name, about string
	schema      string // of its arguments, as JSON
}

// toolChoice is how free the model is to call.
type toolChoice struct {
	never, must bool
	name        string // the only one, when set
}

// call is one use of a tool.
type call struct {
	id, name, arguments string
}

// lastUser is the text of the newest message of the user.
func (t *turn) lastUser() string {
	for _, m := range slices.Backward(t.messages) {
		if m.role == "user" {
			return m.text
		}
	}
	return ""
}

// tokens of one message with its calls and media.
func (m *message) tokens() int64 {
	all := CountTokens(m.text) + (m.images+m.sounds)*mediaTokens
	for _, c := range m.calls {
		all += CountTokens(c.name) + CountTokens(plain(c.arguments))
	}
	return turnTokens + int64(all)
}

// promptTokens counts the prompt with its tools, and how much of it precedes the
// last message.
func (t *turn) promptTokens() (all, before int64) {
	all = promptTokens
	for _, tool := range t.tools {
		all += int64(CountTokens(tool.name) + CountTokens(tool.about) + CountTokens(plain(tool.schema)))
	}
	for i := range t.messages {
		before = all
		all += t.messages[i].tokens()
	}
	return all, before
}

// soundTokens is the part of the prompt that was heard.
func (t *turn) soundTokens() int64 {
	n := 0
	for _, m := range t.messages {
		n += m.sounds
	}
	return int64(n * mediaTokens)
}

// decide tells which tools are called now. A model that must call uses the tool
// it is told to, or else the first; one that may calls those that the user's last
// message names. What a tool has answered is never asked again.
func (t *turn) decide() []call {
	if len(t.tools) == 0 || t.choice.never || len(t.messages) == 0 || t.messages[len(t.messages)-1].role != "user" {
		return nil
	}
	said := strings.ToLower(t.lastUser())
	var calls []call
	for _, tool := range t.tools {
		name := strings.ToLower(tool.name)
		named := strings.Contains(said, name) || strings.Contains(said, strings.ReplaceAll(name, "_", " "))
		if t.choice.name == tool.name || t.choice.name == "" && named {
			calls = append(calls, call{name: tool.name, arguments: sample(tool.schema)})
		}
	}
	if len(calls) == 0 && t.choice.must {
		calls = []call{{name: t.tools[0].name, arguments: sample(t.tools[0].schema)}}
	}
	if t.single && len(calls) > 1 {
		calls = calls[:1]
	}
	return calls
}

// plain is JSON without the blanks between its tokens, so that two spellings of
// one value count alike.
func plain(json string) string { return gjson.Get(json, "@ugly").Raw }

// sample makes a value that satisfies a JSON schema, always the same one. It
// knows types, enumerations, alternatives, local references and lower bounds.
func sample(schema string) string {
	return sampleOf(gjson.Parse(schema), gjson.Parse(schema), "", sampleDepth)
}

const sampleDepth = 16 // of nested schemas

func sampleOf(root, schema gjson.Result, name string, depth int) string {
	if depth == 0 {
		return "null"
	}
	if ref := schema.Get("$ref").Str; strings.HasPrefix(ref, "#/") {
		return sampleOf(root, root.Get(strings.ReplaceAll(ref[2:], "/", ".")), name, depth-1)
	}
	for _, key := range []string{"const", "default", "enum.0", "examples.0"} {
		if v := schema.Get(key); v.Exists() {
			return v.Raw
		}
	}
	for _, key := range []string{"anyOf.0", "oneOf.0", "allOf.0"} {
		if v := schema.Get(key); v.Exists() {
			return sampleOf(root, v, name, depth-1)
		}
	}
	kind := schema.Get("type")
	if kind.IsArray() {
		kind = kind.Get("0")
	}
	switch kind.Str {
	case "string":
		return quoted(strings.TrimSpace("some " + name))
	case "integer":
		return strconv.FormatInt(max(7, schema.Get("minimum").Int()), 10)
	case "number":
		return strconv.FormatFloat(max(1.5, schema.Get("minimum").Float()), 'f', -1, 64)
	case "boolean":
		return "true"
	case "null":
		return "null"
	case "array":
		return sampleList(root, schema, name, depth)
	}
	return sampleObject(root, schema, depth)
}

func sampleList(root, schema gjson.Result, name string, depth int) string {
	var items []string
	for range min(max(1, schema.Get("minItems").Int()), sampleDepth) {
		items = append(items, sampleOf(root, schema.Get("items"), name, depth-1))
	}
	return "[" + strings.Join(items, ",") + "]"
}

func sampleObject(root, schema gjson.Result, depth int) string {
	var fields []string
	schema.Get("properties").ForEach(func(key, value gjson.Result) bool {
		fields = append(fields, key.Raw+":"+sampleOf(root, value, key.Str, depth-1))
		return true
	})
	return "{" + strings.Join(fields, ",") + "}"
}
