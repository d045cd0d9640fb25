package llm

import (
	"errors"
	"strings"

	"github.com/tidwall/gjson"
	"github.com/tidwall/sjson"
)

// responsesAnswer reads and writes answers of OpenAI's Responses.
type responsesAnswer struct {
	heard
	body   gjson.Result // of an unstreamed answer
	told   gjson.Result // the usage
	number int64        // of the last event
	last   bool         // the last event holds the whole response
	kept   heldEvent    // that event: it is sent at the end
	failed bool         // and it says that the provider failed
}

func (a *responsesAnswer) event(data []byte) (Chunk, error) {
	if string(data) == "[DONE]" {
		return Chunk{Over: true}, nil
	}
	event, err := eventJSON(data)
	if err != nil {
		return Chunk{}, err
	}
	if n := event.Get("sequence_number"); n.Exists() {
		a.number = n.Int()
	}
	a.last = false
	var c Chunk
	switch kind := event.Get("type").Str; {
	case kind == "error":
		if fault := event.Get("error"); fault.IsObject() {
			return c, reported(fault)
		}
		return c, reported(event)
	case kind == "" && event.Get("error").IsObject():
		return c, reported(event.Get("error"))
	case kind == "response.completed", kind == "response.incomplete":
		response := event.Get("response")
		a.told, a.finish = response.Get("usage"), finishOfResponse(response)
		a.last, a.ended = true, true
	case kind == "response.failed":
		a.told, a.failed = event.Get("response.usage"), true
		a.kept.hold(Event{Raw: data, Data: data})
		return c, reported(event.Get("response.error"))
	case kind == "response.output_item.added":
		a.say(&c, event.Get("item.name").Str)
	case kind == "response.output_item.done":
		item := event.Get("item")
		hidden := item.Get("encrypted_content").Str // four times as long as its tokens
		a.say(&c, hidden[:len(hidden)/4])
		for _, field := range calledAtOnce[item.Get("type").Str] {
			a.say(&c, item.Get(field).Raw)
		}
	case strings.HasSuffix(kind, ".delta") && !strings.HasPrefix(kind, "response.audio"):
		said := event.Get("delta").Str
		if kind == "response.output_text.delta" {
			c.Content = said
		}
		a.say(&c, said)
	}
	return c, nil
}

// calledAtOnce are the fields of what a model calls with no delta of it before: other calls
// come bit by bit.
var calledAtOnce = map[string][]string{
	"computer_call":      {"action", "actions"},
	toolSearch + "_call": {"arguments"},
}

func (a *responsesAnswer) say(c *Chunk, text string) {
	if text != "" {
		c.Text = true
		a.text.keep(text)
	}
}

// finishOfResponse is why a response ended, in chat's words.
func finishOfResponse(response gjson.Result) string {
	if response.Get("status").Str != "incomplete" {
		return FinishStop
	}
	if response.Get("incomplete_details.reason").Str == "content_filter" {
		return FinishFilter
	}
	return FinishLength
}

// passed holds back the event with the whole response, and its usage.
func (a *responsesAnswer) passed(e Event) ([]byte, error) {
	if a.last {
		a.kept.hold(e)
		return nil, nil
	}
	return e.Raw, nil
}

func (a *responsesAnswer) closing(to []byte, f Final) []byte {
	return a.kept.append(to, func(to []byte, data string) []byte {
		return appendResponseCost(to, data, gjson.Get(data, "response.usage"), f)
	})
}

// failing ends a stream as its provider would: with the response that failed, in our
// words, or else with an error.
func (a *responsesAnswer) failing(to []byte, f Failure) []byte {
	if !a.failed {
		return failResponse(to, a.number+1, f)
	}
	data, err := sjson.Set(a.kept.data, "response.error", map[string]string{"code": failureCode(f.Err), "message": f.Message})
	if err != nil { // not on JSON that has been validated
		return failResponse(to, a.number+1, f)
	}
	to = append(to, "event: response.failed\n"+eventHead...)
	to = append(to, data...)
	return append(to, eventTail...)
}

// failureCode is what Responses calls the reason why a response failed. That the request is
// wrong the provider says in a code of its own, by which clients know what to change.
func failureCode(err error) string {
	var upstream *UpstreamError
	switch {
	case !errors.As(err, &upstream):
	case upstream.Fault == FaultBusy:
		return "rate_limit_exceeded"
	case upstream.Fault == FaultRefused && requestFault.MatchString(upstream.Code):
		return upstream.Code
	case upstream.Fault == FaultRefused:
		return "invalid_prompt"
	}
	return "server_error"
}

func (a *responsesAnswer) whole(answer *Answer) (err error) {
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	switch {
	case a.body.Get("error").IsObject(), a.body.Get("status").Str == "failed":
		return reported(a.body.Get("error"))
	case !a.body.Get("output").IsArray():
		return errNoAnswer
	}
	a.told = gjson.Get(a.body.Raw, "usage") // its Index is then of Raw
	a.finish = finishOfResponse(a.body)
	return nil
}

func (a *responsesAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	return ReadUsage(a.told, mostPrompt, mostCompletion)
}

// tokens counts what the model has written: of the items of an answer, their words, names
// and arguments.
func (a *responsesAnswer) tokens(c *Counter) (tokens int64) {
	a.body.Get("output").ForEach(func(_, item gjson.Result) bool {
		for _, field := range [...]string{"name", "arguments", "input"} {
			tokens += c.Count(item.Get(field).Str)
		}
		for _, field := range calledAtOnce[item.Get("type").Str] {
			tokens += c.Count(item.Get(field).Raw)
		}
		hidden := item.Get("encrypted_content").Str
		tokens += c.Count(hidden[:len(hidden)/4])
		for _, field := range [...]string{"content", "summary"} {
			item.Get(field).ForEach(func(_, part gjson.Result) bool {
				tokens += c.Count(part.Get("text").Str) + c.Count(part.Get("refusal").Str)
				return true
			})
		}
		return true
	})
	return tokens
}

func (a *responsesAnswer) answer(to []byte, f Final) ([]byte, string) {
	return appendResponseCost(to, a.body.Raw, a.told, f), contentJSON
}
