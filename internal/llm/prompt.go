package llm

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// readMessages checks the messages' form and counts the images in them.
func (r *chatRequest) readMessages(messages gjson.Result) error {
	const param = "messages"
	if !messages.IsArray() {
		return &RequestError{Param: param, Message: "'messages' must be an array of messages."}
	}
	var fault *RequestError
	count := 0
	eachElement(messages.Raw, func(start, end int) bool {
		message := messages.Raw[start:end]
		if message[0] != '{' {
			fault = &RequestError{Param: fmt.Sprintf("messages[%d]", count), Message: "A message must be an object."}
			return false
		}
		role, err := r.readMessage(message, count)
		if errors.As(err, &fault) {
			return false
		}
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

// readMessage counts what is in the message of that number, and says whether it has a role.
func (r *chatRequest) readMessage(message string, number int) (role bool, fault error) {
	eachField(message, 0, func(m member) bool {
		value, name := message[m.start:m.end], unquoted(message[m.key:m.keyEnd])
		switch name {
		case "role":
			role = value[0] == '"' && value != `""`
			r.promptMost += max(0, int64(len(value))-roleBytes)
			return true
		case "content":
			if value[0] == '[' {
				fault = r.readParts(value, number)
			}
		default:
			if value != "null" && strings.EqualFold(name, "audio") {
				fault = storedAudio(fmt.Sprintf("messages[%d].audio", number))
			}
		}
		r.promptMost += int64(len(value))
		return fault == nil
	})
	return role, fault
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

// other bounds what a field beside the governed ones adds to the prompt, and notes what
// it asks for.
func (r *chatRequest) other(field string, value gjson.Result) {
	r.promptMost += boundOf(field, value)
	if err := stored(field, value); err != nil {
		r.fault = err
	}
	switch {
	case value.Type == gjson.Null:
	case strings.EqualFold(field, "modalities"):
		r.Lacks.AudioOut, r.Lacks.ImageOut = false, false
	case strings.EqualFold(field, "audio"):
		r.Lacks.AudioOut = false
	default:
		if slices.ContainsFunc(billedApart, func(name string) bool { return strings.EqualFold(field, name) }) {
			r.fault = notOffered(field, "it is billed apart")
		}
	}
}

// readTools refuses tools that the provider runs: they cost beside their tokens, and what
// they add to the prompt has no bound.
func (r *chatRequest) readTools(tools gjson.Result) error {
	const param = "tools"
	if tools.Type == gjson.Null {
		return nil
	}
	if !tools.IsArray() {
		return &RequestError{Param: param, Message: "'tools' must be an array of tools."}
	}
	r.promptMost += boundOf(param, tools)
	var fault error
	count := 0
	tools.ForEach(func(_, tool gjson.Result) bool {
		types := 0
		tool.ForEach(func(key, value gjson.Result) bool {
			if !strings.EqualFold(key.Str, "type") {
				return true
			}
			types++
			if types > 1 || key.Str != "type" || value.Str != "function" && value.Str != "custom" {
				fault = notOffered(fmt.Sprintf("tools[%d].type", count), "only functions and tools that the client itself runs are")
			}
			return fault == nil
		})
		if types == 0 {
			fault = &RequestError{Param: fmt.Sprintf("tools[%d].type", count), Message: "A tool must have a 'type', which is 'function' or 'custom'."}
		}
		count++
		return fault == nil
	})
	return fault
}

// readParts counts a message's images and the bytes that are pictures, not words, and
// notes what else is no text.
func (r *chatRequest) readParts(parts string, message int) (fault error) {
	count := 0
	eachElement(parts, func(start, end int) bool {
		if fault = storedIn(parts[start:end], ""); fault != nil { // then it is worth saying where
			fault = storedIn(parts[start:end], fmt.Sprintf("messages[%d].content[%d]", message, count))
			return false
		}
		count++
		gjson.Parse(parts[start:end]).ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "type":
				r.readKind(value.Str)
			case "file":
				r.unbounded = true // text may be packed in it
			case "image_url":
				r.readImage(value)
			}
			return true
		})
		return true
	})
	return fault
}

func (r *chatRequest) readKind(kind string) {
	switch kind {
	case "text", "input_text", "output_text", "refusal", "thinking", "reasoning":
	case "image_url":
		r.Lacks.ImageIn = false
	case "input_audio":
		r.Lacks.AudioIn = false
	default: // how much is in it, only the provider knows
		r.unbounded, r.Lacks.ImageIn, r.Lacks.AudioIn = true, false, false
	}
}

func (r *chatRequest) readImage(image gjson.Result) {
	r.images++
	r.Lacks.ImageIn = false
	address := image
	if image.IsObject() {
		address = image.Get("url")
	}
	if strings.HasPrefix(address.Str, "data:") {
		r.promptMost -= int64(len(address.Raw)) // a picture, not words
	}
}

func (r *chatRequest) promptBound(m *Model) int64 {
	if r.unbounded {
		return m.Context
	}
	return r.promptMost + r.images*m.ImageTokens
}

func (r *chatRequest) promptEstimate(c *Counter, m *Model) int64 {
	var text strings.Builder
	r.words(func(words string) {
		text.WriteString(words)
		text.WriteByte('\n')
	})
	return answerTokens + r.images*min(imageTokens, m.ImageTokens) + r.messages*messageTokens + c.Count(text.String())
}

// thread names the conversation by what the client says it is; it begins with all up to
// the first message of a user.
func (r *chatRequest) thread() (named, beginning string) {
	var user string
	eachField(r.body, r.open-1, func(m member) bool {
		if r.body[m.start] != '"' {
			return true
		}
		switch unquoted(r.body[m.key:m.keyEnd]) {
		case "prompt_cache_key":
			named = unquoted(r.body[m.start:m.end])
		case "user":
			user = unquoted(r.body[m.start:m.end])
		}
		return named == ""
	})
	if named = cmp.Or(named, user); named != "" {
		return named, ""
	}
	return "", r.firstTurn(r.at[fieldMessages])
}

// words calls yield with every text of the messages.
func (r *chatRequest) words(yield func(string)) {
	at := r.at[fieldMessages]
	gjson.Parse(r.body[at.start:at.end]).ForEach(func(_, message gjson.Result) bool {
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
			case "role", "type", "id", "index", "tool_call_id", "tool_use_id", "image_url", "data", "file_data", "media_type", "format", "annotations", "signature":
			default:
				eachText(value, yield)
			}
			return true
		})
	}
}
