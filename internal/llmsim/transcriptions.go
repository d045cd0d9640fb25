package llmsim

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"slices"
	"strings"
)

const (
	maxFields      = 32
	soundPerSecond = 16_000 // bytes, of whatever is no WAV
	heardSecond    = 10     // tokens
)

// transcriptionRequest is a form with a sound file.
type transcriptionRequest struct {
	fields  map[string]string
	name    string
	seconds float64
}

// transcription tells what was heard: that there was sound, and how much. A model
// whose name has "whisper" in it is billed by time, answers in all formats and takes no
// notice of the wish for a stream.
type transcription struct {
	openAI
	req *transcriptionRequest
}

func readTranscription(r *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req := &transcriptionRequest{fields: map[string]string{}}
	if fault := req.read(r.Header.Get("Content-Type"), body); fault != nil {
		return nil, nil, fault
	}
	format := req.fields["response_format"]
	switch {
	case req.fields["model"] == "":
		return nil, nil, missing("model")
	case req.name == "":
		return nil, nil, missing("file")
	case !slices.Contains([]string{"", "json", "text", "srt", "verbose_json", "vtt"}, format):
		return nil, nil, invalid("response_format", "invalid_value", fmt.Sprintf("Invalid value: '%s'.", format))
	case !slices.Contains([]string{".flac", ".mp3", ".mp4", ".mpeg", ".mpga", ".m4a", ".ogg", ".wav", ".webm"}, strings.ToLower(path.Ext(req.name))):
		return nil, nil, invalid("file", "invalid_value", "Invalid file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', 'oga', 'ogg', 'wav', 'webm']")
	}
	t := &turn{
		model: req.fields["model"], choices: 1, stream: req.fields["stream"] == "true" && !byTime(req.fields["model"]),
		answer: fmt.Sprintf("I heard %.1f seconds of sound.", req.seconds),
	}
	return t, func(a openAI) dialect { return &transcription{openAI: a, req: req} }, nil
}

func (r *transcriptionRequest) read(contentType string, body []byte) *apiError {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" {
		return invalid("", "", "The request's content type must be 'multipart/form-data'.")
	}
	form := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for range maxFields {
		part, err := form.NextPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("", "", "The form could not be read.")
		}
		content, err := io.ReadAll(part)
		switch {
		case err != nil:
			return invalid("", "", "The form could not be read.")
		case part.FormName() == "file":
			r.name, r.seconds = part.FileName(), seconds(content)
		default:
			r.fields[part.FormName()] = string(content)
		}
	}
	return invalid("", "", "The form has too many fields.")
}

// seconds is how long a sound is: by its header for a WAV, else by its size.
func seconds(sound []byte) float64 {
	if len(sound) > 44 && string(sound[:4]) == "RIFF" {
		if rate := binary.LittleEndian.Uint32(sound[28:]); rate > 0 {
			return float64(len(sound)-44) / float64(rate)
		}
	}
	return float64(len(sound)) / soundPerSecond
}

func byTime(model string) bool { return strings.Contains(model, "whisper") }

func (t *transcription) header(h http.Header) {
	t.openAI.header(h)
	if format := t.req.fields["response_format"]; !t.turn.stream && (format == "text" || format == "srt" || format == "vtt") {
		h.Set("Content-Type", "text/plain; charset=utf-8")
	}
}

func (t *transcription) whole(o *output) string {
	text := o.text(saidText, 0)
	switch t.req.fields["response_format"] {
	case "text":
		return text + "\n"
	case "srt":
		return "1\n00:00:00,000 --> " + clock(t.req.seconds, ",") + "\n" + text + "\n\n"
	case "vtt":
		return "WEBVTT\n\n00:00:00.000 --> " + clock(t.req.seconds, ".") + "\n" + text + "\n\n"
	case "verbose_json":
		return fmt.Sprintf(`{"task":"transcribe","language":"english","duration":%g,"text":%s,"segments":[{"id":0,"seek":0,"start":0,"end":%g,"text":%s,"tokens":[50364],`+
			`"temperature":0,"avg_logprob":-0.1,"compression_ratio":1.2,"no_speech_prob":0.01}]%s}`, t.req.seconds, quoted(text), t.req.seconds, quoted(text), t.usage(o))
	}
	return fmt.Sprintf(`{"text":%s%s}`, quoted(text), t.usage(o))
}

// clock is a time as subtitles tell it.
func clock(seconds float64, point string) string {
	ms := int(seconds * 1000)
	return fmt.Sprintf("%02d:%02d:%02d%s%03d", ms/3_600_000, ms/60_000%60, ms/1000%60, point, ms%1000)
}

// usage is the last field of an answer, with its comma, or "" for none.
func (t *transcription) usage(o *output) string {
	if t.script.Usage == UsageNone {
		return ""
	}
	usage, scripted := scriptedUsage(t.script)
	switch {
	case scripted:
	case byTime(t.turn.model):
		usage = fmt.Sprintf(`{"type":"duration","seconds":%g}`, t.req.seconds)
	default:
		heard, told, out := int(t.req.seconds*heardSecond), CountTokens(t.req.fields["prompt"]), len(o.pieces)
		usage = fmt.Sprintf(`{"type":"tokens","total_tokens":%d,"input_tokens":%d,"input_token_details":{"text_tokens":%d,"audio_tokens":%d},"output_tokens":%d}`,
			heard+told+out, heard+told, told, heard, out)
	}
	return `,"usage":` + usage
}

func (t *transcription) open(*output) []event  { return nil }
func (t *transcription) begin(*output) []event { return nil }

func (t *transcription) piece(o *output, i, _ int) []event {
	return []event{{data: `{"type":"transcript.text.delta","delta":` + quoted(o.pieces[i].text) + `}`}}
}

func (t *transcription) failure() event {
	return event{data: faultFor(http.StatusInternalServerError).body()}
}

func (t *transcription) end(o *output) []event {
	return []event{{data: `{"type":"transcript.text.done","text":` + quoted(o.text(saidText, 0)) + t.usage(o) + `}`}}
}
