package llmsim

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/tidwall/gjson"
)

const (
	maxSpeech   = 4096  // characters
	speechRate  = 24000 // samples of a second, of 2 bytes
	spokenToken = 4800  // bytes of PCM: 100 ms
	framesSaid  = 4     // MPEG frames of a token, 26 ms each
	frameBytes  = 417   // of an MPEG-1 layer III frame with 128 kbit/s and 44.1 kHz
)

// speechRequest asks for a text to be read aloud.
type speechRequest struct {
	Model          string          `json:"model"`
	Input          string          `json:"input"`
	Voice          json.RawMessage `json:"voice"`
	ResponseFormat string          `json:"response_format"`
	StreamFormat   string          `json:"stream_format"`
}

// speech answers with silence as long as the text: a tenth of a second each token.
type speech struct {
	openAI
	req *speechRequest
}

func readSpeech(_ *http.Request, body []byte) (*turn, func(openAI) dialect, *apiError) {
	req := &speechRequest{}
	if fault := decode(body, req); fault != nil {
		return nil, nil, fault
	}
	voice := gjson.ParseBytes(req.Voice)
	switch {
	case req.Model == "":
		return nil, nil, missing("model")
	case req.Input == "":
		return nil, nil, missing("input")
	case voice.Str == "" && voice.Get("id").Str == "":
		return nil, nil, missing("voice")
	case len([]rune(req.Input)) > maxSpeech:
		return nil, nil, invalid("input", "string_above_max_length", fmt.Sprintf("Invalid 'input': string too long. Expected a string with maximum length %d.", maxSpeech))
	case req.ResponseFormat != "" && soundKind(req.ResponseFormat) == "":
		return nil, nil, invalid("response_format", "invalid_value", fmt.Sprintf("Invalid value: '%s'. Supported values are: 'mp3', 'opus', 'aac', 'flac', 'wav', and 'pcm'.", req.ResponseFormat))
	}
	t := &turn{model: req.Model, choices: 1, stream: req.StreamFormat == "sse", answer: req.Input}
	return t, func(a openAI) dialect { return &speech{openAI: a, req: req} }, nil
}

func soundKind(format string) string {
	return map[string]string{
		"": "audio/mpeg", "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav", "pcm": "audio/pcm",
	}[format]
}

func (s *speech) header(h http.Header) {
	s.openAI.header(h)
	h.Set("Content-Type", soundKind(s.req.ResponseFormat))
}

func (s *speech) whole(o *output) string { return string(s.said(len(o.pieces), true)) }

// said is the sound of so many tokens; a WAV's header comes before its beginning.
func (s *speech) said(tokens int, beginning bool) []byte {
	switch s.req.ResponseFormat {
	case "pcm":
		return make([]byte, tokens*spokenToken)
	case "wav":
		pcm := make([]byte, tokens*spokenToken)
		if beginning {
			return append(wavHeader(len(pcm)), pcm...)
		}
		return pcm
	}
	frame := append([]byte{0xff, 0xfb, 0x90, 0x64}, make([]byte, frameBytes-4)...)
	return bytes.Repeat(frame, tokens*framesSaid)
}

func wavHeader(size int) []byte {
	h := append([]byte("RIFF"), binary.LittleEndian.AppendUint32(nil, uint32(36+size))...)
	h = append(h, "WAVEfmt "...)
	h = binary.LittleEndian.AppendUint32(h, 16)
	h = binary.LittleEndian.AppendUint16(h, 1) // PCM
	h = binary.LittleEndian.AppendUint16(h, 1) // one channel
	h = binary.LittleEndian.AppendUint32(h, speechRate)
	h = binary.LittleEndian.AppendUint32(h, speechRate*2)
	h = binary.LittleEndian.AppendUint16(h, 2)
	h = binary.LittleEndian.AppendUint16(h, 16)
	h = append(h, "data"...)
	return binary.LittleEndian.AppendUint32(h, uint32(size))
}

func (s *speech) open(*output) []event  { return nil }
func (s *speech) begin(*output) []event { return nil }

func (s *speech) piece(_ *output, i, _ int) []event {
	return []event{{data: `{"type":"speech.audio.delta","audio":"` + base64.StdEncoding.EncodeToString(s.said(1, i == 0)) + `"}`}}
}

func (s *speech) failure() event { return event{data: faultFor(http.StatusInternalServerError).body()} }

func (s *speech) end(o *output) []event {
	usage, scripted := scriptedUsage(s.script)
	if !scripted {
		in, out := CountTokens(s.req.Input), len(o.pieces)
		usage = fmt.Sprintf(`{"input_tokens":%d,"output_tokens":%d,"total_tokens":%d}`, in, out, in+out)
	}
	if s.script.Usage == UsageNone {
		return []event{{data: `{"type":"speech.audio.done"}`}}
	}
	return []event{{data: `{"type":"speech.audio.done","usage":` + usage + `}`}}
}
