package llm

import (
	"math"
	"unicode/utf8"

	"github.com/tidwall/gjson"
)

const (
	maxSpoken = 100_000 // characters of one request

	// The slowest that a text is read out at: a digit, or a sign with a long name, by itself.
	mostCharacterMS = 1000
	quietMS         = 1000 // around it

	slowestSpeed, fastestSpeed = 0.25, 4
)

// The fields of a request for speech that are read.
var speechGoverned = [...]string{
	speechFieldModel:        "model",
	speechFieldInput:        "input",
	speechFieldVoice:        "voice",
	speechFieldFormat:       "response_format",
	speechFieldSpeed:        "speed",
	speechFieldInstructions: "instructions",
	speechFieldStream:       "stream_format",
}

const (
	speechFieldModel = iota
	speechFieldInput
	speechFieldVoice
	speechFieldFormat
	speechFieldSpeed
	speechFieldInstructions
	speechFieldStream
	speechFields
)

// speechRequest is a request to read a text out.
type speechRequest struct {
	Request
	at                  [speechFields]member
	input, instructions string
	promptMost          int64
	raw                 bool // the sound is samples, without a header
}

// ParseSpeech reads the body of a request for speech, which is copied. The error is a
// [*RequestError].
func ParseSpeech(body []byte) (*Request, error) {
	r := &speechRequest{Request: Request{Operation: OpSpeech, N: 1, Stream: true, Sound: true, body: string(body)}}
	r.form = r
	r.Lacks = Kinds{AudioIn: true, ImageIn: true, ImageOut: true, HourWrite: true}
	root, err := object(r.body)
	if err != nil {
		return nil, err
	}
	var values [speechFields]gjson.Result
	others := func(key string, value gjson.Result) { r.promptMost += boundOf(key, value) }
	if err := locate(root, speechGoverned[:], r.at[:], values[:], others); err != nil {
		return nil, err
	}
	if err := r.read(&values); err != nil {
		return nil, err
	}
	return &r.Request, nil
}

func (r *speechRequest) read(values *[speechFields]gjson.Result) error {
	var err error
	if r.Model, err = modelOf(values[speechFieldModel]); err != nil {
		return err
	}
	input := values[speechFieldInput]
	if input.Type != gjson.String || input.Str == "" {
		return &RequestError{Param: "input", Message: "'input' must be a non-empty string."}
	}
	r.input = input.Str
	characters := int64(utf8.RuneCountInString(r.input))
	if characters > maxSpoken {
		return &RequestError{Param: "input", Message: "'input' is longer than 100000 characters."}
	}
	if values[speechFieldVoice].IsObject() {
		return &RequestError{Param: "voice", Message: "Only the provider's own voices are offered here: 'voice' must be a voice's name."}
	}
	if instructions := values[speechFieldInstructions]; instructions.Type == gjson.String {
		r.instructions = instructions.Str
	}
	r.raw = values[speechFieldFormat].Str == "pcm"
	r.promptMost += int64(len(r.input)+len(r.instructions)) + promptOverhead
	r.Units.Characters = characters
	if r.Units.AudioMS, err = mostSpoken(characters, values[speechFieldSpeed]); err != nil {
		return err
	}
	return r.readStreamFormat(values[speechFieldStream])
}

// mostSpoken is how long so many characters take at most, in milliseconds.
func mostSpoken(characters int64, speed gjson.Result) (int64, error) {
	pace := 1.0
	switch {
	case speed.Type == gjson.Number && speed.Num >= slowestSpeed && speed.Num <= fastestSpeed:
		pace = speed.Num
	case speed.Type != gjson.Null:
		return 0, &RequestError{Param: "speed", Message: "'speed' must be a number from 0.25 to 4."}
	}
	return int64(math.Ceil(float64(characters*mostCharacterMS+quietMS) / pace)), nil
}

func (r *speechRequest) readStreamFormat(format gjson.Result) error {
	switch {
	case format.Type == gjson.Null, format.Str == "audio":
	case format.Str == "sse":
		r.Sound = false
	default:
		return &RequestError{Param: "stream_format", Message: "'stream_format' must be 'audio' or 'sse'."}
	}
	return nil
}

func (r *speechRequest) promptBound(*Model) int64 { return r.promptMost }

func (r *speechRequest) promptEstimate(c *Counter, _ *Model) int64 {
	return c.Count(r.input) + c.Count(r.instructions)
}

func (r *speechRequest) outputBound(m *Model) int64 {
	most := audioTokens(r.Units.AudioMS, mostMadeTokens)
	if m.MaxOutput > 0 {
		most = min(most, m.MaxOutput)
	}
	return most
}

func (r *speechRequest) repeatable() bool { return false }

func (r *speechRequest) thread() (named, beginning string) { return "", "" }

func (r *speechRequest) send(d *Deployment, _ int64, t *Transcript) (Outbound, Rendition, error) {
	if err := spoken(d, r.Operation); err != nil {
		return Outbound{}, Rendition{}, err
	}
	body := r.renamed(r.at[speechFieldModel], d)
	if !r.Sound {
		a := &speechEvents{speechMeasure: speechMeasure{heard: heard{text: t}, request: r}}
		return d.outbound(r.Operation, true, body), Rendition{read: a, write: a}, nil
	}
	a := &speechAnswer{speechMeasure{heard: heard{text: t}, request: r}}
	out := d.outbound(r.Operation, false, body, "Accept", "*/*")
	out.sound = true
	return out, Rendition{read: a, write: a}, nil
}
