package gateway

import (
	"bytes"
	"encoding/binary"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kikuai/kikuai/internal/testenv"
)

// sound is a WAV file of so many seconds: one byte a sample, 1000 samples a second.
func sound(seconds int) string {
	samples := strings.Repeat("\r\n--", 250*seconds) // which looks like a boundary
	head := []byte("RIFF....WAVEfmt ")
	for _, n := range []uint32{16, 1 | 1<<16, 1000, 1000, 1 | 8<<16} {
		head = binary.LittleEndian.AppendUint32(head, n)
	}
	head = binary.LittleEndian.AppendUint32(append(head, "data"...), uint32(len(samples)))
	return string(head) + samples
}

// send posts a form: pairs of names and values; the file's name is before a colon.
func (r *rig) sendForm(key string, fields ...string) answer {
	r.t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for i := 0; i < len(fields); i += 2 {
		if fields[i] != "file" {
			r.must(w.WriteField(fields[i], fields[i+1]))
			continue
		}
		name, content, _ := strings.Cut(fields[i+1], ":")
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", `form-data; name="file"; filename="`+name+`"`)
		header.Set("Content-Type", "audio/wav")
		part, err := w.CreatePart(header)
		r.must(err)
		_, err = io.WriteString(part, content)
		r.must(err)
	}
	r.must(w.Close())
	return r.do("POST", "/v1/audio/transcriptions", key, b.String(), "Content-Type", w.FormDataContentType())
}

func TestTranscriptions(t *testing.T) {
	r, provider := newMediaRig(t)
	file := "talk.wav:" + sound(10)
	for _, c := range []struct {
		name, model, format string
		kind, answer        string
		cost                int64
		estimated           bool
	}{
		{"by the minute, told", "ear", "json", jsonKind, `{"text":"hello","usage":{"type":"duration","seconds":9}}`, 900_000, false},
		{"by the minute, verbose", "ear", "verbose_json", jsonKind, `{"task":"transcribe","duration":8.2,"text":"hello","segments":[]}`, 900_000, false},
		{"by the minute, as text", "ear", "text", "text/plain; charset=utf-8", "hello\n", 1_000_000, true},
		{"by the minute, as subtitles", "ear", "srt", "text/plain", "1\n00:00:00,000 --> 00:00:01,000\nhello\n", 1_000_000, true},
		{"by the minute, absurd", "ear", "json", jsonKind, `{"text":"hello","usage":{"type":"duration","seconds":-9}}`, 1_000_000, true},
		{"by tokens, told", "scribe", "json", jsonKind,
			`{"text":"hello","usage":{"type":"tokens","input_tokens":110,"input_token_details":{"text_tokens":10,"audio_tokens":100},"output_tokens":3,"total_tokens":113}}`,
			10*2000 + 100*6000 + 3*10_000, false},
		{"by tokens, nothing told", "scribe", "json", jsonKind, `{"text":"hello"}`, 100*6000 + 10_000, true},
		{"by tokens, as text", "scribe", "text", "text/plain", "hello", 100*6000 + 10_000, true},
		{"by tokens, the length told", "scribe", "json", jsonKind, `{"text":"hello","usage":{"type":"duration","seconds":9}}`, 100*6000 + 10_000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			provider.says(sends(c.kind, c.answer))
			a := r.sendForm(key, "model", c.model, "response_format", c.format, "file", file, "language", "en", "timestamp_granularities[]", "word").want(t, 200)
			if told := nano(t, a.header.Get(headerCost)); told != c.cost {
				t.Errorf("X-Cost-USD is %d, want %d: %s", told, c.cost, a.body)
			}
			if spent := r.spent(id); spent != c.cost || r.estimated(id) != c.estimated {
				t.Errorf("spent %d, estimated %v; want %d, %v", spent, r.estimated(id), c.cost, c.estimated)
			}
			if c.kind != jsonKind {
				if a.body != c.answer || !strings.HasPrefix(a.header.Get("Content-Type"), "text/plain") {
					t.Errorf("answered %q %v", a.body, a.header)
				}
			} else if a.get("text").Str != "hello" || nano(t, a.get("usage.cost").Raw) != c.cost {
				t.Errorf("answered %s", a.body)
			}
		})
	}
	t.Run("the form is passed on", func(t *testing.T) {
		_, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"text":"hello"}`))
		r.sendForm(key, "file", `a \"talk\".wav:`+sound(10), "prompt", "Words.\r\n--x", "model", "ear", "temperature", "0").want(t, 200)
		path, body, header := provider.asked()
		_, params, err := mime.ParseMediaType(header.Get("Content-Type"))
		r.must(err)
		form, err := multipart.NewReader(strings.NewReader(body), params["boundary"]).ReadForm(1 << 20)
		r.must(err)
		if path != "/audio/transcriptions" || form.Value["model"][0] != "whisper" || form.Value["prompt"][0] != "Words.\r\n--x" || form.Value["temperature"][0] != "0" {
			t.Errorf("asked %s %v", path, form.Value)
		}
		got, err := form.File["file"][0].Open()
		r.must(err)
		content, err := io.ReadAll(got)
		r.must(err)
		if string(content) != sound(10) || form.File["file"][0].Header.Get("Content-Type") != "audio/wav" {
			t.Errorf("the file came as %d bytes, %v", len(content), form.File["file"][0].Header)
		}
	})
	t.Run("nonsense in place of text", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends("text/html", "<html>"))
		r.sendForm(key, "model", "ear", "response_format", "text", "file", file).wantError(t, 502, "provider_error")
		r.sendForm(key, "model", "ear", "file", file).wantError(t, 502, "provider_error")
		r.wantBalance(id, dollar)
	})
	t.Run("longer than there is money for", func(t *testing.T) {
		id, key := r.account(5_000_000)
		r.sendForm(key, "model", "ear", "file", "a.wav:"+sound(60)).wantError(t, 402, "insufficient_balance")
		r.wantBalance(id, 5_000_000)
	})
}

