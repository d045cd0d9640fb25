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
			case "content":
				if value.IsArray() {
					r.readParts(value)
				}
			}
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
	return nil
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
				r.imageBytes += int64(len(address.Raw))
			}
			return true
		})
		return true
	})
}

// PromptBound is a number of tokens that the request's prompt cannot exceed for
// the model: no token is shorter than a byte of the body, and an image counts as
// the model's ImageTokens in place of its bytes.
func (r *Request) PromptBound(m *Model) int64 {
	bound := int64(len(r.json)) - r.imageBytes + r.images*m.ImageTokens + promptOverhead
	return min(bound, m.Context)
}

// Images is how many images the messages hold.
func (r *Request) Images() int64 { return r.images }

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
