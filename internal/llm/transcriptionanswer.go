package llm

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

// transcriptionAnswer reads and writes what was heard: as JSON, as text, or in events.
type transcriptionAnswer struct {
	heard
	request *transcriptionRequest

	body    gjson.Result // of an unstreamed answer that is JSON
	plain   []byte       // of one that is text
	content string       // what that text is
	told    gjson.Result // the usage
	seconds gjson.Result // how long the file played, by the provider's word
	kept    heldEvent    // tells the usage
	last    bool         // the last event was that one
	deltas  bool         // the words came bit by bit
}

func (a *transcriptionAnswer) event(data []byte) (Chunk, error) {
	if string(data) == "[DONE]" {
		return Chunk{Over: true}, nil
	}
	event, err := eventJSON(data)
	if err != nil {
		return Chunk{}, err
	}
	a.last = false
	var said string
	switch kind := event.Get("type").Str; {
	case kind == "error" || event.Get("error").IsObject():
		return Chunk{}, ErrReported
	case kind == "transcript.text.delta":
		said, a.deltas = event.Get("delta").Str, true
	case kind == "transcript.text.segment":
		a.text.made() // its words come as deltas, too, or else in the end
	case kind == "transcript.text.done":
		if !a.deltas {
			said = event.Get("text").Str
		}
		a.told, a.last, a.ended, a.finish = event.Get("usage"), true, true, FinishStop
	}
	if said != "" {
		a.text.keep(said)
	}
	return Chunk{Text: said != "", Content: said}, nil
}

// passed holds back the event with the usage.
func (a *transcriptionAnswer) passed(e Event) ([]byte, error) {
	if a.last {
		a.kept.hold(e)
		return nil, nil
	}
	return e.Raw, nil
}

func (a *transcriptionAnswer) closing(to []byte, f Final) []byte {
	if !a.kept.held() {
		return to
	}
	return a.kept.append(to, func(to []byte, data string) []byte { return a.appendCost(to, data, f) })
}

func (a *transcriptionAnswer) failing(to []byte, f Failure) []byte {
	to = append(to, eventHead...)
	to = append(to, f.Body...)
	return append(to, eventTail...)
}

func (a *transcriptionAnswer) whole(answer *Answer) (err error) {
	a.finish = FinishStop
	if a.request.plain {
		return a.wholeText(answer)
	}
	if a.body, err = wholeJSON(answer); err != nil {
		return err
	}
	if a.body.Get("text").Type != gjson.String {
		return errNoAnswer
	}
	a.told, a.seconds = a.body.Get("usage"), a.body.Get("duration")
	return nil
}

func (a *transcriptionAnswer) wholeText(answer *Answer) error {
	a.plain, a.content = answer.Bytes(), answer.ContentType
	bare, _, _ := strings.Cut(a.content, ";")
	switch bare = strings.ToLower(strings.TrimSpace(bare)); {
	case bare == "text/html", bare == contentJSON && gjson.GetBytes(a.plain, "error").Exists(), !utf8.Valid(a.plain):
		return errNoAnswer
	case bare == "":
		a.content = "text/plain; charset=utf-8"
	}
	return nil
}

// asEvent is the last event of a stream, with all that was heard.
func (a *transcriptionAnswer) asEvent() []byte {
	text := string(a.plain)
	if !a.request.plain {
		text = a.body.Get("text").Str
	}
	data, _ := json.Marshal(struct { // these types always encode
		Type  string          `json:"type"`
		Text  string          `json:"text"`
		Usage json.RawMessage `json:"usage,omitempty"`
	}{"transcript.text.done", text, json.RawMessage(a.told.Raw)})
	return data
}

// usage: the length that the provider tells, or else ours; and the tokens, where it tells
// them. A provider that tells but one of the two is not believed to have used none of the
// other: the catalogue says which of them costs.
func (a *transcriptionAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	r := ReadUsage(a.told, mostPrompt, mostCompletion)
	tokens := a.told.Get("input_tokens").Exists() || a.told.Get("prompt_tokens").Exists()
	if !tokens {
		r.PromptKnown, r.CompletionKnown = false, false
	}
	if r.AudioMS == 0 {
		r.AudioMS, r.UnitsCounted = a.length()
	}
	if !r.PromptKnown {
		r.InputAudio = a.request.heardTokens() // all else of the prompt is counted
	}
	if r.Fault == "" && !tokens && !a.told.Get("seconds").Exists() {
		r.Fault = UsageAbsent
	}
	return r
}

// length is how long the file played, in milliseconds, by the provider's word beside the
// usage, or else, counted, by the file.
func (a *transcriptionAnswer) length() (ms int64, counted bool) {
	seconds := a.seconds.Num
	if a.seconds.Type == gjson.String { // some servers write it so
		var err error
		if seconds, err = strconv.ParseFloat(a.seconds.Str, 64); err != nil {
			seconds = 0
		}
	}
	if seconds > 0 && seconds <= mostSeconds {
		return int64(math.Ceil(seconds)) * 1000, false
	}
	return wholeSeconds(a.request.length.Likely), true
}

func (a *transcriptionAnswer) tokens(c *Counter) int64 {
	if a.request.plain {
		return c.Count(string(a.plain))
	}
	return c.Count(a.body.Get("text").Str)
}

func (a *transcriptionAnswer) answer(to []byte, f Final) ([]byte, string) {
	if a.request.plain {
		return append(to, a.plain...), a.content
	}
	return a.appendCost(to, a.body.Raw, f), contentJSON
}

// appendCost appends an answer or event with the cost in its usage. Where it has none, and
// is billed by its length, ours says so.
func (a *transcriptionAnswer) appendCost(to []byte, body string, f Final) []byte {
	if a.told.IsObject() || f.Estimated {
		return appendInputCost(to, body, f)
	}
	usage, _ := json.Marshal(struct { // these types always encode
		Type    string      `json:"type"`
		Seconds int64       `json:"seconds"`
		Cost    json.Number `json:"cost"`
	}{"duration", f.AudioMS / 1000, json.Number(f.Cost)})
	return appendPatchedUsage(to, body, string(usage))
}
