package llm

import (
	"strconv"

	"github.com/tidwall/gjson"
)

// patchRoom is what a patched request may be longer than the client's.
const patchRoom = 256 // bytes

func (r *chatRequest) send(d *Deployment, maxOutput int64, t *Transcript) (Outbound, Rendition, error) {
	if d.Provider.Protocol != ProtocolOpenAI {
		return r.sendMessages(d, maxOutput, t)
	}
	body := r.appendPatched(make([]byte, 0, len(r.body)+patchRoom), d, maxOutput)
	a := &chatAnswer{heard: heard{text: t}, model: r.Model, includeUsage: r.IncludeUsage, n: r.N}
	return d.outbound(OpChat, r.Stream, body), Rendition{read: a, write: a}, nil
}

// appendPatched appends the request as the deployment is to receive it: its
// model's name, an answer of at most maxOutput tokens, not to be kept, and, when it is
// streamed, the wish to be told the usage; without the field that is meant for us. All other
// bytes are as they came.
//
// The limit is sent in the field that the client used; where it used none, in
// max_completion_tokens for OpenAI itself and in max_tokens for every other
// server. A provider with a MaxTokensField gets that field whatever was used.
func (r *chatRequest) appendPatched(to []byte, d *Deployment, maxOutput int64) []byte {
	var room [8]edit
	edits := room[:0]
	if r.Model != d.Model {
		at := r.at[fieldModel]
		edits = append(edits, edit{at.start, at.end, d.quoted})
	}
	edits = r.limit(edits, d.Provider, strconv.FormatInt(maxOutput, 10))
	if r.Stream && !r.IncludeUsage {
		edits = append(edits, r.askUsage())
	}
	if at := r.at[fieldStore]; d.Provider.keepsChat && at.present() { // as null
		edits = append(edits, edit{at.start, at.end, "false"})
	} else if d.Provider.keepsChat {
		edits = append(edits, edit{r.open, r.open, unkept})
	}
	if at := r.at[fieldCache]; at.present() {
		edits = append(edits, without(r.body, at))
	}
	return appendEdited(to, r.body, edits)
}

// limit sets the answer's greatest length in every field the provider may heed.
func (r *chatRequest) limit(edits []edit, p *Provider, tokens string) []edit {
	wanted := p.lengthField(r.MaxField)
	seen := false
	for _, field := range []int{fieldMax, fieldMaxComplete} {
		at := r.at[field]
		if !at.present() || r.body[at.start] == 'n' { // null
			continue
		}
		if p.MaxTokensField != "" && governed[field] != wanted {
			continue // handled below: the provider does not know it
		}
		seen = seen || governed[field] == wanted
		if r.body[at.start:at.end] != tokens {
			edits = append(edits, edit{at.start, at.end, tokens})
		}
	}
	if p.MaxTokensField != "" {
		other := r.at[fieldMax+fieldMaxComplete-fieldNamed(wanted)]
		switch {
		case !other.present():
		case !r.at[fieldNamed(wanted)].present(): // some providers refuse what they do not know, be it null
			return append(edits, edit{other.key, other.keyEnd, `"` + wanted + `"`}, edit{other.start, other.end, tokens})
		case r.body[other.start] != 'n':
			edits = append(edits, edit{other.start, other.end, "null"})
		}
	}
	if seen {
		return edits
	}
	if at := r.at[fieldNamed(wanted)]; at.present() { // it was null
		return append(edits, edit{at.start, at.end, tokens})
	}
	return append(edits, edit{r.open, r.open, `"` + wanted + `":` + tokens + ","})
}

func fieldNamed(name string) int {
	if name == FieldMaxTokens {
		return fieldMax
	}
	return fieldMaxComplete
}

// askUsage sets stream_options.include_usage and keeps the other options.
func (r *chatRequest) askUsage() edit {
	const whole = `{"include_usage":true}`
	at := r.at[fieldOptions]
	if !at.present() {
		return edit{r.open, r.open, `"stream_options":` + whole + ","}
	}
	value := r.body[at.start:at.end]
	options := gjson.Parse(value)
	if !options.IsObject() { // null
		return edit{at.start, at.end, whole}
	}
	if include := options.Get("include_usage"); include.Exists() {
		start := at.start + include.Index
		return edit{start, start + len(include.Raw), "true"}
	}
	text := `"include_usage":true`
	empty := true
	options.ForEach(func(_, _ gjson.Result) bool { empty = false; return false })
	if !empty {
		text += ","
	}
	return edit{at.start + 1, at.start + 1, text}
}
