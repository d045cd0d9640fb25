package llm

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// All accounts share ours at a provider: what one of them left there, another could have
// read to it, and nobody here could say whose it is. So a chat completion request leaves
// nothing there and names nothing that is there.

// namesOfStored are members that name something kept at the provider.
var namesOfStored = []string{"file_id", "cached_content", "cachedContent"}

// readStore refuses to have an answer kept.
func readStore(v gjson.Result) error {
	kept, err := boolean(v, "store")
	if err == nil && kept {
		err = refused("store", "Answers are not stored here: leave 'store' out or set it to false, and send the conversation in 'messages'.")
	}
	return err
}

// unkept is the member that has a provider keep nothing, before others.
const unkept = `"store":false,`

// unkept is a translated chat completion request that the provider keeps nothing of.
func (p *Provider) unkept(body []byte) []byte {
	if !p.keepsChat {
		return body
	}
	return append([]byte("{"+unkept), body[1:]...)
}

// stored refuses a field of the request itself that leaves something at the provider, or
// names what is there.
func stored(field string, value gjson.Result) error {
	switch {
	case value.Type == gjson.Null:
		return nil
	case strings.EqualFold(field, "deferred"):
		if value.Type != gjson.False {
			return refused("deferred", "Answers are given while the client waits: leave 'deferred' out, and stream.")
		}
	case strings.EqualFold(field, "preset"):
		return notOffered(field, keptThere)
	case strings.EqualFold(field, "audio"):
		var fault error
		value.ForEach(func(key, v gjson.Result) bool {
			if strings.EqualFold(key.Str, "voice") && v.IsObject() {
				fault = refused("audio.voice", "Only the provider's own voices are offered here: 'voice' must be a voice's name.")
			}
			return fault == nil
		})
		return fault
	case strings.EqualFold(field, "extra_body"), slices.ContainsFunc(namesOfStored, func(name string) bool { return strings.EqualFold(field, name) }):
		return storedIn(`{"`+field+`":`+value.Raw+`}`, "")
	}
	return nil
}

// storedAudio refuses an answer of before that is named by its sound's id.
func storedAudio(param string) error {
	return refused(param, "Answers are not stored here, so that 'audio' names none: leave it out, and send what was said in 'content'.")
}

// storedIn refuses what a value names that is kept at the provider: by an id, or by an
// address that only the provider can read. where is the value's own place.
func storedIn(text, where string) (fault error) {
	switch text[0] {
	case '[':
		eachElement(text, func(start, end int) bool {
			fault = storedIn(text[start:end], where)
			return fault == nil
		})
	case '{':
		eachField(text, 0, func(m member) bool {
			name, value := unquoted(text[m.key:m.keyEnd]), text[m.start:m.end]
			at := strings.ToLower(name)
			if where != "" {
				at = where + "." + at
			}
			switch {
			case value == "null":
			case slices.ContainsFunc(namesOfStored, func(known string) bool { return strings.EqualFold(name, known) }):
				fault = refused(at, "'%s' names something that is kept at the provider; nothing is, here. Send it itself, a file in 'file_data'.", strings.ToLower(name))
			case value[0] == '"' && strings.HasSuffix(strings.ToLower(name), "url"):
				fault = storedAt(value, at)
			default:
				fault = storedIn(value, at)
			}
			return fault == nil
		})
	}
	return fault
}

// storedAt refuses an address that names a file at the provider, such as ms:// or gs://.
func storedAt(quoted, where string) error {
	if strings.HasPrefix(quoted, `"data:`) { // it may be long
		return nil
	}
	scheme, _, found := strings.Cut(unquoted(quoted), "://")
	if !found || len(scheme) > maxScheme || strings.EqualFold(scheme, "https") || strings.EqualFold(scheme, "http") || strings.ContainsAny(scheme, ":,/") {
		return nil
	}
	return &RequestError{Param: where, Message: fmt.Sprintf(
		"'%s' must be an http or https URL, or a data URL: files kept at the provider are nobody's here.", where)}
}

const maxScheme = 32 // bytes
