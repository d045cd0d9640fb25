package llm

import (
	"encoding/base64"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llm/audio"
)

const (
	// maxMeasured is how much of the sound is kept to be measured; what is longer goes on
	// as it began.
	maxMeasured = 256 << 10 // bytes
	// rawRate is that of sound without a header: 24 kHz, 16 bits, one channel.
	rawRate = 48_000 // bytes a second
)

// speechMeasure measures the sound that has come.
type speechMeasure struct {
	heard
	request *speechRequest
	begin   []byte
	bytes   int64
}

func (a *speechMeasure) add(sound []byte) {
	if len(sound) == 0 {
		return
	}
	a.text.made()
	a.bytes += int64(len(sound))
	a.begin = append(a.begin, sound[:min(len(sound), maxMeasured-len(a.begin))]...)
}

// length is how long what has come plays.
func (a *speechMeasure) length() time.Duration {
	if a.bytes == 0 {
		return 0
	}
	if a.request.raw {
		return time.Duration(a.bytes) * time.Second / rawRate
	}
	measured := audio.LengthOf(a.begin).Likely
	return time.Duration(float64(measured) * float64(a.bytes) / float64(len(a.begin)))
}

// reported: a provider that reads out by the character is owed all characters as soon as it
// has begun; the tokens and the length are those of what has come.
func (a *speechMeasure) reported(told gjson.Result, mostPrompt, mostCompletion int64) Reported {
	r := ReadUsage(told, mostPrompt, mostCompletion)
	if a.bytes == 0 {
		return r
	}
	r.Characters = a.request.Units.Characters
	r.AudioMS, r.UnitsCounted = int64(a.length()/time.Millisecond), true
	if !r.CompletionKnown {
		r.Completion = min(max(1, audioTokens(r.AudioMS, madeTokens)), max(1, mostCompletion))
	}
	if r.OutputAudio == 0 {
		r.OutputAudio = r.Completion
	}
	return r
}

func (a *speechMeasure) tokens(*Counter) int64 { return 0 }

func (a *speechMeasure) whole(*Answer) error { return errNoAnswer }

func (a *speechMeasure) answer(to []byte, _ Final) ([]byte, string) { return to, "" }

// speechAnswer passes sound on as it comes.
type speechAnswer struct{ speechMeasure }

func (a *speechAnswer) event(sound []byte) (Chunk, error) {
	a.add(sound)
	a.ended, a.finish = true, FinishStop // as far as anybody can tell: a cut is an error of its own
	return Chunk{Text: true}, nil
}

func (a *speechAnswer) passed(e Event) ([]byte, error) { return e.Raw, nil }

func (a *speechAnswer) usage(mostPrompt, mostCompletion int64) Reported {
	return a.reported(gjson.Result{}, mostPrompt, mostCompletion)
}

func (a *speechAnswer) closing(to []byte, _ Final) []byte { return to }

func (a *speechAnswer) failing(to []byte, _ Failure) []byte { return to }

// speechEvents is sound in events.
type speechEvents struct {
	speechMeasure
	told gjson.Result
	kept heldEvent // tells the usage
}

func (a *speechEvents) event(data []byte) (Chunk, error) {
	if string(data) == "[DONE]" {
		return Chunk{Over: true}, nil
	}
	event, err := eventJSON(data)
	if err != nil {
		return Chunk{}, err
	}
	switch kind := event.Get("type").Str; {
	case kind == "error" || event.Get("error").IsObject():
		return Chunk{}, ErrReported
	case kind == "speech.audio.delta":
		sound, err := base64.StdEncoding.DecodeString(event.Get("audio").Str)
		if err != nil {
			return Chunk{}, ErrBrokenEvent
		}
		a.add(sound)
		return Chunk{Text: true}, nil
	case kind == "speech.audio.done":
		a.told, a.ended, a.finish = event.Get("usage"), true, FinishStop
	}
	return Chunk{}, nil
}

func (a *speechEvents) passed(e Event) ([]byte, error) {
	if a.ended {
		a.kept.hold(e)
		return nil, nil
	}
	return e.Raw, nil
}

func (a *speechEvents) usage(mostPrompt, mostCompletion int64) Reported {
	return a.reported(a.told, mostPrompt, mostCompletion)
}

func (a *speechEvents) closing(to []byte, f Final) []byte {
	if !a.kept.held() {
		return to
	}
	return a.kept.append(to, func(to []byte, data string) []byte { return appendInputCost(to, data, f) })
}

func (a *speechEvents) failing(to []byte, f Failure) []byte {
	to = append(to, eventHead...)
	to = append(to, f.Body...)
	return append(to, eventTail...)
}
