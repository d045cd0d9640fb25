package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
	"testing"
)

// nativeDeployment is one whose provider speaks all of OpenAI's protocol.
func nativeDeployment(t testing.TB) *Deployment {
	t.Helper()
	text := strings.ReplaceAll(contract, "model: llama3", `model: "other \"one\""`)
	catalogue, err := LoadCatalogue([]byte(strings.ReplaceAll(text, "local: true}", "local: true, responses: true}")), env())
	if err != nil {
		t.Fatal(err)
	}
	return catalogue.Models()[0].Pick()
}

// FuzzMedia: whatever is accepted of responses, embeddings, images and speech is sent on as
// JSON in which no reader, however lax about case and repetition, finds another model or
// something that is not paid for; and its bounds hold for its estimates.
func FuzzMedia(f *testing.F) {
	for _, seed := range []string{
		`{"model":"m","input":"a"}`, `{"input":[[1,2],"a"],"model":"m"}`, `{"model":"m","prompt":"a","n":2}`,
		`{"model":"m","input":"a","voice":"b","speed":0.5}`, `{ "model":"m","input":"a", "cache_max_age":5}`,
		`{"model":"m","input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,AAAA"}]}],"store":null,"max_output_tokens":3}`,
		`{"model":"m","input":"a","tools":[{"type":"function","name":"f"}]}`, `{"model":"m","prompt":"a","stream":true,"partial_images":0}`,
		`{"model":"m","input":"a","Store":true}`, `{"model":"m","input":[{"type":"item_reference","id":"x"}]}`,
	} {
		f.Add(seed)
	}
	d := nativeDeployment(f)
	model := &Model{Context: 1000, MaxOutput: 100, ImageTokens: 50}
	counter := new(Counter)
	f.Fuzz(func(t *testing.T, body string) {
		for _, parse := range []func([]byte) (*Request, error){ParseResponses, ParseEmbeddings, ParseImages, ParseSpeech} {
			r, err := parse([]byte(body))
			if err != nil {
				var invalid *RequestError
				if !errors.As(err, &invalid) || invalid.Message == "" {
					t.Fatalf("%q: %v", body, err)
				}
				continue
			}
			if r.N < 1 || r.PromptBound(model) < 0 || r.OutputBound(model) < 0 || counter.Prompt(r, model) > r.PromptBound(model) {
				t.Fatalf("%q: %d answers, %d of %d, %d", body, r.N, counter.Prompt(r, model), r.PromptBound(model), r.OutputBound(model))
			}
			out, _, err := r.For(d, 50, NewTranscript(counter))
			if err != nil {
				t.Fatalf("%q: %v", body, err)
			}
			checkSent(t, body, out.Body, r.Operation)
		}
	})
}

func checkSent(t *testing.T, body string, sent []byte, o Operation) {
	t.Helper()
	if !json.Valid(sent) {
		t.Fatalf("%q is sent as %q", body, sent)
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(sent, &fields); err != nil {
		t.Fatal(err)
	}
	stored := 0
	for name, value := range fields {
		switch strings.ToLower(name) {
		case "model":
			if string(value) != `"other \"one\""` {
				t.Fatalf("%q asks for %s: %s", body, value, sent)
			}
		case "store":
			stored++
			if o == OpResponses && string(value) != "false" {
				t.Fatalf("%q is stored: %s", body, sent)
			}
		case "previous_response_id", "conversation", "prompt", "context_management":
			if o == OpResponses && string(value) != "null" {
				t.Fatalf("%q reads what is kept: %s", body, sent)
			}
		case "max_output_tokens":
			if o == OpResponses && string(value) != "50" {
				t.Fatalf("%q is as long as it likes: %s", body, sent)
			}
		}
	}
	if o == OpResponses && (stored != 1 || fields["max_output_tokens"] == nil) {
		t.Fatalf("%q: %s", body, sent)
	}
}

// FuzzForm: whatever form is accepted is sent on with the same fields and file, in which a
// reader finds one model: ours.
func FuzzForm(f *testing.F) {
	wav := "RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x40\x1f\x00\x00\x01\x00\x08\x00data\x02\x00\x00\x00\x80\x80"
	form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\nContent-Type: audio/wav\r\n\r\n" + wav + "\r\n--b"
	f.Add(form+"--\r\n", "multipart/form-data; boundary=b")
	f.Add(form+"\r\nContent-Disposition: form-data; name=\"MODEL\"\r\n\r\nx\r\n--b--\r\n", "multipart/form-data; boundary=b")
	f.Add(form+"\nContent-Disposition: form-data; name=\"prompt\"\n\nx\n--b--\n", "multipart/form-data; boundary=\"b\"")
	d := nativeDeployment(f)
	f.Fuzz(func(t *testing.T, body, contentType string) {
		r, err := ParseTranscription([]byte(body), contentType)
		if err != nil {
			return
		}
		out, _, err := r.For(d, 50, nil)
		if err != nil {
			t.Fatal(err)
		}
		was, err := readForm([]byte(body), contentType)
		if err != nil {
			t.Fatal(err)
		}
		kind, params, err := mime.ParseMediaType(out.header.Get("Content-Type"))
		if err != nil || kind != "multipart/form-data" {
			t.Fatalf("%s: %v", kind, err)
		}
		reader := multipart.NewReader(bytes.NewReader(out.Body), params["boundary"])
		models := 0
		for _, part := range was.parts {
			sent, err := reader.NextRawPart()
			if err != nil {
				t.Fatal(err)
			}
			value, err := io.ReadAll(sent)
			if err != nil {
				t.Fatal(err)
			}
			want := string(part.value)
			if strings.EqualFold(part.name, "model") {
				models++
				want = d.Model
			}
			if sent.FormName() != part.name || string(value) != want || (sent.FileName() != "") != (part.filename != "") {
				t.Fatalf("%q came as %q %q", part.name, sent.FormName(), value)
			}
		}
		if _, err := reader.NextRawPart(); !errors.Is(err, io.EOF) || models != 1 {
			t.Fatalf("%d models, and then %v", models, err)
		}
	})
}
