package llm

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

// readMessages checks the messages' form and counts the images in them.
func (r *Request) readMessages(messages gjson.Result) error {
	const param = "messages"
	if !messages.IsArray() {
		return &RequestError{Param: param, Message: "'messages' must be an array of messages."}
	}
	var fault *RequestError
	count := 0
	messages.ForEach(func(_, message gjson.Result) bool {
		if !message.IsObject() {
			fault = &RequestError{Param: fmt.Sprintf("messages[%d]", count), Message: "A message must be an object."}
			return false
		}
		role := false
		message.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "role":
				role = value.Type == gjson.String && value.Str != ""
				r.promptMost += max(0, int64(len(value.Raw))-roleBytes)
				return true
			case "content":
				if value.IsArray() {
					r.readParts(value)
				}
			}
			r.promptMost += int64(len(value.Raw))
			return true
		})
		if !role {
			fault = &RequestError{Param: fmt.Sprintf("messages[%d].role", count), Message: "A message's 'role' must be a non-empty string."}
			return false
		}
		count++
		return true
	})
	switch {
	case fault != nil:
		return fault
	case count == 0:
		return &RequestError{Param: param, Message: "'messages' must hold at least one message."}
	}
	r.messages = int64(count)
	r.promptMost += promptOverhead + messageOverhead*r.messages
	return nil
}

// boundOf is how many tokens of prompt a field beside the messages can make: tools,
// schemas, and whatever else a provider may put before the model. Numbers and
// switches make none.
func boundOf(field string, value gjson.Result) int64 {
	if value.Type != gjson.String && value.Type != gjson.JSON {
		return 0
	}
	bound := int64(len(value.Raw))
	if field == "tools" || field == "functions" {
		bound += toolsOverhead
	}
	return bound
}

// readParts counts a message's images and the bytes that are pictures, not words.
func (r *Request) readParts(parts gjson.Result) {
	parts.ForEach(func(_, part gjson.Result) bool {
		part.ForEach(func(key, value gjson.Result) bool {
			if key.Str != "image_url" {
				return true
			}
			r.images++
			address := value
			if value.IsObject() {
				address = value.Get("url")
			}
			if strings.HasPrefix(address.Str, "data:") {
				r.promptMost -= int64(len(address.Raw)) // a picture, not words
			}
			return true
		})
		return true
	})
}

// PromptBound is a number of tokens that the request's prompt cannot exceed for
// the model: a token covers at least one byte of what is said, what a template adds
// is allowed for, and an image counts as the model's ImageTokens.
func (r *Request) PromptBound(m *Model) int64 {
	return min(r.promptMost+r.images*m.ImageTokens, m.Context)
}

// words calls yield with every text of the messages.
func (r *Request) words(yield func(string)) {
	at := r.at[fieldMessages]
	gjson.Parse(r.json[at.start:at.end]).ForEach(func(_, message gjson.Result) bool {
		eachText(message, yield)
		return true
	})
}

// eachText calls yield with every string in v that is, or may be, text: all but
// those of the fields that only give structure. It holds for requests' messages
// and for answers' messages and deltas alike.
func eachText(v gjson.Result, yield func(string)) {
	switch {
	case v.Type == gjson.String:
		if v.Str != "" {
			yield(v.Str)
		}
	case v.IsArray():
		v.ForEach(func(_, element gjson.Result) bool {
			eachText(element, yield)
			return true
		})
	case v.IsObject():
		v.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "role", "type", "id", "index", "tool_call_id", "image_url", "data", "file_data", "format", "annotations":
			default:
				eachText(value, yield)
			}
			return true
		})
	}
}
