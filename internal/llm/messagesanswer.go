package llm

import (
	"strconv"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

const (
	messageDelta = "event: message_delta\n" + eventHead
	messageStop  = "event: message_stop\n" + eventHead + `{"type":"message_stop"}` + eventTail
)

// messagesAnswer reads and writes answers of Anthropic's messages.
type messagesAnswer struct {
	heard
	body  gjson.Result // of an unstreamed answer
	began gjson.Result // the usage as the stream's first event tells it
	told  gjson.Result // the usage at the end, or of an unstreamed answer
	delta bool         // the last event was a message_delta
	kept  []byte       // data of the newest message_delta: it is sent at the end
}

func (a *messagesAnswer) event(data []byte) (Chunk, error) {
	var c Chunk
	event, err := eventJSON(data)
	if err != nil {
		return c, err
	}
	a.delta = false
	switch event.Get("type").Str {
	case "message_start":
		a.began = event.Get("message.usage")
		a.blocks(&c, event.Get("message.content"))
	case "content_block_start":
		a.block(&c, event.Get("content_block"))
	case "content_block_delta":
		a.block(&c, event.Get("delta"))
	case "message_delta":
		a.delta = true
		if usage := event.Get("usage"); usage.IsObject() {
			a.told = usage
		}
		if reason := event.Get("delta.stop_reason").Str; reason != "" {
			a.finish, a.ended = finishOf(reason), true
		}
	case "message_stop":
		c.Over = true
	case "error":
		return c, reported(event.Get("error"))
	}
	return c, nil
}

// finishOf is a stop reason in chat's words.
func finishOf(reason string) string {
	switch reason {
	case "end_turn", "stop_sequence":
		return FinishStop
	case "max_tokens", "model_context_window_exceeded":
		return FinishLength
	case "tool_use":
		return FinishTools
	case "refusal":
		return FinishFilter
	}
	return reason
}

func (a *messagesAnswer) blocks(c *Chunk, blocks gjson.Result) {
	blocks.ForEach(func(_, block gjson.Result) bool {
		a.block(c, block)
		return true
	})
}

// block keeps the text of a block, or of what is added to one.
func (a *messagesAnswer) block(c *Chunk, block gjson.Result) {
	block.ForEach(func(key, value gjson.Result) bool {
		text := blockText(key.Str, value)
		if text == "" {
			return true
		}
		if key.Str == "text" {
			c.Content += text
		}
		c.Text = true
		a.text.keep(text)
		return true
	})
}

// blockText is what of a block's member the model has written.
func blockText(name string, value gjson.Result) string {
	switch name {
	case "text", "thinking", "partial_json", "name":
		return value.Str
	case "input":
		if !emptyObject(value.Raw) {
			return value.Raw
		}
	case "data": // thinking that is not shown, in a cipher that is about four times as long in tokens
		return value.Str[:len(value.Str)/4]
	}
	return ""
}

func (a *messagesAnswer) whole(answer *Answer) (err error) {
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	switch kind := a.body.Get("type").Str; {
	case kind == "error":
		return reported(a.body.Get("error"))
	case kind != "message", !a.body.Get("content").IsArray():
		return errNoAnswer
	}
	a.finish = finishOf(a.body.Get("stop_reason").Str)
	a.told = gjson.Get(a.body.Raw, "usage") // its Index is then of Raw
	return nil
}

func (a *messagesAnswer) tokens(c *Counter) (tokens int64) {
	a.body.Get("content").ForEach(func(_, block gjson.Result) bool {
		block.ForEach(func(key, value gjson.Result) bool {
			tokens += c.Count(blockText(key.Str, value))
			return true
		})
		return true
	})
	return tokens
}

// usage is what the first event told of the prompt and the last one of all. What the first
// one says of the answer is about its beginning.
func (a *messagesAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	began := a.began
	if began.IsObject() {
		prompt, _ := sjson.Delete(began.Raw, "output_tokens") // never fails on JSON
		began = gjson.Parse(prompt)
	}
	return ReadUsage(MergeUsage(began, a.told), mostPrompt, mostCompletion).ofWords()
}

// passed holds back the event that tells the usage until the cost is known. Should the
// provider send several, each makes way for the next.
func (a *messagesAnswer) passed(e Event) ([]byte, error) {
	if !a.delta {
		return e.Raw, nil
	}
	earlier := a.kept
	a.kept = append([]byte(nil), e.Data...)
	if earlier == nil {
		return nil, nil
	}
	return append(append([]byte(messageDelta), earlier...), eventTail...), nil
}

func (a *messagesAnswer) closing(to []byte, f Final) []byte {
	delta := string(a.kept)
	if a.kept == nil {
		delta = `{"type":"message_delta","delta":{"stop_reason":null,"stop_sequence":null},"usage":{}}`
	}
	to = appendMessagesCost(append(to, messageDelta...), delta, gjson.Get(delta, "usage"), f)
	to = append(to, eventTail...)
	return append(to, messageStop...)
}

func (a *messagesAnswer) answer(to []byte, f Final) ([]byte, string) {
	return appendMessagesCost(to, a.body.Raw, a.told, f), contentJSON
}

func (a *messagesAnswer) failing(to []byte, f Failure) []byte { return failMessages(to, f) }

func failMessages(to []byte, f Failure) []byte {
	to = append(to, "event: error\n"+eventHead...)
	to = append(to, f.Body...)
	return append(to, eventTail...)
}

// appendMessagesCost appends an answer of Anthropic's protocol with "cost", in USD, added
// to its usage. Where the provider told none, ours takes its place, marked as estimated.
func appendMessagesCost(to []byte, body string, usage gjson.Result, f Final) []byte {
	if usage.IsObject() && usage.Index > 0 && !f.Estimated && !usage.Get("cost").Exists() {
		return appendCost(to, body, usage, f)
	}
	raw := "{}"
	if usage.IsObject() {
		raw = usage.Raw
	}
	set := func(field, value string) {
		if patched, err := sjson.SetRaw(raw, field, value); err == nil {
			raw = patched
		}
	}
	if f.Estimated {
		set("input_tokens", strconv.FormatInt(f.Prompt-f.Cached-f.CacheWrite-f.CacheWrite1h, 10))
		set("output_tokens", strconv.FormatInt(f.Completion, 10))
		set("estimated", "true")
	}
	set("cost", f.Cost)
	return appendPatchedUsage(to, body, raw)
}
