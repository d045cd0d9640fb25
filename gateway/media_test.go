package gateway

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/testenv"
)

// mediaModels are at the test's own provider, at round prices.
const mediaModels = `
  - {id: vectors, operations: [embeddings], prices: {input: "1", output: "0"}, context: 8192, deployments: [{provider: own, model: vec}]}
  - {id: painter, operations: [images], prices: {image: "0.04"}, deployments: [{provider: own, model: paint}]}
  - {id: artist, operations: [images], prices: {input: "5", output: "10", output_image: "40"}, context: 32000, max_output: 6240, deployments: [{provider: own, model: art}]}
  - {id: voice, operations: [speech], prices: {million_characters: "15"}, deployments: [{provider: own, model: v1}]}
  - {id: actor, operations: [speech], prices: {input: "1", output: "0", output_audio: "10"}, deployments: [{provider: own, model: act}]}
  - {id: ear, operations: [transcriptions], prices: {minute: "0.006"}, deployments: [{provider: own, model: whisper}]}
  - {id: scribe, operations: [transcriptions], prices: {input: "2", input_audio: "6", output: "10"}, context: 16000, max_output: 2000, deployments: [{provider: own, model: scr}]}
`

// studio is a provider of media that answers as the test says.
type studio struct {
	*httptest.Server
	mu     sync.Mutex
	answer http.HandlerFunc
	path   string
	header http.Header
	body   string
}

func newStudio(t testing.TB) *studio {
	t.Helper()
	s := &studio{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		s.mu.Lock()
		s.path, s.header, s.body = q.URL.Path, q.Header, string(body)
		answer := s.answer
		s.mu.Unlock()
		answer(w, q)
	}))
	t.Cleanup(s.Close)
	return s
}

// says sets the answer.
func (s *studio) says(answer http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// asked is what the provider was asked last.
func (s *studio) asked() (path, body string, header http.Header) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.path, s.body, s.header
}

// sends is a whole answer.
func sends(kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", kind)
		_, _ = io.WriteString(w, body)
	}
}

const jsonKind = "application/json"

func newMediaRig(t testing.TB, edit ...func(*setup)) (*rig, *studio) {
	t.Helper()
	s := newStudio(t)
	return newRig(t, append([]func(*setup){steadfast, func(o *setup) { o.own, o.models = s.URL, mediaModels }}, edit...)...), s
}

// spent is what the account's only call cost, by the answer, the balance and the ledger.
func (r *rig) spent(account int64) int64 {
	r.t.Helper()
	spent := dollar - r.settled(account)
	if spent > 0 {
		var booked int64
		testenv.Until(r.t, "the ledger has what the balance gave", func() bool {
			booked = r.ledger(account, 1)
			return booked >= spent
		})
		if booked != spent {
			r.t.Errorf("the ledger has %d, the balance %d", booked, spent)
		}
	}
	return spent
}

// wantCost checks what a whole answer says of its cost, and that it was taken.
func (r *rig) wantCost(a answer, account, nanos int64) {
	r.t.Helper()
	if told := nano(r.t, a.header.Get(headerCost)); told != nanos {
		r.t.Errorf("X-Cost-USD is %d, want %d", told, nanos)
	}
	if usage := a.get("usage"); usage.Exists() && nano(r.t, usage.Get("cost").Raw) != nanos {
		r.t.Errorf("usage is %s, want a cost of %d", usage.Raw, nanos)
	}
	if spent := r.spent(account); spent != nanos {
		r.t.Errorf("spent %d, want %d", spent, nanos)
	}
}

