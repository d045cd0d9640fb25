package llm

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/kikuai/kikuai/internal/llm/audio"
)

const (
	// MaxForm is how long a form with a file may be.
	MaxForm = maxFile + 1<<20 // bytes

	maxFile   = 25 << 20 // bytes of a sound file
	maxFields = 64       // of a form
	maxField  = 64 << 10 // bytes of a field's value

	transcribeOverhead = 64 // tokens that a provider puts before what is heard
)

// soundNames are how the names of sound files end.
var soundNames = []string{".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".oga", ".ogg", ".opus", ".wav", ".webm"}

// The fields of a form that are read; each may stand in it once.
var transcriptionGoverned = []string{"model", "file", "stream", "response_format"}

// transcriptionRequest is a request to write down what a sound file says.
type transcriptionRequest struct {
	Request
	content string // the form's Content-Type
	model   member // where its value stands in the form
	words   int64  // bytes of the other fields
	hints   []string
	length  audio.Length
	plain   bool // the answer is text: by itself, or as subtitles
}

// ParseTranscription reads a form, as its Content-Type says. What comes out of it has the
// file byte for byte and the fields in their order, and a boundary and headers of our own:
// two readers of a form need not see the same in it. The error is a [*RequestError].
func ParseTranscription(body []byte, contentType string) (*Request, error) {
	f, err := readForm(body, contentType)
	if err != nil {
		return nil, err
	}
	return transcriptionOf(f)
}

// NewTranscriptionRequest builds the request of a HearCall. A [*RequestError] says what is
// wrong with the file.
func NewTranscriptionRequest(call HearCall) (*Request, error) {
	f := &formData{parts: []formPart{
		{name: "model", value: []byte(call.Model)},
		{name: "file", filename: call.Name, value: call.Sound},
		{name: "response_format", value: []byte("json")},
	}}
	return transcriptionOf(f)
}

func transcriptionOf(f *formData) (*Request, error) {
	r := &transcriptionRequest{Request: Request{Operation: OpTranscription, N: 1}}
	r.form = r
	r.Lacks = Kinds{ImageIn: true, AudioOut: true, ImageOut: true, HourWrite: true}
	if err := r.read(f); err != nil {
		return nil, err
	}
	r.body, r.content, r.model = f.write()
	return &r.Request, nil
}

func (r *transcriptionRequest) read(f *formData) error {
	seen := map[string]bool{}
	for _, part := range f.parts {
		name := strings.ToLower(part.name)
		if slices.Contains(transcriptionGoverned, name) {
			if name != part.name || seen[name] {
				return &RequestError{Param: name, Message: fmt.Sprintf("The field '%s' must stand in the form once, in lower case.", name)}
			}
			seen[name] = true
		}
		if err := r.part(part); err != nil {
			return err
		}
	}
	for _, name := range transcriptionGoverned[:2] {
		if !seen[name] {
			return &RequestError{Param: name, Message: fmt.Sprintf("The form must have a field '%s'.", name)}
		}
	}
	return nil
}

func (r *transcriptionRequest) part(p formPart) error {
	value := string(p.value[:min(len(p.value), maxField)])
	if p.name == "file" {
		return r.readFile(p)
	}
	if p.filename != "" {
		return &RequestError{Param: p.name, Message: "Only the field 'file' may be a file."}
	}
	if len(p.value) > maxField || !utf8.ValidString(value) {
		return &RequestError{Param: p.name, Message: fmt.Sprintf("The field '%s' must be text of at most %d bytes.", p.name, maxField)}
	}
	switch p.name {
	case "model":
		if value == "" || strings.ContainsAny(value, "\r\n") {
			return &RequestError{Param: "model", Message: "Say which model to use: 'model' must be a non-empty string."}
		}
		r.Model = value
	case "stream":
		switch strings.ToLower(value) {
		case "true":
			r.Stream = true
		case "false", "":
		default:
			return &RequestError{Param: "stream", Message: "'stream' must be true or false."}
		}
	case "response_format":
		switch value {
		case "text", "srt", "vtt":
			r.plain = true
		case "json", "verbose_json", "diarized_json":
		default:
			return &RequestError{Param: "response_format", Message: "'response_format' must be json, text, srt, vtt, verbose_json or diarized_json."}
		}
	default:
		r.words += int64(len(value))
		if p.name == "prompt" || strings.HasPrefix(p.name, "keywords") {
			r.hints = append(r.hints, value)
		}
	}
	return nil
}

// readFile looks at a file's name and at what it is.
func (r *transcriptionRequest) readFile(p formPart) error {
	const formats = "Send flac, mp3, mp4, m4a, ogg, wav or webm."
	if len(p.value) == 0 {
		return &RequestError{Param: "file", Message: "The file is empty."}
	}
	if len(p.value) > maxFile {
		return &RequestError{Param: "file", Message: "The file is larger than 25 MiB."}
	}
	if ending := strings.ToLower(path.Ext(p.filename)); ending != "" && !slices.Contains(soundNames, ending) {
		return &RequestError{Param: "file", Message: "Files of this name are not taken. " + formats}
	}
	r.length = audio.LengthOf(p.value)
	if r.length.Format == "" || r.length.Format == audio.ADTS {
		return &RequestError{Param: "file", Message: "The file is not sound of a format that is taken. " + formats}
	}
	r.Units.AudioMS = wholeSeconds(r.length.Most) + 1000 // a provider may round up once more
	return nil
}

// promptBound: what is heard, and the words that go with it.
func (r *transcriptionRequest) promptBound(*Model) int64 {
	return audioTokens(r.Units.AudioMS, mostHeardTokens) + r.words + transcribeOverhead
}

func (r *transcriptionRequest) promptEstimate(c *Counter, _ *Model) int64 {
	tokens := r.heardTokens()
	for _, hint := range r.hints {
		tokens += c.Count(hint)
	}
	return tokens
}

// heardTokens is what the file likely counts as.
func (r *transcriptionRequest) heardTokens() int64 {
	return audioTokens(r.length.Likely.Milliseconds(), heardTokens)
}

// outputBound: nobody says more words than this in a time; each segment has numbers
// around it.
func (r *transcriptionRequest) outputBound(m *Model) int64 {
	most := audioTokens(r.Units.AudioMS, mostHeardTokens) + transcribeOverhead
	if m.MaxOutput > 0 {
		most = min(most, m.MaxOutput)
	}
	return most
}

func (r *transcriptionRequest) repeatable() bool { return false }

func (r *transcriptionRequest) thread() (named, beginning string) { return "", "" }

func (r *transcriptionRequest) send(d *Deployment, _ int64, t *Transcript) (Outbound, Rendition, error) {
	if err := spoken(d, r.Operation); err != nil {
		return Outbound{}, Rendition{}, err
	}
	body := []byte(r.body)
	if r.Model != d.Model {
		body = appendEdited(make([]byte, 0, len(r.body)+patchRoom), r.body, []edit{{r.model.start, r.model.end, d.Model}})
	}
	accept := "" // as it is
	if r.plain {
		accept = "*/*"
	}
	a := &transcriptionAnswer{heard: heard{text: t}, request: r}
	out := d.outbound(r.Operation, r.Stream, body, "Content-Type", r.content, "Accept", accept)
	if r.Stream { // which OpenAI's first model, for one, takes no notice of
		out.whole = a.whole
	}
	return out, Rendition{read: a, write: a}, nil
}