func TestTranscriptionRefusals(t *testing.T) {
	r, _ := newMediaRig(t)
	_, key := r.account(dollar)
	file := "talk.wav:" + sound(1)
	for _, c := range []struct {
		param  string
		fields []string
	}{
		{"model", []string{"file", file}},
		{"file", []string{"model", "ear"}},
		{"file", []string{"model", "ear", "file", "talk.wav:"}},
		{"file", []string{"model", "ear", "file", "talk.exe:" + sound(1)}},
		{"file", []string{"model", "ear", "file", "talk.wav:" + strings.Repeat("no sound at all", 10)}},
		{"file", []string{"model", "ear", "file", file, "file", file}},
		{"model", []string{"model", "ear", "file", file, "model", "paid"}},
		{"model", []string{"model", "ear", "file", file, "MODEL", "paid"}},
		{"model", []string{"model", "paid", "file", file}},
		{"model", []string{"model", "e\r\nar", "file", file}},
		{"stream", []string{"model", "ear", "file", file, "stream", "perhaps"}},
		{"response_format", []string{"model", "ear", "file", file, "response_format", "opera"}},
		{"response_format", []string{"model", "ear", "file", file, "response_format", ""}},
		{"prompt", []string{"model", "ear", "file", file, "prompt", "\xff"}},
		{"prompt", []string{"model", "ear", "file", file, "prompt", strings.Repeat("a", 70_000)}},
	} {
		if a := r.sendForm(key, c.fields...); a.status != 400 || a.get("error.param").Str != c.param {
			t.Errorf("%.80q: %d %s", c.fields, a.status, a.body)
		}
	}
	const path = "/v1/audio/transcriptions"
	r.do("POST", path, key, `{"model":"ear"}`, "Content-Type", jsonKind).wantError(t, 400, "invalid_request")
	r.do("POST", path, key, "--b\r\nnonsense", "Content-Type", "multipart/form-data; boundary=b").wantError(t, 400, "invalid_request")
	many := make([]string, 0, 200)
	for range 100 {
		many = append(many, "x", "y")
	}
	r.sendForm(key, many...).wantError(t, 400, "invalid_request")
	large := "a.wav:" + sound(1) + strings.Repeat("x", 25<<20)
	if a := r.sendForm(key, "model", "ear", "file", large); a.status != 400 || a.get("error.param").Str != "file" {
		t.Errorf("%d %s", a.status, a.body)
	}
	r.do("POST", path, key, strings.Repeat("x", 27<<20), "Content-Type", "multipart/form-data; boundary=b").wantError(t, 413, "request_too_large")
}