func TestEmbeddings(t *testing.T) {
	r, provider := newMediaRig(t)
	const vector = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":"AACAPw=="}],"model":"vec"%USAGE%}`
	answers := func(usage string) { provider.says(sends(jsonKind, strings.Replace(vector, "%USAGE%", usage, 1))) }
	t.Run("told", func(t *testing.T) {
		id, key := r.account(dollar)
		answers(`,"usage":{"prompt_tokens":5,"total_tokens":5}`)
		a := r.do("POST", "/v1/embeddings", key, `{"input": ["a","b"], "model":"vectors","encoding_format":"base64","dimensions":256,"user":"u"}`).want(t, 200)
		path, body, _ := provider.asked()
		if path != "/embeddings" || body != `{"input": ["a","b"], "model":"vec","encoding_format":"base64","dimensions":256,"user":"u"}` {
			t.Errorf("asked %s %s", path, body)
		}
		if a.get("data.0.embedding").Str != "AACAPw==" || a.get("usage.prompt_tokens").Int() != 5 || a.get("usage.estimated").Exists() {
			t.Errorf("answered %s", a.body)
		}
		r.wantCost(a, id, 5000)
		if r.estimated(id) {
			t.Error("recorded as an estimate")
		}
	})
	t.Run("counted", func(t *testing.T) {
		id, key := r.account(dollar)
		answers("")
		a := r.do("POST", "/v1/embeddings", key, `{"model":"vectors","input":[[1,2,3],"one two"]}`).want(t, 200)
		if a.get("usage.prompt_tokens").Int() != 5 || !a.get("usage.estimated").Bool() || a.get("usage.completion_tokens").Exists() {
			t.Errorf("answered %s", a.body)
		}
		r.wantCost(a, id, 5000)
	})
	t.Run("more than a context in all", func(t *testing.T) {
		id, key := r.account(dollar)
		answers(`,"usage":{"prompt_tokens":15000,"total_tokens":15000}`)
		text := `"` + strings.Repeat("word ", 2000) + `"`
		a := r.do("POST", "/v1/embeddings", key, `{"model":"vectors","input":[`+text+","+text+`]}`).want(t, 200)
		r.wantCost(a, id, 15_000_000)
	})
	t.Run("nothing of an answer", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"error":{"message":"oops"}}`))
		r.do("POST", "/v1/embeddings", key, `{"model":"vectors","input":"a"}`).wantError(t, 502, "provider_error")
		r.wantBalance(id, dollar)
	})
	_, key := r.account(dollar)
	for body, param := range map[string]string{
		`{"input":"a"}`:                                           "model",
		`{"model":"vectors"}`:                                     "input",
		`{"model":"vectors","input":[]}`:                          "input",
		`{"model":"vectors","input":["a",{}]}`:                    "input[1]",
		`{"model":"vectors","input":[[1,"a"]]}`:                   "input[0]",
		`{"model":"vectors","input":"a","encoding_format":"hex"}`: "encoding_format",
		`{"model":"vectors","input":"a","dimensions":0}`:          "dimensions",
		`{"model":"vectors","model":"x","input":"a"}`:             "model",
		`{"model":"paid","input":"a"}`:                            "model",
	} {
		if a := r.do("POST", "/v1/embeddings", key, body); a.status != 400 || a.get("error.param").Str != param {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	r.chat(key, "vectors").want(t, 400)
	_, poor := r.account(1000)
	r.do("POST", "/v1/embeddings", poor, `{"model":"vectors","input":"`+strings.Repeat("word ", 1000)+`"}`).wantError(t, 402, "insufficient_balance")
}

func TestImages(t *testing.T) {
	r, provider := newMediaRig(t)
	const path = "/v1/images/generations"
	t.Run("by the picture", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"created":1,"data":[{"url":"https://x/1"},{"url":"https://x/2"}]}`))
		a := r.do("POST", path, key, `{"model":"painter","prompt":"a cat","n":3,"size":"512x512","style":"vivid"}`).want(t, 200)
		if at, body, _ := provider.asked(); at != "/images/generations" || body != `{"model":"paint","prompt":"a cat","n":3,"size":"512x512","style":"vivid"}` {
			t.Errorf("asked %s %s", at, body)
		}
		r.wantCost(a, id, 80_000_000) // two came
		if r.estimated(id) {
			t.Error("recorded as an estimate")
		}
	})
	t.Run("by tokens", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":10,"input_tokens_details":{"text_tokens":10,"image_tokens":0},"output_tokens":1000,"total_tokens":1010}}`))
		a := r.do("POST", path, key, `{"model":"artist","prompt":"a cat"}`).want(t, 200)
		r.wantCost(a, id, 10*5000+1000*40_000)
	})
	t.Run("by tokens that nobody told", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"data":[{"b64_json":"AAAA"}]}`))
		a := r.do("POST", path, key, `{"model":"artist","prompt":"a cat","quality":"low","size":"1024x1024"}`).want(t, 200)
		if a.get("usage.output_tokens").Int() != 272 || !a.get("usage.estimated").Bool() || !r.estimated(id) {
			t.Errorf("answered %s", a.body)
		}
		r.wantCost(a, id, a.get("usage.input_tokens").Int()*5000+272*40_000)
	})
	t.Run("more than there is money for", func(t *testing.T) {
		id, key := r.account(100_000_000)
		r.do("POST", path, key, `{"model":"painter","prompt":"a cat","n":3}`).wantError(t, 402, "insufficient_balance")
		r.wantBalance(id, 100_000_000)
	})
	_, key := r.account(dollar)
	for body, param := range map[string]string{
		`{"model":"painter"}`:                                    "prompt",
		`{"prompt":"a"}`:                                         "model",
		`{"model":"painter","prompt":"a","n":11}`:                "n",
		`{"model":"painter","prompt":"a","n":2,"stream":true}`:   "n",
		`{"model":"painter","prompt":"a","partial_images":4}`:    "partial_images",
		`{"model":"painter","prompt":"a","svg":{"model":"x"}}`:   "svg",
		`{"model":"painter","prompt":"a","frame_count":3}`:       "frame_count",
		`{"model":"painter","prompt":"a","output_format":"gif"}`: "output_format",
		`{"model":"painter","prompt":"a","N":2}`:                 "n",
		`{"model":"painter","prompt":"a","stream":1}`:            "stream",
	} {
		if a := r.do("POST", path, key, body); a.status != 400 || a.get("error.param").Str != param {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
}

func TestImagesStreamed(t *testing.T) {
	r, provider := newMediaRig(t)
	const body = `{"model":"artist","prompt":"a cat","stream":true,"partial_images":1,"quality":"low","size":"1024x1024"}`
	partial := `event: image_generation.partial_image` + "\n" + `data: {"type":"image_generation.partial_image","b64_json":"` + strings.Repeat("A", 2<<20) + `"}` + "\n\n"
	const done = `event: image_generation.completed` + "\n" + `data: {"type":"image_generation.completed","b64_json":"BBBB","usage":{"input_tokens":10,"output_tokens":372,"total_tokens":382}}` + "\n\n"
	for _, c := range []struct {
		name, answer string
		cost         int64
		fault        bool
	}{
		{"whole", partial + done, 10*5000 + 372*40_000, false},
		{"cut before the picture", partial, (272/2 + 1) * 40_000, true}, // and the prompt
		{"cut before anything", "", 0, true},
		{"an error", partial + `data: {"type":"error","error":{"message":"no"}}` + "\n\n", (272/2 + 1) * 40_000, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			provider.says(sends("text/event-stream", c.answer))
			a := r.do("POST", "/v1/images/generations", key, body).want(t, 200)
			reader := llm.NewEventReader(strings.NewReader(a.body), 8<<20)
			var events []string
			for e, err := reader.Next(); err == nil; e, err = reader.Next() {
				events = append(events, string(e.Data))
			}
			last := answer{body: events[len(events)-1]}
			if c.fault != (last.get("error.code").Str == "provider_error") {
				t.Errorf("ends in %.200s", last.body)
			}
			spent := r.spent(id)
			if c.fault && c.cost > 0 {
				spent -= spent % 40_000 // what is above is the prompt
			}
			if spent != c.cost {
				t.Errorf("spent %d, want %d", spent, c.cost)
			}
			if !c.fault && (nano(t, last.get("usage.cost").Raw) != c.cost || !strings.Contains(a.body, "event: image_generation.completed\n") || len(events) != 2) {
				t.Errorf("ends in %s", last.body)
			}
		})
	}
}

func TestSpeech(t *testing.T) {
	r, provider := newMediaRig(t)
	ask := func(key, more string) answer {
		t.Helper()
		return r.do("POST", "/v1/audio/speech", key, `{"input":"Hello, world","voice":"alloy",`+more+`}`)
	}
	second := strings.Repeat("\x00\x01", 24_000) // of samples
	t.Run("by the character", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends("audio/mpeg", "ID3 and so on"))
		a := ask(key, `"model":"voice","response_format":"mp3"`).want(t, 200)
		path, body, header := provider.asked()
		if path != "/audio/speech" || body != `{"input":"Hello, world","voice":"alloy","model":"v1","response_format":"mp3"}` || header.Get("Accept") != "*/*" {
			t.Errorf("asked %s %s %v", path, body, header)
		}
		if a.body != "ID3 and so on" || a.header.Get("Content-Type") != "audio/mpeg" {
			t.Errorf("answered %q %v", a.body, a.header)
		}
		if spent := r.spent(id); spent != 12*15_000 {
			t.Errorf("spent %d", spent)
		}
		if r.estimated(id) {
			t.Error("recorded as an estimate")
		}
	})
	t.Run("by tokens of sound", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends("audio/pcm", second+second))
		if a := ask(key, `"model":"actor","response_format":"pcm"`).want(t, 200); a.body != second+second {
			t.Errorf("%d bytes came", len(a.body))
		}
		if sound := r.spent(id) / 10_000 * 10_000; sound != 40*10_000 || !r.estimated(id) { // 20 tokens a second, and the prompt
			t.Errorf("spent %d for the sound", sound)
		}
	})
	t.Run("in events", func(t *testing.T) {
		id, key := r.account(dollar)
		delta := `data: {"type":"speech.audio.delta","audio":"AAAA"}` + "\n\n"
		provider.says(sends("text/event-stream", delta+`data: {"type":"speech.audio.done","usage":{"input_tokens":5,"output_tokens":30,"total_tokens":35}}`+"\n\n"))
		a := ask(key, `"model":"actor","stream_format":"sse"`).want(t, 200)
		events := streamed(t, a.body)
		last := answer{body: events[len(events)-1]}
		if len(events) != 2 || last.get("type").Str != "speech.audio.done" || nano(t, last.get("usage.cost").Raw) != 5*1000+30*10_000 {
			t.Errorf("answered %s", a.body)
		}
		if spent := r.spent(id); spent != 5*1000+30*10_000 || r.estimated(id) {
			t.Errorf("spent %d", spent)
		}
	})
	t.Run("an error in place of sound", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends(jsonKind, `{"error":{"message":"no"}}`))
		ask(key, `"model":"voice"`).wantError(t, 502, "provider_error")
		r.wantBalance(id, dollar)
	})
	_, key := r.account(dollar)
	for body, param := range map[string]string{
		`{"model":"voice","voice":"a"}`:                                    "input",
		`{"model":"voice","input":"","voice":"a"}`:                         "input",
		`{"model":"voice","input":"a","voice":{"id":"voice_1"}}`:           "voice",
		`{"model":"voice","input":"a","voice":"a","speed":9}`:              "speed",
		`{"model":"voice","input":"a","voice":"a","stream_format":"tape"}`: "stream_format",
		`{"model":"voice","input":"` + strings.Repeat("é", 100_001) + `"}`: "input",
	} {
		if a := r.do("POST", "/v1/audio/speech", key, body); a.status != 400 || a.get("error.param").Str != param {
			t.Errorf("%.80s: %d %s", body, a.status, a.body)
		}
	}
}

// TestSpeechEnds: however sound ends, the client learns whether it is whole, and pays for
// what was said.
func TestSpeechEnds(t *testing.T) {
	r, provider := newMediaRig(t)
	begun, over := make(chan struct{}, 1), make(chan struct{})
	second := strings.Repeat("\x00\x01", 24_000)
	starts := func(end func(w http.ResponseWriter, q *http.Request)) http.HandlerFunc {
		return func(w http.ResponseWriter, q *http.Request) {
			w.Header().Set("Content-Type", "audio/pcm")
			_, _ = io.WriteString(w, second)
			w.(http.Flusher).Flush()
			end(w, q)
		}
	}
	const body = `{"model":"actor","input":"Hello, world","voice":"alloy","response_format":"pcm"}`
	post := func(key string) *http.Response {
		t.Helper()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/audio/speech", strings.NewReader(body))
		r.must(err)
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		r.must(err)
		return response
	}
	t.Run("the provider breaks off", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(starts(func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				_ = conn.Close()
			}
		}))
		response := post(key)
		defer response.Body.Close()
		sound, err := io.ReadAll(response.Body)
		if err == nil || string(sound) != second {
			t.Errorf("%d bytes and %v: the client takes it for whole", len(sound), err)
		}
		if paid := r.spent(id) / 10_000; paid != 20 {
			t.Errorf("paid for %d tokens of sound, want 20", paid)
		}
	})
	t.Run("the client leaves", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(starts(func(w http.ResponseWriter, q *http.Request) {
			begun <- struct{}{}
			for q.Context().Err() == nil {
				if _, err := io.WriteString(w, "\x00\x01"); err != nil {
					break
				}
				w.(http.Flusher).Flush()
				select {
				case <-q.Context().Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
			close(over)
		}))
		response := post(key)
		<-begun
		_, err := io.ReadFull(response.Body, make([]byte, len(second)))
		r.must(err)
		_ = response.Body.Close()
		<-over // the provider was told
		if paid := r.spent(id) / 10_000; paid < 20 || paid > 100 {
			t.Errorf("paid for %d tokens of sound, want 20 and some", paid)
		}
	})
	t.Run("there is no sound", func(t *testing.T) {
		id, key := r.account(dollar)
		provider.says(sends("audio/pcm", ""))
		response := post(key)
		defer response.Body.Close()
		if sound, err := io.ReadAll(response.Body); err == nil {
			t.Errorf("%d bytes: the client takes it for whole", len(sound))
		}
		r.wantBalance(id, dollar)
	})
}
