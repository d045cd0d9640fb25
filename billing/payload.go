package billing

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// payload is what an event says beyond the money, in the stream as JSON. It
// never decides over money: one that cannot be read costs its usage row the
// details, nothing else.
type payload struct {
	Prompt           int64  `json:"p,omitempty"`
	Cached           int64  `json:"c,omitempty"`
	CachedInputAudio int64  `json:"b,omitempty"`
	CacheWrite       int64  `json:"w,omitempty"`
	CacheWrite1h     int64  `json:"h,omitempty"`
	InputAudio       int64  `json:"a,omitempty"`
	InputImage       int64  `json:"i,omitempty"`
	Completion       int64  `json:"o,omitempty"`
	Reasoning        int64  `json:"r,omitempty"`
	OutputAudio      int64  `json:"x,omitempty"`
	OutputImage      int64  `json:"v,omitempty"`
	Images           int64  `json:"n,omitempty"`
	AudioMS          int64  `json:"l,omitempty"`
	Characters       int64  `json:"z,omitempty"`
	Estimated        bool   `json:"e,omitempty"`
	Model            string `json:"m"`
	Deployment       string `json:"d"`
	Source           string `json:"s"`
	Duration         int32  `json:"t,omitempty"` // ms
	FirstToken       int32  `json:"f,omitempty"` // ms
	// The organisation whose budget counted the call, and the day that it was counted on.
	Organisation    int64 `json:"g,omitempty"`
	OrganisationDay int32 `json:"y,omitempty"` // days since 1970
}

func payloadOf(s *Settlement) payload {
	u := &s.Usage
	return payload{
		Prompt: u.Prompt, Cached: u.Cached, CachedInputAudio: u.CachedInputAudio, CacheWrite: u.CacheWrite, CacheWrite1h: u.CacheWrite1h,
		InputAudio: u.InputAudio, InputImage: u.InputImage,
		Completion: u.Completion, Reasoning: u.Reasoning, OutputAudio: u.OutputAudio, OutputImage: u.OutputImage,
		Images: u.Images, AudioMS: u.AudioMS, Characters: u.Characters, Estimated: u.Estimated,
		Model: cleanText(s.Model, maxModel), Deployment: cleanText(s.Deployment, maxModel), Source: cleanText(s.Source, 20),
		Duration: milliseconds(s.Duration), FirstToken: milliseconds(s.FirstToken),
		Organisation: max(0, s.Organisation), OrganisationDay: int32(clamp(s.OrganisationDay, 1<<31-1)),
	}
}

func milliseconds(d time.Duration) int32 { return int32(clamp(d.Milliseconds(), 1<<31-1)) }

func (p *payload) usage() Usage {
	return Usage{
		Prompt: p.Prompt, Cached: p.Cached, CachedInputAudio: p.CachedInputAudio, CacheWrite: p.CacheWrite, CacheWrite1h: p.CacheWrite1h,
		InputAudio: p.InputAudio, InputImage: p.InputImage,
		Completion: p.Completion, Reasoning: p.Reasoning, OutputAudio: p.OutputAudio, OutputImage: p.OutputImage,
		Images: p.Images, AudioMS: p.AudioMS, Characters: p.Characters, Estimated: p.Estimated,
	}.Clamped()
}

// encodePayload is json.Marshal of the payload, written out: each call has one, and
// reflection over its many empty fields took a twentieth of the call.
func encodePayload(s *Settlement) []byte {
	p := payloadOf(s)
	w := payloadWriter{b: append(make([]byte, 0, 192), '{')}
	for _, field := range [...]struct {
		name  byte
		count int64
	}{
		{'p', p.Prompt}, {'c', p.Cached}, {'b', p.CachedInputAudio}, {'w', p.CacheWrite}, {'h', p.CacheWrite1h},
		{'a', p.InputAudio}, {'i', p.InputImage}, {'o', p.Completion}, {'r', p.Reasoning}, {'x', p.OutputAudio},
		{'v', p.OutputImage}, {'n', p.Images}, {'l', p.AudioMS}, {'z', p.Characters},
	} {
		w.number(field.name, field.count)
	}
	if p.Estimated {
		w.name('e')
		w.b = append(w.b, "true"...)
	}
	w.text('m', p.Model)
	w.text('d', p.Deployment)
	w.text('s', p.Source)
	w.number('t', int64(p.Duration))
	w.number('f', int64(p.FirstToken))
	w.number('g', p.Organisation)
	w.number('y', int64(p.OrganisationDay))
	return append(w.b, '}')
}

