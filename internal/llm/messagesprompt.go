package llm

import (
	"fmt"
	"strings"

	"github.com/tidwall/gjson"
)

const (
	// toolInstructions is what the provider tells a model of a tool that it has a
	// description of itself, such as a shell, in tokens, generously.
	toolInstructions = 1536
	// documentOverhead frames a document, a search result or a tool's result.
	documentOverhead = 32
	// toolsetTools is how many tools' instructions a set of the provider's own comes to.
	toolsetTools = 16
)

// ownTools are the types of tools that the client itself runs. All others the provider
// runs: it bills them apart, and what they add to the prompt has no bound.
var ownTools = []string{"custom", "bash_", "text_editor_", "computer_", "browser_toolset_", "memory_", "tool_search_tool_"}

func (r *messagesRequest) readTools(tools gjson.Result) error {
	const param = "tools"
	if tools.Type == gjson.Null {
		return nil
	}
	if !tools.IsArray() {
		return &RequestError{Param: param, Message: "'tools' must be an array of tools."}
	}
	var fault error
	count := 0
	tools.ForEach(func(_, tool gjson.Result) bool {
		fault = r.readTool(tool, fmt.Sprintf("%s[%d]", param, count))
		count++
		return fault == nil
	})
	r.promptMost += boundOf(param, tools)
	return fault
}

// readTool refuses a tool that the provider runs.
func (r *messagesRequest) readTool(tool gjson.Result, where string) error {
	kind, err := only(tool, "type", where)
	switch {
	case err != nil || kind.Type == gjson.Null:
		return err
	case kind.Type != gjson.String || !runByClient(kind.Str):
		return notOffered(where+".type", "only tools that the client itself runs are")
	case strings.Contains(kind.Str, "_toolset_"):
		r.tools += toolsetTools
	case kind.Str != "custom":
		r.tools++
	}
	return nil
}

// readToolChange looks at a tool that a conversation brings in or takes out, which is one of
// the request's tools or has its definition here.
func (r *messagesRequest) readToolChange(change gjson.Result, where string) error {
	tool, err := only(change, "tool", where)
	if err != nil {
		return err
	}
	where += ".tool"
	kind, err := only(tool, "type", where)
	switch {
	case err != nil:
		return err
	case kind.Str == "tool_reference":
		return nil
	case kind.Str != "tool_definition":
		return notOffered(where+".type", "only tools that the client itself runs are")
	}
	definition, err := only(tool, "definition", where)
	if err != nil {
		return err
	}
	return r.readTool(definition, where+".definition")
}

// readCompaction looks at the tools that a summary brings in.
func (r *messagesRequest) readCompaction(block gjson.Result, where string) error {
	changes, err := only(block, "tool_changes", where)
	if err != nil {
		return err
	}
	count := 0
	changes.ForEach(func(_, change gjson.Result) bool {
		err = r.readToolChange(change, fmt.Sprintf("%s.tool_changes[%d]", where, count))
		count++
		return err == nil
	})
	return err
}

func runByClient(kind string) bool {
	for _, own := range ownTools {
		if kind == own || strings.HasSuffix(own, "_") && strings.HasPrefix(kind, own) {
			return true
		}
	}
	return false
}

// readMessages checks the messages' form and what is in them that is not words.
func (r *messagesRequest) readMessages(messages gjson.Result) error {
	const param = "messages"
	if !messages.IsArray() {
		return &RequestError{Param: param, Message: "messages: Input should be a valid array"}
	}
	var fault error
	messages.ForEach(func(_, message gjson.Result) bool {
		where := fmt.Sprintf("%s[%d]", param, r.messages)
		if !message.IsObject() {
			fault = &RequestError{Param: where, Message: "A message must be an object."}
			return false
		}
		r.messages++
		role := false
		message.ForEach(func(key, value gjson.Result) bool {
			r.promptMost += int64(len(value.Raw))
			switch key.Str {
			case "role":
				role = value.Type == gjson.String && value.Str != ""
			case "content":
				fault = r.readBlocks(value, where+".content")
			}
			return fault == nil
		})
		if !role && fault == nil {
			fault = &RequestError{Param: where + ".role", Message: "A message's 'role' must be a non-empty string."}
		}
		return fault == nil
	})
	if fault == nil && r.messages == 0 {
		fault = &RequestError{Param: param, Message: "messages: at least one message is required"}
	}
	r.promptMost += promptOverhead + messageOverhead*r.messages
	return fault
}

