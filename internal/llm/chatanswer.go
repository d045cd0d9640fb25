package llm

import (
	"encoding/json"

	"github.com/tidwall/gjson"
)

// chatAnswer reads and writes answers of OpenAI's chat completions.
type chatAnswer struct {
	heard
	model        string // as the client named it
	includeUsage bool   // the client wants a stream's usage
	n            int64  // answers that were asked for; 0: one

	body    gjson.Result // of an unstreamed answer
	told    gjson.Result // the usage
	apart   bool         // the last event told the usage and nothing else
	kept    []byte       // data of such an event
	id      string
	answers string // the model that answers, by its own word
	created int64
	over    map[int64]bool // the answers that have ended, where several were asked for
}

func (a *chatAnswer) event(data []byte) (Chunk, error) {
	if string(data) == "[DONE]" {
		return Chunk{Over: true}, nil
	}
	var c Chunk
	event, err := eventJSON(data)
	if err != nil {
		return c, err
	}
	choices, usage := false, false
	event.ForEach(func(key, value gjson.Result) bool {
		switch key.Str {
		case "choices":
			choices = a.choices(&c, value)
		case "usage":
			if value.IsObject() {
				a.told, usage = value, true
			}
		case "error":
			if value.Type != gjson.Null {
				err = reported(value)
			}
		case "id":
			a.id = value.Str
		case "model":
			a.answers = value.Str
		case "created":
			a.created = value.Int()
		}
		return true
	})
	a.apart = usage && !choices
	return c, err
}

// choices reads a chunk's choices and says whether there are any.
func (a *chatAnswer) choices(c *Chunk, choices gjson.Result) (some bool) {
	choices.ForEach(func(_, choice gjson.Result) bool {
		some = true
		var index int64
		first, finish := true, ""
		choice.ForEach(func(key, value gjson.Result) bool {
			switch key.Str {
			case "index":
				index = value.Int()
				first = index == 0
			case "finish_reason":
				finish = value.Str
			case "delta":
				if first {
					c.Content += value.Get("content").Str
				}
				eachText(value, func(text string) {
					c.Text = true
					a.text.keep(text)
				})
			}
			return true
		})
		if finish != "" {
			a.endsOne(index, finish)
		}
		return true
	})
	return some
}

// endsOne notes that one of the answers has ended. The stream's answer is whole once all
// have that were asked for.
func (a *chatAnswer) endsOne(index int64, finish string) {
	a.finish = finish
	if a.n <= 1 {
		a.ended = true
		return
	}
	if a.over == nil {
		a.over = make(map[int64]bool, a.n)
	}
	a.over[index] = true
	a.ended = int64(len(a.over)) >= a.n
}

func (a *chatAnswer) whole(answer *Answer) (err error) {
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	first := a.body.Get("choices.0")
	if fault := a.body.Get("error"); !first.Exists() && fault.IsObject() {
		return reported(fault)
	} else if !first.Exists() {
		return errNoAnswer
	}
	a.finish = first.Get("finish_reason").Str
	a.told = gjson.Get(a.body.Raw, "usage") // its Index is then of Raw
	return nil
}

func (a *chatAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	return ReadUsage(a.told, mostPrompt, mostCompletion).ofWords()
}

func (a *chatAnswer) tokens(c *Counter) (tokens int64) {
	a.body.Get("choices").ForEach(func(_, choice gjson.Result) bool {
		eachText(choice.Get("message"), func(text string) { tokens += c.Count(text) })
		return true
	})
	return tokens
}

// passed holds back the event that tells the usage: it is sent at the end, with the cost
// in it.
func (a *chatAnswer) passed(e Event) ([]byte, error) {
	if a.apart {
		a.kept = append(a.kept[:0], e.Data...)
		return nil, nil
	}
	return e.Raw, nil
}

func (a *chatAnswer) answer(to []byte, f Final) ([]byte, string) {
	return appendWithCost(to, a.body.Raw, a.told, f), contentJSON
}

func (a *chatAnswer) failing(to []byte, f Failure) []byte { return failChat(to, f) }

func failChat(to []byte, f Failure) []byte {
	to = append(to, eventHead...)
	to = append(to, f.Body...)
	return append(to, eventTail...)
}

func (a *chatAnswer) closing(to []byte, f Final) []byte {
	if a.includeUsage {
		to = append(a.closingUsage(append(to, eventHead...), f), eventTail...)
	}
	return append(to, doneEvent...)
}

// closingUsage is the data of the last event of a stream before [DONE], which tells the
// usage: the provider's own, or one of ours where it sent none.
func (a *chatAnswer) closingUsage(to []byte, f Final) []byte {
	if a.kept != nil {
		text := string(a.kept)
		return appendWithCost(to, text, gjson.Get(text, "usage"), f)
	}
	model := a.model
	if a.answers != "" {
		model = a.answers
	}
	details := func(name string, tokens int64) map[string]int64 { return map[string]int64{name: tokens} }
	chunk := struct {
		ID      string         `json:"id"`
		Object  string         `json:"object"`
		Created int64          `json:"created"`
		Model   string         `json:"model"`
		Choices []struct{}     `json:"choices"`
		Usage   map[string]any `json:"usage"`
	}{
		ID: a.id, Object: "chat.completion.chunk", Created: a.created, Model: model, Choices: []struct{}{},
		Usage: map[string]any{
			"prompt_tokens":             f.Prompt,
			"completion_tokens":         f.Completion,
			"total_tokens":              f.Prompt + f.Completion,
			"prompt_tokens_details":     details("cached_tokens", f.Cached),
			"completion_tokens_details": details("reasoning_tokens", f.Reasoning),
			"cost":                      json.Number(f.Cost),
		},
	}
	if f.Estimated {
		chunk.Usage["estimated"] = true
	}
	text, _ := json.Marshal(chunk) // these types always encode
	return append(to, text...)
}