// payloadWriter appends fields to an object that is open.
type payloadWriter struct{ b []byte }

func (w *payloadWriter) name(name byte) {
	if len(w.b) > 1 {
		w.b = append(w.b, ',')
	}
	w.b = append(w.b, '"', name, '"', ':')
}

// number leaves zero out.
func (w *payloadWriter) number(name byte, n int64) {
	if n != 0 {
		w.name(name)
		w.b = strconv.AppendInt(w.b, n, 10)
	}
}

func (w *payloadWriter) text(name byte, text string) {
	w.name(name)
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, _ := json.Marshal(text) // strings always encode
			w.b = append(w.b, quoted...)
			return
		}
	}
	w.b = append(append(append(w.b, '"'), text...), '"')
}

// decodePayload is json.Unmarshal of a payload. What encodePayload writes, unless a name in
// it is quoted, is read without it: reflection took most of an event's way.
func decodePayload(text string) (p payload, err error) {
	if r := (payloadReader{text: text}); r.read(&p) {
		return p, nil
	}
	p = payload{}
	err = json.Unmarshal([]byte(text), &p)
	return p, err
}

// payloadReader reads what payloadWriter writes. Whatever else there may be, it gives up.
type payloadReader struct{ text string }

func (r *payloadReader) read(p *payload) bool {
	counts := [...]struct {
		name byte
		into *int64
	}{
		{'p', &p.Prompt}, {'c', &p.Cached}, {'b', &p.CachedInputAudio}, {'w', &p.CacheWrite}, {'h', &p.CacheWrite1h},
		{'a', &p.InputAudio}, {'i', &p.InputImage}, {'o', &p.Completion}, {'r', &p.Reasoning}, {'x', &p.OutputAudio},
		{'v', &p.OutputImage}, {'n', &p.Images}, {'l', &p.AudioMS}, {'z', &p.Characters},
	}
	if !r.pass("{") {
		return false
	}
	for i := range counts {
		if !r.number(counts[i].name, math.MaxInt64, counts[i].into) {
			return false
		}
	}
	p.Estimated = r.pass(`"e":true,`)
	var duration, firstToken, day int64
	if !r.word('m', &p.Model) || !r.word('d', &p.Deployment) || !r.word('s', &p.Source) ||
		!r.number('t', math.MaxInt32, &duration) || !r.number('f', math.MaxInt32, &firstToken) ||
		!r.number('g', math.MaxInt64, &p.Organisation) || !r.number('y', math.MaxInt32, &day) {
		return false
	}
	p.Duration, p.FirstToken, p.OrganisationDay = int32(duration), int32(firstToken), int32(day)
	return r.text == "}"
}

func (r *payloadReader) pass(what string) (is bool) {
	r.text, is = strings.CutPrefix(r.text, what)
	return is
}

// name passes a field's name, if it is the one that comes next.
func (r *payloadReader) name(name byte) bool {
	if len(r.text) < 4 || r.text[0] != '"' || r.text[1] != name || r.text[2] != '"' || r.text[3] != ':' {
		return false
	}
	r.text = r.text[4:]
	return true
}

// number reads a count that may be left out, and the comma behind it.
func (r *payloadReader) number(name byte, most int64, into *int64) bool {
	if !r.name(name) {
		return true
	}
	end := 0
	for end < len(r.text) && r.text[end] >= '0' && r.text[end] <= '9' {
		end++
	}
	n, err := strconv.ParseInt(r.text[:end], 10, 64)
	if err != nil || n > most || n == 0 || r.text[0] == '0' {
		return false
	}
	*into, r.text = n, r.text[end:]
	return r.comma()
}

// word reads a text that is written as it is, and the comma behind it.
func (r *payloadReader) word(name byte, into *string) bool {
	if !r.name(name) || !r.pass(`"`) {
		return false
	}
	for i := range len(r.text) {
		switch c := r.text[i]; {
		case c == '"':
			*into, r.text = r.text[:i], r.text[i+1:]
			return r.comma()
		case c < ' ' || c > '~' || c == '\\':
			return false
		}
	}
	return false
}

// comma passes the comma between two fields; before the end there is none.
func (r *payloadReader) comma() bool { return r.text == "}" || r.pass(",") && r.text != "}" }
