package llm

import (
	"crypto/sha256"
	"strings"

	"github.com/tidwall/gjson"
)

// FieldCacheMaxAge is the field in which a client asks for an answer that was given to
// the same request before, at most so many seconds ago. It is meant for us: no provider
// sees it.
const FieldCacheMaxAge = "cache_max_age"

const fieldTemperature = "temperature"

// Digest names the body: two requests have the same one only where their bodies are the
// same, byte for byte.
func (r *Request) Digest() [sha256.Size]byte { return sha256.Sum256([]byte(r.json)) }

// Repeatable tells whether an answer to this request may stand for another: it asks for
// one answer at temperature 0, and for words alone. A call of a tool or a search is
// something done, or a look at what changes, and audio or a copy kept at the provider is
// not in the answer's text.
func (r *Request) Repeatable() bool {
	if r.N != 1 {
		return false
	}
	temperatures, cold, wordsOnly := 0, false, true
	gjson.Parse(r.json).ForEach(func(key, value gjson.Result) bool {
		switch {
		case strings.EqualFold(key.Str, fieldTemperature): // of two, or of another spelling, the provider may heed either
			temperatures++
			cold = key.Str == fieldTemperature && value.Type == gjson.Number && value.Num == 0
		case !acts(key.Str):
		case value.Type == gjson.Null, value.Type == gjson.False, value.IsArray() && len(value.Array()) == 0:
		default:
			wordsOnly = false
		}
		return wordsOnly
	})
	return wordsOnly && temperatures == 1 && cold
}

// acts tells whether a field asks for more than words.
func acts(name string) bool {
	for _, acting := range [...]string{"tools", "functions", "web_search_options", "audio", "store", "background"} {
		if strings.EqualFold(name, acting) {
			return true
		}
	}
	return false
}

// omit takes a member out, with the comma that goes with it: there are always others.
func (r *Request) omit(m member) edit {
	end := m.end
	for end < len(r.json) && blank(r.json[end]) {
		end++
	}
	if r.json[end] == ',' {
		return edit{m.key, end + 1, ""}
	}
	start := m.key - 1
	for blank(r.json[start]) {
		start--
	}
	return edit{start, m.end, ""} // start is at the comma before
}

func blank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }
