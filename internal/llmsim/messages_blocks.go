package llmsim

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// blocks reads the content of one message of Anthropic's protocol into turns of
// the conversation. Results of tools become turns of their own.
type blocks struct {
	request *messagesRequest
	turn    *turn
	role    string
	at      string   // the content's place in the request
	asked   []string // tools whose results are still due; what is left is missing
	newest  bool

	uses []string // ids of the tools used here
}

func (b *blocks) all(content gjson.Result) *apiError {
	if content.Type == gjson.String {
		if content.Str == "" {
			return invalid("", "", strings.TrimSuffix(b.at, ".content")+": all messages must have non-empty content except for the optional final assistant message")
		}
		b.add(message{role: b.role, text: content.Str})
		return nil
	}
	if !content.IsArray() {
		return invalid("", "", b.at+": Input should be a valid string or list")
	}
	first := len(b.turn.messages)
	for i, block := range content.Array() {
		if fault := b.one(block, fmt.Sprintf("%s.%d", b.at, i), first); fault != nil {
			return fault
		}
		end, _ := b.turn.promptTokens()
		b.request.mark(block.Get("cache_control"), end, !b.newest)
	}
	if len(b.turn.messages) == first {
		b.add(message{role: b.role})
	}
	return nil
}

func (b *blocks) one(block gjson.Result, at string, first int) *apiError {
	switch kind := block.Get("type").Str; kind {
	case "text":
		if block.Get("text").Str == "" {
			return invalid("", "", "messages: text content blocks must be non-empty")
		}
		m := b.mine(first)
		m.text = strings.TrimPrefix(m.text+"\n"+block.Get("text").Str, "\n")
	case "image", "document":
		if fault := checkSource(block.Get("source"), kind, at); fault != nil {
			return fault
		}
		b.mine(first).images++
	case "tool_use":
		if !block.Get("input").IsObject() {
			return invalid("", "", at+".tool_use.input: Input should be a valid dictionary")
		}
		m := b.mine(first)
		m.calls = append(m.calls, call{id: block.Get("id").Str, name: block.Get("name").Str, arguments: block.Get("input").Raw})
		b.uses = append(b.uses, block.Get("id").Str)
	case "tool_result":
		return b.result(block, at)
	case "thinking", "redacted_thinking":
		if kind == "thinking" && block.Get("signature").Str == "" {
			return required(at + ".thinking.signature")
		}
	default:
		return invalid("", "", fmt.Sprintf("%s: Input tag '%s' found using 'type' does not match any of the expected tags: "+
			"'document', 'image', 'redacted_thinking', 'text', 'thinking', 'tool_result', 'tool_use'", at, kind))
	}
	return nil
}

// result is what a tool answered.
func (b *blocks) result(block gjson.Result, at string) *apiError {
	id := block.Get("tool_use_id").Str
	due := slices.Index(b.asked, id)
	if due < 0 {
		return invalid("", "", fmt.Sprintf("%s: unexpected `tool_use_id` found in `tool_result` blocks: %s. "+
			"Each `tool_result` block must have a corresponding `tool_use` block in the previous message.", at, id))
	}
	b.asked = slices.Delete(slices.Clone(b.asked), due, due+1)
	m := message{role: "tool"}
	content := block.Get("content")
	m.text = content.Str
	for _, part := range content.Array() {
		switch part.Get("type").Str {
		case "text":
			m.text = strings.TrimPrefix(m.text+"\n"+part.Get("text").Str, "\n")
		case "image":
			m.images++
		}
	}
	b.add(m)
	return nil
}

// mine is the turn that collects what is said here by the message's own role.
func (b *blocks) mine(first int) *message {
	last := len(b.turn.messages) - 1
	if last < first || b.turn.messages[last].role != b.role {
		b.add(message{role: b.role})
		last = len(b.turn.messages) - 1
	}
	return &b.turn.messages[last]
}

func (b *blocks) add(m message) { b.turn.messages = append(b.turn.messages, m) }

// checkSource takes an image or document from the web, from a file, or as data of a
// known kind.
func checkSource(source gjson.Result, kind, at string) *apiError {
	switch source.Get("type").Str {
	case "url", "file", "text", "content":
		return nil
	case "base64":
	default:
		return invalid("", "", fmt.Sprintf("%s.%s.source: Input tag '%s' found using 'type' does not match any of the expected tags: 'base64', 'file', 'url'",
			at, kind, source.Get("type").Str))
	}
	media := source.Get("media_type").Str
	if kind == "image" && !slices.Contains(imageKinds(), media) {
		return invalid("", "", fmt.Sprintf("%s.image.source.base64.media_type: Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'", at))
	}
	return nil
}
