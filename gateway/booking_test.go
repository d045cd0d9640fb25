package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tidwall/gjson"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// outage is a breaker that is open while a test says that Redis is away: what was not
// asked, Redis can never come to afterwards.
type outage struct{ away atomic.Bool }

func (o *outage) Open() bool { return o.away.Load() }

func (o *outage) Do(ctx context.Context, call func(context.Context) error) error {
	if o.away.Load() {
		return ratelimit.ErrBreakerOpen
	}
	return call(ctx)
}

// asker is one way to a paid answer.
type asker struct {
	name     string
	model    string
	streamed bool
	ask      func(r *rig, key string, account int64, model string) answer
	withheld string // path of the error's code in an answer that is not given out
}

const (
	wholeChat = `{"id":"c","object":"chat.completion","created":1,"model":"x","choices":[{"index":0,"message":{"role":"assistant","content":"hello you"},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}`
	vectorOf  = `{"object":"list","data":[{"object":"embedding","index":0,"embedding":[1]}],"model":"vec","usage":{"prompt_tokens":5,"total_tokens":5}}`
	pictureOf = `{"created":1,"data":[{"b64_json":"AAAA"}]}`
	heardOf   = `{"text":"two words","usage":{"type":"duration","seconds":9}}`
)

const streamedChat = `data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{"role":"assistant","content":"hello you"}}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}

data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"x","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}

data: [DONE]

`

// answerWith answers each kind of request.
func answerWith(w http.ResponseWriter, path, body string) {
	switch {
	case strings.HasSuffix(path, "/embeddings"):
		sends(jsonKind, vectorOf)(w, nil)
	case strings.Contains(path, "/images/"):
		sends(jsonKind, pictureOf)(w, nil)
	case strings.HasSuffix(path, "/speech"):
		sends("audio/mpeg", "ID3 and so on")(w, nil)
	case strings.HasSuffix(path, "/transcriptions"):
		sends(jsonKind, heardOf)(w, nil)
	case gjson.Get(body, "stream").Bool():
		sends("text/event-stream", streamedChat)(w, nil)
	default:
		sends(jsonKind, wholeChat)(w, nil)
	}
}

// posts asks over HTTP. A connection that is cut off has no status.
func posts(path, body string) func(*rig, string, int64, string) answer {
	return func(r *rig, key string, _ int64, model string) answer {
		request, err := http.NewRequestWithContext(r.t.Context(), http.MethodPost, r.url+path, strings.NewReader(fmt.Sprintf(body, model)))
		if err != nil {
			return answer{body: err.Error()}
		}
		request.Header.Set("Authorization", "Bearer "+key)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return answer{body: err.Error()}
		}
		defer response.Body.Close()
		text, err := io.ReadAll(response.Body)
		if err != nil {
			return answer{header: response.Header, body: string(text)}
		}
		return answer{response.StatusCode, response.Header, string(text)}
	}
}

// toldOf is what a caller inside the process was told.
func toldOf(err error) answer {
	switch {
	case err == nil:
		return answer{status: 200}
	case errors.Is(err, billing.ErrClosed):
		return answer{status: 503}
	}
	return answer{body: err.Error()}
}

func askers() []asker {
	const chat = `"model":%q,"messages":[{"role":"user","content":"Hi"}]`
	return []asker{
		{"chat", "own", false, posts("/v1/chat/completions", `{`+chat+`}`), "error.code"},
		{"chat, streamed", "own", true, posts("/v1/chat/completions", `{"stream":true,`+chat+`}`), ""},
		{"messages", "own", false, posts("/v1/messages", `{"max_tokens":64,`+chat+`}`), "error.type"},
		{"messages, streamed", "own", true, posts("/v1/messages", `{"max_tokens":64,"stream":true,`+chat+`}`), ""},
		{"simple", "own", false, posts("/api/v1/proxy/llm", `{`+chat+`}`), "error.code"},
		{"batch", "own", false, posts("/api/v1/proxy/batch", `[{`+chat+`}]`), "results.0.error.code"},
		{"embeddings", "vectors", false, posts("/v1/embeddings", `{"model":%q,"input":"a"}`), "error.code"},
		{"images", "painter", false, posts("/v1/images/generations", `{"model":%q,"prompt":"a cat"}`), "error.code"},
		{"speech", "voice", true, posts("/v1/audio/speech", `{"model":%q,"input":"Hello","voice":"alloy","response_format":"mp3"}`), ""},
		{"transcription", "ear", false, func(r *rig, key string, _ int64, model string) answer {
			return r.sendForm(key, "model", model, "file", "talk.wav:"+sound(9))
		}, "error.code"},
		{"a chat's message", "own", true, func(r *rig, _ string, account int64, model string) answer {
			_, err := r.meter.Complete(r.t.Context(), r.call(account, fmt.Sprintf("tg-%d", account), model), func(string) error { return nil })
			return toldOf(err)
		}, ""},
		{"a chat's voice", "ear", false, func(r *rig, _ string, account int64, model string) answer {
			_, err := r.meter.Hear(r.t.Context(), llm.HearCall{AccountID: account, HoldID: fmt.Sprintf("tg-%d-heard", account),
				LimitScope: "account", LimitID: fmt.Sprint(account), Model: model, Sound: []byte(sound(9)), Name: "voice.wav"})
			return toldOf(err)
		}, ""},
	}
}

// booked is what there is of an account's calls: recorded, and in the ledger.
func (r *rig) booked(account int64) (debits, calls int64) {
	r.t.Helper()
	r.must(r.pool.QueryRow(r.t.Context(), `select (select count(*) from debits where account_id = $1),
		(select count(*) from usage where account_id = $1)`, account).Scan(&debits, &calls))
	return debits, calls
}

