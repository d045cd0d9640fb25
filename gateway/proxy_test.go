package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

func TestProxy(t *testing.T) {
	r, provider := newMediaRig(t)
	const path = "/api/v1/proxy/llm"
	id, key := r.account(dollar)
	a := r.do("POST", path, key, `{"provider":"sim","model":"paid","messages":[{"role":"user","content":"a"}]}`).want(t, 200)
	if a.get("object").Str != "chat.completion" || a.header.Get("X-Deployment") != "sim/sim-fast" {
		t.Errorf("answered %s %v", a.body, a.header)
	}
	r.wantCost(a, id, a.get("usage.prompt_tokens").Int()*2000+a.get("usage.completion_tokens").Int()*8000)
	provider.says(sends(jsonKind, `{"choices":[{"message":{"content":"b"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1}}`))
	r.do("POST", path, key, `{"model":"own", "messages":[{"role":"user","content":"a"}],"provider":null}`).want(t, 200)
	if at, body, _ := provider.asked(); at != "/chat/completions" || strings.Contains(body, "provider") {
		t.Errorf("asked %s %s", at, body)
	}
	if s := r.do("POST", path, key, `{"model":"paid","messages":[{"role":"user","content":"a"}],"stream":true}`).want(t, 200); !strings.HasSuffix(s.body, "data: [DONE]\n\n") {
		t.Errorf("streamed %s", s.body)
	}
	for body, want := range map[string]string{
		`{"provider":"openai","model":"gpt-3.5-turbo"}`: "invalid_request",
		`{"model":"paid"}`:               "invalid_request",
		`{"model":"paid","messages":[]}`: "invalid_request",
		`{"provider":7,"model":"paid","messages":[{"role":"user","content":"a"}]}`:       "invalid_request",
		`{"provider":"own","model":"paid","messages":[{"role":"user","content":"a"}]}`:   "invalid_request",
		`{"provider":"sim","model":"nobody","messages":[{"role":"user","content":"a"}]}`: "model_not_found",
		`{"provider":"a","Provider":"b","model":"paid","messages":[]}`:                   "invalid_request",
		`[]`: "invalid_request",
	} {
		a := r.do("POST", path, key, body)
		if a.get("error.code").Str != want || a.get("error.request_id").Str == "" || a.get("error.message").Str == "" || a.status != 400 && a.status != 404 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	if a := r.do("POST", path, key, `{"provider":"openai","model":"gpt-3.5-turbo"}`); !strings.Contains(a.get("error.message").Str, "'messages'") {
		t.Errorf("without messages: %s", a.body)
	}
	r.do("POST", path, "", `{}`).want(t, 401)
}

const batchPath = "/api/v1/proxy/batch"

func simpleCall(model string, more ...string) string { return chatBody(model, more...) }

// TestBatch: each call is admitted and settled by itself, and its result stands in its place.
func TestBatch(t *testing.T) {
	r := newRig(t)
	r.sim.Assign("sim-slow", llmsim.Script{Tokens: 3, FirstToken: 300 * time.Millisecond})
	id, key := r.account(dollar)
	calls := []string{
		simpleCall("sim-slow"), simpleCall("paid"), `{"model":"paid"}`, simpleCall("nobody"), simpleCall("sim-error-400"),
		simpleCall("sim-error-500"), simpleCall("paid", `"stream":true`), simpleCall("paid", `"provider":"sim"`), `7`, simpleCall("word"),
	}
	want := []int64{200, 200, 400, 404, 400, 502, 400, 200, 400, 200}
	a := r.do("POST", batchPath, key, "["+strings.Join(calls, " , ")+"]").want(t, 200)
	if !gjson.Valid(a.body) || a.header.Get("Content-Type") != jsonKind {
		t.Fatalf("answered %s %v", a.body, a.header)
	}
	sum := int64(0)
	for i, result := range a.get("results").Array() {
		cost := nano(t, result.Get("cost_usd").Str)
		sum += cost
		if result.Get("index").Int() != int64(i) || result.Get("status").Int() != want[i] {
			t.Errorf("result %d is %s", i, result.Raw)
		}
		if well := want[i] == 200; well != (cost > 0) || well != (result.Get("response.choices.0.message.content").Str != "") || well == (result.Get("error.code").Str != "") {
			t.Errorf("result %d is %s", i, result.Raw)
		}
	}
	if n := a.get("results.#").Int(); n != int64(len(calls)) || a.get("completed").Int() != 4 || a.get("failed").Int() != 6 || nano(t, a.get("cost_usd").Str) != sum {
		t.Errorf("%d results, %s", n, a.body)
	}
	if spent := dollar - r.settled(id); spent != sum || r.ledger(id, 4) != sum {
		t.Errorf("spent %d, told %d", spent, sum)
	}
	for _, body := range []string{"", "{}", "[]", "[1,", "[" + strings.Repeat(`{"model":"paid"},`, 20) + `{}]`, strings.Repeat("[", 1000)} {
		if a := r.do("POST", batchPath, key, body); a.status != 400 || a.get("error.code").Str != "invalid_request" {
			t.Errorf("%.40s: %d %s", body, a.status, a.body)
		}
	}
	r.do("POST", batchPath, "kk_1_x_y", "["+calls[1]+"]").want(t, 401)
	r.do("POST", batchPath, "", "["+calls[1]+"]").want(t, 401)
}

// TestBatchIsPaidByTheCall: money for some of the calls lets some of them pass.
func TestBatchIsPaidByTheCall(t *testing.T) {
	r := newRig(t)
	answered := r.worst(t) * 2
	id, key := r.account(answered)
	calls := make([]string, batchMost)
	for i := range calls {
		calls[i] = simpleCall("paid", `"max_tokens":10`)
	}
	a := r.do("POST", batchPath, key, "["+strings.Join(calls, ",")+"]").want(t, 200)
	paid, poor := 0, 0
	for _, result := range a.get("results").Array() {
		switch result.Get("status").Int() {
		case 200:
			paid++
		case 402:
			poor++
		default:
			t.Errorf("%s", result.Raw)
		}
	}
	if paid == 0 || paid+poor != batchMost || r.settled(id) < 0 {
		t.Errorf("%d answered, %d had no money", paid, poor)
	}
	if spent := answered - r.balance(id).Available; spent != nano(t, a.get("cost_usd").Str) {
		t.Errorf("spent %d, told %s", spent, a.get("cost_usd").Raw)
	}
}

// worst is what a small paid call holds.
func (r *rig) worst(t *testing.T) int64 {
	t.Helper()
	return 100*2000 + 10*8000
}

// TestBatchBounds: no more than so many calls are under way, and when the client leaves
// those end and no further one begins.
func TestBatchBounds(t *testing.T) {
	r, provider := newMediaRig(t, quickPings)
	var under, most, begun atomic.Int64
	full := make(chan struct{}, batchMost)
	provider.says(func(_ http.ResponseWriter, q *http.Request) {
		now := under.Add(1)
		for seen := most.Load(); now > seen && !most.CompareAndSwap(seen, now); seen = most.Load() {
		}
		begun.Add(1)
		full <- struct{}{}
		<-q.Context().Done()
		under.Add(-1)
	})
	id, key := r.account(dollar)
	calls := make([]string, batchMost)
	for i := range calls {
		calls[i] = simpleCall("own", `"max_tokens":10`)
	}
	w := r.sendTo(batchPath, key, "["+strings.Join(calls, ",")+"]")
	w.readHeader()
	for range 5 {
		<-full
	}
	if _, err := w.reader.ReadByte(); err != nil && err != io.EOF { // a ping: the connection is alive
		t.Error(err)
	}
	w.leave(true)
	testenv.Until(r.t, "what was under way has ended", func() bool { return under.Load() == 0 && r.meter.flight.count() == 0 })
	if most.Load() != 5 || begun.Load() != 5 {
		t.Errorf("%d calls at once, %d in all", most.Load(), begun.Load())
	}
	r.wantBalance(id, dollar)
}

// TestBatchEndsWithTheServer: what a shutdown ends is told to each call.
func TestBatchEndsWithTheServer(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	answers := make(chan answer, 1)
	go func() {
		answers <- r.do("POST", batchPath, key, fmt.Sprintf("[%s,%s]", simpleCall("paid"), simpleCall("sim-hang")))
	}()
	testenv.Until(r.t, "both are under way", func() bool { return r.sim.Count() == 2 })
	r.stop(50 * time.Millisecond)
	a := (<-answers).want(t, 200)
	if a.get("results.0.status").Int() != 200 || a.get("results.1.status").Int() != 503 || a.get("failed").Int() != 1 {
		t.Errorf("answered %s", a.body)
	}
	r.wantBalance(id, dollar-nano(t, a.get("cost_usd").Str))
}

// TestBatchTakesTooLong: what is not answered when the batch's time is up is told so, and
// costs nothing; what was answered stands.
func TestBatchTakesTooLong(t *testing.T) {
	r := newRig(t, func(s *setup) { s.server.BatchIn = 500 * time.Millisecond })
	id, key := r.account(dollar)
	calls := []string{simpleCall("paid")}
	for range batchAtOnce + 1 { // the last one does not even begin
		calls = append(calls, simpleCall("sim-hang"))
	}
	a := r.do("POST", batchPath, key, "["+strings.Join(calls, ",")+"]").want(t, 200)
	for i, result := range a.get("results").Array() {
		if i == 0 && result.Get("status").Int() != 200 || i > 0 && (result.Get("status").Int() != 504 || result.Get("error.code").Str != "batch_timeout") {
			t.Errorf("result %d is %s", i, result.Raw)
		}
	}
	if a.get("completed").Int() != 1 || a.get("failed").Int() != batchAtOnce+1 {
		t.Errorf("answered %s", a.body)
	}
	r.wantBalance(id, dollar-nano(t, a.get("cost_usd").Str))
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}