// readBlocks looks at an array of content blocks for pictures and documents.
func (r *messagesRequest) readBlocks(blocks gjson.Result, where string) (fault error) {
	if !blocks.IsArray() {
		return nil
	}
	count := 0
	blocks.ForEach(func(_, block gjson.Result) bool {
		fault = r.readBlock(block, fmt.Sprintf("%s[%d]", where, count))
		count++
		return fault == nil
	})
	return fault
}

// readBlock looks at one block. What it is must be beyond doubt, or another reader would
// count its bytes as something else.
func (r *messagesRequest) readBlock(block gjson.Result, where string) error {
	kind, err := only(block, "type", where)
	if err != nil {
		return err
	}
	switch kind.Str {
	case "image", "document":
		source, err := only(block, "source", where)
		if err != nil {
			return err
		}
		return r.readSource(kind.Str, source, where+".source")
	case "tool_result", "search_result":
		content, err := only(block, "content", where)
		if err != nil {
			return err
		}
		r.promptMost += documentOverhead
		return r.readBlocks(content, where+".content")
	case "text", "thinking", "redacted_thinking", "tool_use": // words and ciphers
	case "container_upload":
		return notOffered(where+".type", "files kept at the provider are nobody's here")
	case "tool_addition", "tool_removal":
		return r.readToolChange(block, where)
	case "compaction":
		r.unbounded = true // it may be a cipher of any length
		return r.readCompaction(block, where)
	default:
		r.unbounded = true // it may hold a document
	}
	return nil
}

// readSource looks at where a picture or a document is.
func (r *messagesRequest) readSource(kind string, source gjson.Result, where string) error {
	from, err := only(source, "type", where)
	if err != nil {
		return err
	}
	r.promptMost += documentOverhead
	if kind == "image" {
		r.images++
	}
	switch from.Str {
	case "file":
		return notOffered(where+".type", "files kept at the provider are nobody's here")
	case "base64":
		data, err := only(source, "data", where)
		if err != nil {
			return err
		}
		if kind == "document" {
			r.unbounded = true // how much text is packed in it, only the provider sees
			return nil
		}
		r.promptMost -= int64(len(data.Raw)) // a picture, not words
	case "url":
		r.unbounded = r.unbounded || kind == "document"
	case "content":
		content, err := only(source, "content", where)
		if err != nil {
			return err
		}
		return r.readBlocks(content, where+".content")
	}
	return nil
}

// only finds an object's member, which may not be there twice.
func only(object gjson.Result, name, where string) (found gjson.Result, err error) {
	seen := false
	object.ForEach(func(key, value gjson.Result) bool {
		if key.Str != name {
			return true
		}
		if seen {
			err = &RequestError{Param: where + "." + name, Message: fmt.Sprintf("The field '%s.%s' appears twice.", where, name)}
		}
		seen, found = true, value
		return err == nil
	})
	return found, err
}

func (r *messagesRequest) promptBound(m *Model) int64 {
	if r.unbounded {
		return m.Context
	}
	return r.promptMost + r.images*m.ImageTokens + r.tools*toolInstructions
}

func (r *messagesRequest) promptEstimate(c *Counter, m *Model) int64 {
	var text strings.Builder
	add := func(words string) {
		text.WriteString(words)
		text.WriteByte('\n')
	}
	eachText(gjson.Get(r.body, "system"), add)
	for _, field := range []int{messagesMessages, messagesTools} {
		at := r.at[field]
		eachText(gjson.Parse(r.body[at.start:at.end]), add)
	}
	return answerTokens + r.images*min(imageTokens, m.ImageTokens) + r.messages*messageTokens + c.Count(text.String())
}