// askAll asks in every way at once, of a Redis that is away by the time the provider
// answers. heard sees each answer as soon as it is there.
func askAll(t *testing.T, before func(*rig), heard func(r *rig, a asker, account int64, got answer)) (*rig, *outage, map[string]int64) {
	t.Helper()
	o, all := &outage{}, askers()
	var arrived atomic.Int64
	come := make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, _ := io.ReadAll(q.Body)
		if int(arrived.Add(1)) == len(all) {
			o.away.Store(true)
			close(come)
		}
		<-come
		answerWith(w, q.URL.Path, string(body))
	}))
	t.Cleanup(provider.Close)
	r := newRig(t, steadfast, func(s *setup) { s.own, s.models, s.meter.Breaker = provider.URL, mediaModels, o })
	accounts := map[string]int64{}
	keys := map[string]string{}
	for _, a := range all {
		accounts[a.name], keys[a.name] = r.account(dollar)
	}
	before(r)
	var asking sync.WaitGroup
	for _, a := range all {
		asking.Go(func() { heard(r, a, accounts[a.name], a.ask(r, keys[a.name], accounts[a.name], a.model)) })
	}
	asking.Wait()
	return r, o, accounts
}

// TestAnsweredIsBooked: Redis is away when a call has come to its end, whichever it is.
// Once its answer is out, its cost is in Postgres; and in the end it is in the ledger, once.
func TestAnsweredIsBooked(t *testing.T) {
	r, o, accounts := askAll(t, func(*rig) {}, func(r *rig, a asker, account int64, got answer) {
		debits, calls := r.booked(account)
		if got.status != 200 || debits != 1 || calls != 0 {
			t.Errorf("%s: answered %d %s with %d records and %d calls in the ledger", a.name, got.status, got.body, debits, calls)
		}
	})
	o.away.Store(false)
	for name, account := range accounts {
		left := r.settled(account)
		if spent := r.ledger(account, 1); spent == 0 || spent != dollar-left {
			t.Errorf("%s: the ledger has %d, the balance is %d", name, spent, left)
		}
	}
	testenv.Until(r.t, "every record is done with", func() bool {
		var open, doubled int64
		r.must(r.pool.QueryRow(t.Context(), `select (select count(*) from debits where posted_at is null),
			(select count(*) from (select from usage group by hold_id having count(*) > 1) twice)`).Scan(&open, &doubled))
		if doubled > 0 {
			t.Fatalf("%d calls are in the ledger twice", doubled)
		}
		return open == 0
	})
}

// TestUnbookedIsWithheld: neither Redis nor Postgres takes down what a call came to. An
// answer in one piece is not given out, and its hold is given back; a stream ends in an
// error, and is billed once Redis is back.
func TestUnbookedIsWithheld(t *testing.T) {
	var free func()
	r, o, accounts := askAll(t, func(r *rig) {
		tx, err := testenv.Owner(t, r.pool).Begin(t.Context())
		r.must(err)
		free = sync.OnceFunc(func() { _ = tx.Rollback(context.Background()) }) // else what follows fails
		t.Cleanup(free)
		_, err = tx.Exec(t.Context(), `lock table debits in exclusive mode`)
		r.must(err)
	}, func(r *rig, a asker, _ int64, got answer) {
		switch {
		case a.name == "speech":
			if got.status != 0 || strings.Contains(got.body, "error") {
				t.Errorf("speech was not cut off: %d %q", got.status, got.body)
			}
		case strings.HasPrefix(a.name, "a chat's"):
			if got.status != 503 {
				t.Errorf("%s: %d %s", a.name, got.status, got.body)
			}
		case a.streamed:
			if !strings.Contains(got.body, "hello you") || !strings.Contains(got.body, "entered in the books") ||
				strings.Contains(got.body, "[DONE]") || strings.Contains(got.body, "message_stop") {
				t.Errorf("%s: %s", a.name, got.body)
			}
		case a.name == "batch":
			if got.get("results.0.status").Int() != 503 || got.get(a.withheld).Str != "answer_withheld" || got.get("results.0.error.retry_after").Int() != retryLater {
				t.Errorf("%s: %s", a.name, got.body)
			}
		default:
			code := "answer_withheld"
			if a.name == "messages" {
				code = "overloaded_error"
			}
			if got.status != 503 || got.get(a.withheld).Str != code || got.header.Get("Retry-After") != fmt.Sprint(retryLater) ||
				strings.Contains(got.body, "hello") || got.header.Get(headerCost) != "" {
				t.Errorf("%s: %d %s %v", a.name, got.status, got.body, got.header)
			}
		}
	})
	free()
	o.away.Store(false)
	for _, a := range askers() {
		account := accounts[a.name]
		if a.name == "a chat's voice" { // its message is told again, under the hold that stands
			continue
		}
		left := r.settled(account)
		if !a.streamed && left != dollar {
			t.Errorf("%s: %d of a withheld answer's hold is gone", a.name, dollar-left)
		}
		if a.streamed {
			if spent := r.ledger(account, 1); spent == 0 || spent != dollar-left {
				t.Errorf("%s: the ledger has %d, the balance is %d", a.name, spent, left)
			}
		}
		if debits, calls := r.booked(account); debits != 0 || calls > 1 || !a.streamed && calls > 0 {
			t.Errorf("%s: %d records, %d calls in the ledger", a.name, debits, calls)
		}
	}
}
