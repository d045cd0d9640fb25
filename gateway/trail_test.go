package gateway

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/requestlog"
	"github.com/kikuai/kikuai/internal/testenv"
)

// logged has a server write its request log.
func logged(t *testing.T) func(*setup) {
	return func(s *setup) {
		s.pool = testenv.Postgres(t)
		w, err := requestlog.NewWriter(requestlog.Options{Postgres: s.pool, Log: testenv.Logger(t), Every: time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- w.Run(ctx) }()
		t.Cleanup(func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
		s.server.Requests = w
	}
}

// left is what the log has of a request.
type left struct {
	AccountID        int64
	KeyID            int64
	Operation        string
	Model            string
	Deployment       string
	Attempts         int32
	Status           int32
	ErrorCode        string
	Streamed, Cached bool
	PromptTokens     int64
	CompletionTokens int64
	CostNano         int64
	Client           string
	FirstToken, Took bool
}

// left waits for a request's row.
func (r *rig) left(id string) (l left) {
	r.t.Helper()
	testenv.Until(r.t, "the request log has "+id, func() bool {
		rows, err := r.pool.Query(r.t.Context(), `select account_id, key_id, operation, model, deployment, attempts, status, error_code, streamed, cached,
			prompt_tokens, completion_tokens, cost_nano, client, first_token_ms > 0, duration_ms >= first_token_ms from requests where request_id = $1`, id)
		r.must(err)
		all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[left])
		r.must(err)
		if len(all) > 1 {
			r.t.Fatalf("%d rows of %s", len(all), id)
		}
		if len(all) == 1 {
			l = all[0]
		}
		return len(all) == 1
	})
	return l
}

func TestRequestLog(t *testing.T) {
	r := newRig(t, logged(t), func(s *setup) { s.timeouts.FirstByte = time.Minute })
	account, key := r.account(1_000_000_000)
	poor, poorKey := r.account(1)
	keyOf := func(account int64) (id int64) {
		r.must(r.pool.QueryRow(t.Context(), `select id from api_keys where account_id = $1`, account).Scan(&id))
		return id
	}
	const secret = "xyzzy-is-in-the-prompt"
	ask := func(id, key, model string, more ...string) (answer, left) {
		t.Helper()
		body := strings.Replace(chatBody(model, more...), "Say something.", secret, 1)
		a := r.do("POST", "/v1/chat/completions", key, body, "X-Request-Id", id, "User-Agent", "OpenAI/Python 1.99 ("+secret+")")
		return a, r.left(id)
	}
	is := left{AccountID: account, KeyID: keyOf(account), Operation: "chat", Model: "paid", Deployment: "sim/sim-fast", Attempts: 1, Status: 200, Client: "OpenAI/Python", Took: true}
	with := func(edit func(*left)) left {
		l := is
		edit(&l)
		return l
	}
	check := func(name string, got, want left) {
		t.Helper()
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}

	a, got := ask("whole", key, "paid")
	cost, err := billing.ParseUSD(a.want(t, 200).header.Get(headerCost))
	r.must(err)
	check("a whole answer", got, with(func(l *left) {
		l.PromptTokens, l.CompletionTokens, l.CostNano = a.get("usage.prompt_tokens").Int(), a.get("usage.completion_tokens").Int(), cost
	}))
	_, got = ask("streamed", key, "paid", `"stream":true`)
	if got.CompletionTokens == 0 || got.CostNano == 0 {
		t.Errorf("a stream: %+v", got)
	}
	check("a stream", got, with(func(l *left) {
		l.Streamed, l.PromptTokens, l.CompletionTokens, l.CostNano, l.FirstToken = true, got.PromptTokens, got.CompletionTokens, got.CostNano, got.FirstToken
	}))
	_, got = ask("poor", poorKey, "paid")
	check("no balance", got, left{AccountID: poor, KeyID: keyOf(poor), Operation: "chat", Model: "paid", Status: 402, ErrorCode: "insufficient_balance", Client: "OpenAI/Python", Took: true})
	_, got = ask("ghost", key, secret)
	check("no such model", got, with(func(l *left) {
		l.KeyID, l.Model, l.Deployment, l.Attempts, l.Status, l.ErrorCode = 0, "", "", 0, 404, "model_not_found"
	}))
	_, got = ask("nonsense", key, "paid", `"n":0`)
	check("a bad request", got, with(func(l *left) {
		l.KeyID, l.Operation, l.Model, l.Deployment, l.Attempts, l.Status, l.ErrorCode = 0, "", "", "", 0, 400, "invalid_request"
	}))
	_, got = ask("gone", key, "gone")
	check("no provider", got, with(func(l *left) {
		l.Model, l.Deployment, l.Attempts, l.Status, l.ErrorCode = "gone", "dead/x", got.Attempts, 502, "provider_error"
	}))
	_, got = ask("inside", key, "sim-error-stream", `"stream":true`)
	check("an error inside the stream", got, with(func(l *left) {
		l.Model, l.Deployment, l.Streamed, l.ErrorCode = "sim-error-stream", "sim/sim-error-stream", true, "provider_error"
		l.PromptTokens, l.CompletionTokens, l.CostNano, l.FirstToken = got.PromptTokens, got.CompletionTokens, got.CostNano, got.FirstToken
	}))

	// Who is not who they claim to be leaves nothing, and neither do free requests.
	former, stranger := r.account(1_000_000)
	r.must(r.desk.Keys.Revoke(t.Context(), former, keyOf(former), billing.House))
	r.do("POST", "/v1/chat/completions", stranger, chatBody("paid"), "X-Request-Id", "stranger").want(t, 401)
	r.do("GET", "/v1/models", key, "", "X-Request-Id", "list").want(t, 200)
	ask("last", key, "paid")
	var others int
	r.must(r.pool.QueryRow(t.Context(), `select count(*) from requests where request_id in ('stranger', 'list')`).Scan(&others))
	if others != 0 {
		t.Error("rows of strangers or of free requests")
	}
	var words int
	r.must(r.pool.QueryRow(t.Context(), `select count(*) from requests r where strpos(r::text, $1) > 0 or strpos(r::text, 'kk_') > 0 or strpos(r::text, '127.0.0.1') > 0`, secret).Scan(&words))
	if words != 0 {
		t.Errorf("%d rows hold a prompt, a key or an address", words)
	}
}

func TestRequestLogClientGone(t *testing.T) {
	r := newRig(t, logged(t))
	_, key := r.account(1_000_000_000)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/chat/completions", strings.NewReader(chatBody("sim-stall", `"stream":true`)))
	r.must(err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("X-Request-Id", "left")
	response, err := http.DefaultClient.Do(request)
	r.must(err)
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan() && !strings.Contains(lines.Text(), `"content":"`); {
	}
	leave()
	if got := r.left("left"); got.ErrorCode != codeGone || got.Status != 200 || got.CompletionTokens == 0 || got.CostNano == 0 {
		t.Errorf("left %+v", got)
	}
}

func TestRequestLogCached(t *testing.T) {
	r, _ := answering(t, logged(t))
	_, key := r.account(1_000_000_000)
	for i, want := range []bool{false, true} {
		id := fmt.Sprint("c-", i)
		r.do("POST", "/v1/chat/completions", key, chatBody("paid", `"temperature":0`, `"cache_max_age":60`), "X-Request-Id", id).want(t, 200)
		if got := r.left(id); got.Cached != want || (got.CostNano == 0) != want {
			t.Errorf("%s: %+v", id, got)
		}
	}
}

// The calls of a batch are kept one by one.
func TestRequestLogBatch(t *testing.T) {
	r := newRig(t, logged(t))
	_, key := r.account(1_000_000_000)
	r.do("POST", "/api/v1/proxy/batch", key, "["+chatBody("paid")+","+chatBody("nobody")+","+chatBody("paid", `"stream":true`)+"]", "X-Request-Id", "b").want(t, 200)
	if got := r.left("b.0"); got.Status != 200 || got.Model != "paid" || got.Deployment != "sim/sim-fast" || got.CostNano == 0 || got.KeyID == 0 {
		t.Errorf("the first: %+v", got)
	}
	if got := r.left("b.1"); got.Status != 404 || got.ErrorCode != "model_not_found" || got.Model != "" {
		t.Errorf("the second: %+v", got)
	}
	if got := r.left("b.2"); got.Status != 400 || got.ErrorCode != "invalid_request" {
		t.Errorf("the third: %+v", got)
	}
}

func TestProduct(t *testing.T) {
	for agent, want := range map[string]string{
		"": "", "OpenAI/Python 1.2": "OpenAI/Python", "Anthropic/JS 0.9": "Anthropic/JS", "curl/8.5.0": "curl/8.5.0",
		"Mozilla/5.0 (X11; secret)": "Mozilla/5.0", "a@b.example": "a", strings.Repeat("x", 64): strings.Repeat("x", 64), strings.Repeat("x", 65): "",
	} {
		if got := product([]byte(agent)); got != want {
			t.Errorf("%q is %q, want %q", agent, got, want)
		}
	}
}

// What is not asked for costs nothing.
func TestNoTrail(t *testing.T) {
	s := &Server{base: context.Background(), now: time.Now}
	if n := testing.AllocsPerRun(100, func() {
		trail := s.follow(nil, route{}, time.Time{})
		trail.asks(1, nil, true)
		trail.came(nil, Receipt{})
		trail.pass().streamed(nil, Receipt{}, nil)
		trail.answered(200, nil)
		if s.callContext(nil) != s.base {
			t.Fatal("another context")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// held is a provider that begins a stream and ends it when it is told to.
func held(t *testing.T) (url string, headers chan http.Header, finish chan struct{}) {
	headers, finish = make(chan http.Header, 8), make(chan struct{})
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers <- r.Header.Clone()
		w.Header().Set("Content-Type", "text/event-stream")
		_, _ = fmt.Fprint(w, `data: {"id":"c","model":"x","choices":[{"index":0,"delta":{"content":"one"}}]}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-finish
		_, _ = fmt.Fprint(w, `data: {"id":"c","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}`+"\n\n"+
			`data: {"id":"c","choices":[],"usage":{"prompt_tokens":5,"completion_tokens":1}}`+"\n\ndata: [DONE]\n\n")
	}))
	t.Cleanup(provider.Close)
	return provider.URL, headers, finish
}
