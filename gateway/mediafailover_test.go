package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

// failoverModels are media with a second deployment, with a fallback, or hedged.
const failoverModels = `
  - {id: spare-voice, operations: [speech], prices: {million_characters: "30"}, deployments: [{provider: own, model: v2}]}
  - {id: pair-vectors, operations: [embeddings], prices: {input: "1", output: "0"}, context: 8192, deployments: [{provider: own, model: a}, {provider: own, model: b}]}
  - {id: last-voice, operations: [speech], prices: {million_characters: "15"}, fallbacks: [spare-voice], deployments: [{provider: own, model: v1}]}
  - {id: hedged-vectors, operations: [embeddings], prices: {input: "1", output: "0"}, context: 8192, hedge_after: 20ms, deployments: [{provider: own, model: a}, {provider: own, model: b}]}
  - {id: spare-ear, operations: [transcriptions], prices: {minute: "0.012"}, deployments: [{provider: own, model: heard-2}]}
  - {id: last-ear, operations: [transcriptions], prices: {minute: "0.006"}, fallbacks: [spare-ear], deployments: [{provider: own, model: heard-1}]}
  - {id: hedged-ear, operations: [transcriptions], prices: {minute: "0.006"}, hedge_after: 20ms, deployments: [{provider: own, model: a}, {provider: own, model: b}]}
`

const (
	oneVector  = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5]}],"model":"m","usage":{"prompt_tokens":5,"total_tokens":5}}`
	embedHello = `{"model":"%","input":"hello"}`
)

// TestMediaFailover: a call that is no chat is retried, stood in for and hedged as a chat
// is, and paid once, at the price of whoever answered.
func TestMediaFailover(t *testing.T) {
	r, provider := newMediaRig(t, func(s *setup) { s.models = failoverModels })
	refuse := func(w http.ResponseWriter) {
		http.Error(w, `{"error":{"message":"down"}}`, http.StatusInternalServerError)
	}
	embed := func(key, model string) answer {
		t.Helper()
		return r.do("POST", "/v1/embeddings", key, strings.Replace(embedHello, "%", model, 1)).want(t, 200)
	}
	t.Run("another deployment", func(t *testing.T) {
		id, key := r.account(dollar)
		r.save()
		first := make(chan string, 1)
		provider.asks(func(w http.ResponseWriter, _ *http.Request, body string) {
			select {
			case first <- gjson.Get(body, "model").Str:
				refuse(w)
			default:
				sends(jsonKind, oneVector)(w, nil)
			}
		})
		a := embed(key, "pair-vectors")
		if failed := <-first; a.header.Get(headerAttempts) != "2" || a.header.Get(headerDeployment) == "own/"+failed {
			t.Errorf("headers %v", a.header)
		}
		r.wantCost(a, id, 5000)
	})
	t.Run("another model", func(t *testing.T) {
		id, key := r.account(dollar)
		r.save()
		provider.asks(func(w http.ResponseWriter, _ *http.Request, body string) {
			if gjson.Get(body, "model").Str == "v1" {
				refuse(w)
				return
			}
			sends("audio/mpeg", "sound")(w, nil)
		})
		a := r.do("POST", "/v1/audio/speech", key, `{"model":"last-voice","input":"Hello, world","voice":"alloy"}`).want(t, 200)
		if a.body != "sound" || a.header.Get(headerModel) != "spare-voice" {
			t.Errorf("answered %q, headers %v", a.body, a.header)
		}
		if spent := r.spent(id); spent != 12*30_000 {
			t.Errorf("spent %d", spent)
		}
	})
	t.Run("hedged", func(t *testing.T) {
		id, key := r.account(dollar)
		r.save()
		first := make(chan string, 1)
		provider.asks(func(w http.ResponseWriter, q *http.Request, body string) {
			select {
			case first <- gjson.Get(body, "model").Str:
				<-q.Context().Done()
			default:
				sends(jsonKind, oneVector)(w, nil)
			}
		})
		a := embed(key, "hedged-vectors")
		if slow := <-first; a.header.Get(headerAttempts) != "2" || a.header.Get(headerDeployment) == "own/"+slow {
			t.Errorf("headers %v", a.header)
		}
		r.wantCost(a, id, 5000)
	})
	// Transcriptions that were to be streamed and come whole.
	const heard = `{"text":"hello","usage":{"type":"duration","seconds":10}}`
	hear := func(key, model string) answer {
		t.Helper()
		return r.sendForm(key, "model", model, "stream", "true", "file", "a.wav:"+sound(10)).want(t, 200)
	}
	t.Run("hedged, whole", func(t *testing.T) {
		id, key := r.account(dollar)
		r.save()
		first := make(chan struct{}, 1)
		provider.asks(func(w http.ResponseWriter, q *http.Request, _ string) {
			select {
			case first <- struct{}{}:
				<-q.Context().Done()
			default:
				sends(jsonKind, heard)(w, nil)
			}
		})
		a := hear(key, "hedged-ear")
		if a.get("text").Str != "hello" || a.header.Get(headerAttempts) != "2" || a.header.Get("Content-Type") != jsonKind {
			t.Errorf("answered %s, headers %v", a.body, a.header)
		}
		r.wantCost(a, id, 1_000_000)
	})
	for name, broken := range map[string]http.HandlerFunc{
		"another model, whole":                       func(w http.ResponseWriter, _ *http.Request) { refuse(w) },
		"another model, whole where events were due": sends("text/event-stream", ""),
	} {
		t.Run(name, func(t *testing.T) {
			id, key := r.account(dollar)
			r.save()
			provider.asks(func(w http.ResponseWriter, q *http.Request, body string) {
				if strings.Contains(body, "heard-1") {
					broken(w, q)
					return
				}
				sends(jsonKind, heard)(w, nil)
			})
			a := hear(key, "last-ear")
			if strings.HasPrefix(a.header.Get("Content-Type"), "text/event-stream") {
				a = answer{body: streamed(t, a.body)[0]}
			} else if a.header.Get(headerModel) != "spare-ear" {
				t.Errorf("headers %v", a.header)
			}
			if a.get("text").Str != "hello" || nano(t, a.get("usage.cost").Raw) != 2_000_000 {
				t.Errorf("answered %s", a.body)
			}
			if spent := r.spent(id); spent != 2_000_000 {
				t.Errorf("spent %d", spent)
			}
		})
	}
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

// asks sets an answer that depends on the request's body.
func (s *studio) asks(answer func(w http.ResponseWriter, q *http.Request, body string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = func(w http.ResponseWriter, q *http.Request) {
		_, body, _ := s.asked()
		answer(w, q, body)
	}
}
