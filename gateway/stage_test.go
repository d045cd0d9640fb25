package gateway

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/testenv"
)

// stage is a provider whose calls end as the test says, one after another; when nothing
// is left to be said they are answered well.
type stage struct {
	*httptest.Server

	mu    sync.Mutex
	acts  []act
	named map[string]act // by the model's name there, before acts
	calls []string       // the models that were called
	looks int            // at the list of models
}

// act answers one call; streamed says that events are wanted.
type act func(w http.ResponseWriter, r *http.Request, streamed bool)

func newStage(t testing.TB) *stage {
	s := &stage{named: map[string]act{}}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(s.Close)
	return s
}

func (s *stage) serve(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	s.mu.Lock()
	if r.Method == http.MethodGet {
		s.looks++
	}
	model := gjson.GetBytes(body, "model").Str
	do, named := s.named[model]
	if r.Method == http.MethodPost {
		s.calls = append(s.calls, model)
		if !named && len(s.acts) > 0 {
			do, s.acts = s.acts[0], s.acts[1:]
		}
	}
	s.mu.Unlock()
	if do == nil {
		do = says
	}
	do(w, r, gjson.GetBytes(body, "stream").Bool())
}

// next says how the next calls end.
func (s *stage) next(acts ...act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acts, s.calls = acts, nil
}

func (s *stage) always(model string, do act) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.named[model] = do
}

func (s *stage) called() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.calls...)
}

func (s *stage) looked() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looks
}

const stageUsage = `"usage":{"prompt_tokens":10,"completion_tokens":2,"total_tokens":12}`

// stageCost is what an answer of the stage costs at 2 and 8 USD per million tokens.
const stageCost = 10*2_000 + 2*8_000

func event(w http.ResponseWriter, data string) {
	_, _ = fmt.Fprintf(w, "data: %s\n\n", data)
	w.(http.Flusher).Flush()
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
}

// says answers as a model does.
func says(w http.ResponseWriter, _ *http.Request, streamed bool) {
	if !streamed {
		_, _ = fmt.Fprintf(w, `{"id":"x","object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"well"},"finish_reason":"stop"}],%s}`, stageUsage)
		return
	}
	accept(w)
	event(w, `{"id":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"well"}}]}`)
	event(w, `{"id":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`)
	event(w, fmt.Sprintf(`{"id":"x","choices":[],%s}`, stageUsage))
	event(w, "[DONE]")
}

// fails answers with a status; more are names and values of headers.
func fails(status int, more ...string) act {
	return func(w http.ResponseWriter, _ *http.Request, _ bool) {
		for i := 0; i+1 < len(more); i += 2 {
			w.Header().Set(more[i], more[i+1])
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, `{"error":{"message":"no","type":"x","code":"x"}}`)
	}
}

// resets cuts the connection.
func resets(w http.ResponseWriter, _ *http.Request, _ bool) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// nonsense is a page where an answer is wanted.
func nonsense(w http.ResponseWriter, _ *http.Request, _ bool) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = io.WriteString(w, "<html>")
}

// hangs says nothing until the caller leaves; a streamed call is accepted first if told so.
func hangs(accepted bool) act {
	return func(w http.ResponseWriter, r *http.Request, streamed bool) {
		if accepted && streamed {
			accept(w)
		}
		<-r.Context().Done()
	}
}

// breaksOff accepts a call, sends so many words, and cuts the connection.
func breaksOff(words int) act {
	return func(w http.ResponseWriter, r *http.Request, _ bool) {
		accept(w)
		for range words {
			event(w, `{"id":"y","choices":[{"index":0,"delta":{"content":"half "}}]}`)
		}
		panic(http.ErrAbortHandler)
	}
}

// reports accepts a call and reports an error in place of the first word.
func reports(w http.ResponseWriter, _ *http.Request, _ bool) {
	accept(w)
	event(w, `{"error":{"message":"overloaded","type":"server_error"}}`)
}

// staged is a rig with models at a stage: "pair" has two deployments, "single" one,
// "first" one and two fallbacks: "second", which costs half, and "third".
func staged(t testing.TB, edit ...func(*setup)) (*rig, *stage) {
	t.Helper()
	s := newStage(t)
	models := `
  - {id: pair, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: a}, {provider: own, model: b}]}
  - {id: single, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: only}]}
  - {id: narrow, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: narrow, max_concurrency: 1}]}
  - {id: hedged, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, hedge_after: 20ms, sticky: false, deployments: [{provider: own, model: ha}, {provider: own, model: hb}]}
  - {id: first, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: first}], fallbacks: [second, third]}
  - {id: second, prices: {input: "1", output: "4"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: second}]}
  - {id: third, prices: {input: "2", output: "8"}, context: 32000, max_output: 4000, deployments: [{provider: own, model: third}]}
`
	all := append([]func(*setup){func(x *setup) {
		x.own, x.models, x.server.PingEvery = s.URL+"/v1", models, quickPing
	}}, edit...)
	r := newRig(t, all...)
	r.save()
	return r, s
}

// save fills the budget of extra attempts.
func (r *rig) save() {
	for range 60 {
		r.meter.router.Request(r.meter.now())
	}
}

// value is a metric's, by its name and labels.
func (r *rig) value(name string, labels ...string) float64 {
	r.t.Helper()
	families, err := r.registry.Gather()
	r.must(err)
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	next:
		for _, m := range family.GetMetric() {
			have := map[string]string{}
			for _, l := range m.GetLabel() {
				have[l.GetName()] = l.GetValue()
			}
			for i := 0; i+1 < len(labels); i += 2 {
				if have[labels[i]] != labels[i+1] {
					continue next
				}
			}
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return 0
}

// unoccupied fails unless every deployment's places are free again.
func (r *rig) unoccupied() {
	r.t.Helper()
	testenv.Until(r.t, "all places are free", func() bool {
		families, err := r.registry.Gather()
		r.must(err)
		for _, family := range families {
			if family.GetName() != "llm_deployment_concurrency" {
				continue
			}
			for _, m := range family.GetMetric() {
				if strings.Contains(m.String(), `"used"`) && m.GetGauge().GetValue() != 0 {
					return false
				}
			}
		}
		return true
	})
}