// TestTranscriptionWhole: a provider that takes no notice of the wish for a stream answers
// whole, and so its client sees it.
func TestTranscriptionWhole(t *testing.T) {
	r, provider := newMediaRig(t)
	file := "talk.wav:" + sound(10)
	var asked atomic.Int64
	says := func(kind, body string) {
		asked.Store(0)
		provider.says(func(w http.ResponseWriter, q *http.Request) {
			asked.Add(1)
			sends(kind, body)(w, q)
		})
	}
	for _, c := range []struct {
		name, model, format string
		kind, answer        string
		cost                int64
		estimated           bool
	}{
		{"json", "ear", "json", jsonKind, `{"text":"hello","usage":{"type":"duration","seconds":9}}`, 900_000, false},
		{"verbose", "ear", "verbose_json", "application/json; charset=utf-8", `{"task":"transcribe","duration":8.2,"text":"hello","segments":[]}`, 900_000, false},
		{"text", "ear", "text", "text/plain; charset=utf-8", "hello\n", 1_000_000, true},
		{"subtitles", "ear", "srt", "text/plain", "1\n00:00:00,000 --> 00:00:01,000\nhello\n", 1_000_000, true},
		{"other subtitles", "ear", "vtt", "text/vtt", "WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n", 1_000_000, true},
		{"by tokens", "scribe", "json", jsonKind,
			`{"text":"hello","usage":{"type":"tokens","input_tokens":110,"input_token_details":{"text_tokens":10,"audio_tokens":100},"output_tokens":3,"total_tokens":113}}`,
			10*2000 + 100*6000 + 3*10_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			says(c.kind, c.answer)
			a := r.sendForm(key, "model", c.model, "stream", "true", "response_format", c.format, "file", file).want(t, 200)
			bare, _, _ := strings.Cut(c.kind, ";")
			if kind := a.header.Get("Content-Type"); kind != c.kind && kind != bare {
				t.Errorf("is a %q, want %q", kind, c.kind)
			}
			if bare == jsonKind && a.get("text").Str != "hello" || bare != jsonKind && a.body != c.answer {
				t.Errorf("answered %s", a.body)
			}
			if bare == jsonKind && nano(t, a.get("usage.cost").Raw) != c.cost || nano(t, a.header.Get(headerCost)) != c.cost {
				t.Errorf("tells no cost of %d: %v %s", c.cost, a.header, a.body)
			}
			if spent := r.spent(id); spent != c.cost || r.estimated(id) != c.estimated {
				t.Errorf("spent %d, estimated %v; want %d, %v", spent, r.estimated(id), c.cost, c.estimated)
			}
			if asked.Load() != 1 || a.header.Get(headerAttempts) != "1" {
				t.Errorf("the provider was asked %d times, %s attempts", asked.Load(), a.header.Get(headerAttempts))
			}
		})
	}
	for name, circuit := range r.meter.Circuits() {
		if circuit.Failures != 0 {
			t.Errorf("%s: %+v", name, circuit)
		}
	}
	t.Run("nonsense", func(t *testing.T) {
		id, key := r.account(dollar)
		says("text/html", "<html>")
		r.sendForm(key, "model", "ear", "stream", "true", "response_format", "text", "file", file).wantError(t, 502, "provider_error")
		r.sendForm(key, "model", "ear", "stream", "true", "file", file).wantError(t, 502, "provider_error")
		says(jsonKind, `{"error":{"message":"no"}}`)
		r.sendForm(key, "model", "ear", "stream", "true", "file", file).wantError(t, 502, "provider_error")
		r.wantBalance(id, dollar)
	})
	// Who has been promised events gets one.
	for _, c := range []struct{ name, format, kind, answer, said string }{
		{"a second attempt, json", "json", jsonKind, `{"text":"hello","duration":9}`, "hello"},
		{"a second attempt, text", "text", "text/plain", "hello\n", "hello\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			var tries atomic.Int64
			provider.says(func(w http.ResponseWriter, q *http.Request) {
				if tries.Add(1) == 1 {
					sends("text/event-stream", "")(w, q)
					return
				}
				sends(c.kind, c.answer)(w, q)
			})
			a := r.sendForm(key, "model", "ear", "stream", "true", "response_format", c.format, "file", file).want(t, 200)
			events := streamed(t, a.body)
			if len(events) != 1 {
				t.Fatalf("answered %s", a.body)
			}
			only := answer{body: events[0]}
			spent := r.spent(id)
			if only.get("type").Str != "transcript.text.done" || only.get("text").Str != c.said || spent < 900_000 || nano(t, only.get("usage.cost").Raw) != spent {
				t.Errorf("spent %d, answered %s", spent, only.body)
			}
		})
	}
	testenv.Until(t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

func TestTranscriptionStreamed(t *testing.T) {
	r, provider := newMediaRig(t)
	delta := func(text string) string {
		return `data: {"type":"transcript.text.delta","delta":"` + text + `"}` + "\n\n"
	}
	const done = `data: {"type":"transcript.text.done","text":"hello you","usage":{"type":"tokens","input_tokens":100,"input_token_details":{"text_tokens":0,"audio_tokens":100},"output_tokens":3,"total_tokens":103}}` + "\n\n"
	for _, c := range []struct {
		name, answer string
		cost         int64
		whole        bool
	}{
		{"whole", delta("hello") + delta(" you") + done, 100*6000 + 3*10_000, true},
		{"whole, with a last word", delta("hello") + done + "data: [DONE]\n\n", 100*6000 + 3*10_000, true},
		{"cut", delta("hello") + delta(" you"), 100*6000 + 2*10_000, false},
		{"cut at once", "", 0, false},
		{"an error", delta("hello") + `data: {"type":"error","error":{"message":"no"}}` + "\n\n", 100*6000 + 10_000, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			provider.says(sends("text/event-stream", c.answer))
			a := r.sendForm(key, "model", "scribe", "stream", "true", "file", "a.wav:"+sound(10)).want(t, 200)
			events := streamed(t, a.body)
			last := answer{body: events[len(events)-1]}
			if c.whole != (last.get("type").Str == "transcript.text.done") || c.whole && nano(t, last.get("usage.cost").Raw) != c.cost {
				t.Errorf("ends in %s", last.body)
			}
			if !c.whole && last.get("error.code").Str != "provider_error" {
				t.Errorf("ends in %s", last.body)
			}
			if spent := r.spent(id); spent != c.cost {
				t.Errorf("spent %d, want %d", spent, c.cost)
			}
		})
	}
	t.Run("the client leaves", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			_, _ = io.WriteString(w, delta("hello"))
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		})
		var b bytes.Buffer
		w := multipart.NewWriter(&b)
		r.must(w.WriteField("model", "scribe"))
		r.must(w.WriteField("stream", "true"))
		part, err := w.CreateFormFile("file", "a.wav")
		r.must(err)
		_, err = io.WriteString(part, sound(10))
		r.must(err)
		r.must(w.Close())
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/audio/transcriptions", &b)
		r.must(err)
		request.Header.Set("Authorization", "Bearer "+key)
		request.Header.Set("Content-Type", w.FormDataContentType())
		response, err := http.DefaultClient.Do(request)
		r.must(err)
		if response.StatusCode != http.StatusOK {
			t.Fatalf("answered %d", response.StatusCode)
		}
		_, err = io.ReadFull(response.Body, make([]byte, len(delta("hello"))))
		r.must(err)
		_ = response.Body.Close()
		if spent := r.spent(id); spent != 100*6000+10_000 {
			t.Errorf("spent %d", spent)
		}
	})
}
