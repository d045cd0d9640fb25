package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// wire is a client on a bare socket, which can leave as real ones do.
type wire struct {
	t      testing.TB
	conn   net.Conn
	reader *bufio.Reader
	status string
	header textproto.MIMEHeader
}

// begin sends a streamed request and reads the answer's header.
func (r *rig) begin(key, model string, more ...string) *wire {
	r.t.Helper()
	w := r.send(key, chatBody(model, append(more, `"stream":true`)...))
	w.readHeader()
	return w
}

func (r *rig) send(key, body string) *wire {
	r.t.Helper()
	return r.sendTo("/v1/chat/completions", key, body)
}

func (r *rig) sendTo(path, key, body string) *wire {
	r.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	r.must(err)
	r.t.Cleanup(func() { _ = conn.Close() })
	r.must(conn.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: %d\r\n\r\n%s", path, key, len(body), body)
	r.must(err)
	return &wire{t: r.t, conn: conn, reader: bufio.NewReader(conn)}
}

func (w *wire) readHeader() {
	w.t.Helper()
	reader := textproto.NewReader(w.reader)
	var err error
	if w.status, err = reader.ReadLine(); err != nil {
		w.t.Fatal(err)
	}
	if w.header, err = reader.ReadMIMEHeader(); err != nil {
		w.t.Fatal(err)
	}
	if !strings.Contains(w.status, "200") {
		w.t.Fatalf("status %s", w.status)
	}
}

// await reads until a line holds the text.
func (w *wire) await(text string) {
	w.t.Helper()
	for {
		line, err := w.reader.ReadString('\n')
		if err != nil {
			w.t.Fatalf("before %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// leave closes the socket; hard: by a reset.
func (w *wire) leave(hard bool) {
	w.t.Helper()
	if hard {
		_ = w.conn.(*net.TCPConn).SetLinger(0)
	}
	if err := w.conn.Close(); err != nil {
		w.t.Error(err)
	}
}

func quickPings(s *setup) { s.server.PingEvery = 20 * time.Millisecond }

// completion is how many output tokens the account's calls were billed for.
func (r *rig) completion(account int64) (tokens int64) {
	r.t.Helper()
	r.ledger(account, 1)
	r.must(r.pool.QueryRow(r.t.Context(), `select sum(completion_tokens)::bigint from usage where account_id = $1`, account).Scan(&tokens))
	return tokens
}

// estimated says whether the account's only call is recorded as an estimate.
func (r *rig) estimated(account int64) (estimated bool) {
	r.t.Helper()
	r.ledger(account, 1)
	r.must(r.pool.QueryRow(r.t.Context(), `select bool_and(estimated) from usage where account_id = $1`, account).Scan(&estimated))
	return estimated
}

func TestClientLeaves(t *testing.T) {
	r := newRig(t, quickPings)
	r.sim.Assign("sim-tokens-500", llmsim.Script{Tokens: 5000, Cadence: 2 * time.Millisecond})
	for _, c := range []struct {
		name, model, until string
		billed             bool
	}{
		{"before the first byte", "sim-silent", "", false},
		{"in a stall", "sim-stall", ": ping", true},
		{"while it flows", "sim-tokens-500", `"content":" five"`, true},
	} {
		for _, hard := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s,%v", c.name, hard), func(t *testing.T) {
				id, key := r.account(dollar)
				before := r.sim.Count()
				w := r.begin(key, c.model)
				if c.until != "" {
					w.await(c.until)
				}
				w.leave(hard)
				spent := dollar - r.settled(id)
				if (spent > 0) != c.billed {
					t.Errorf("spent %d, billed is %v", spent, c.billed)
				}
				if c.billed && (!r.estimated(id) || r.ledger(id, 1) != spent || r.completion(id) < 4) {
					t.Errorf("recorded %d tokens; it is no estimate, or not what was spent", r.completion(id))
				}
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				if _, err := r.sim.Await(ctx, func(q llmsim.Request) bool { return q.Cancelled }); err != nil {
					t.Errorf("the provider was not told: %v", err)
				}
				if r.sim.Count() != before+1 {
					t.Error("more than one call")
				}
			})
		}
	}
	testenv.Until(r.t, "no call is under way", func() bool { return r.meter.flight.count() == 0 })
}

func TestProviderFails(t *testing.T) {
	r := newRig(t, func(s *setup) {
		s.timeouts = llm.Timeouts{FirstByte: 300 * time.Millisecond, Stall: 300 * time.Millisecond, Total: 2 * time.Second}
	})
	for _, c := range []struct {
		model, code string
		billed      bool
	}{
		{"sim-stall", "provider_timeout", true},
		{"sim-silent", "provider_timeout", false},
		{"sim-cut", "provider_error", true},
		{"sim-cut-early", "provider_error", false},
		{"sim-error-stream", "provider_error", true},
		{"sim-no-done", "provider_error", true},
	} {
		t.Run(c.model, func(t *testing.T) {
			id, key := r.account(dollar)
			a := r.chat(key, c.model, `"stream":true`, `"stream_options":{"include_usage":true}`)
			events := streamed(t, a.body)
			if a.status != 200 || len(events) == 0 {
				t.Fatalf("%d %s", a.status, a.body)
			}
			last := events[len(events)-1]
			if code := (answer{body: last}).get("error.code").Str; code != c.code || strings.Contains(a.body, "[DONE]") {
				t.Errorf("the stream ends in %s", last)
			}
			if strings.Contains(last, "llmsim") || strings.Contains(last, "gateway") {
				t.Errorf("told of the inside: %s", last)
			}
			spent := dollar - r.settled(id)
			if (spent > 0) != c.billed {
				t.Errorf("spent %d, billed is %v", spent, c.billed)
			}
			if c.billed && (r.ledger(id, 1) != spent || r.completion(id) < 4) {
				t.Errorf("the ledger differs, or forgets tokens: %d", r.completion(id))
			}
		})
	}
	id, key := r.account(dollar)
	r.chat(key, "sim-hang", `"stream":true`).wantError(t, 504, "provider_timeout")
	r.chat(key, "sim-hang").wantError(t, 504, "provider_timeout")
	r.wantBalance(id, dollar)
}

// A stream of several answers is whole once each of them has ended, or [DONE] has come.
func TestSeveralAnswersEnd(t *testing.T) {
	r, provider := newMediaRig(t)
	choice := func(index int, text, finish string) string {
		return fmt.Sprintf(`data: {"id":"c","choices":[{"index":%d,"delta":{"content":%q},"finish_reason":%s}]}`+"\n\n", index, text, finish)
	}
	const (
		stop  = `"stop"`
		usage = `data: {"id":"c","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":40,"total_tokens":50}}` + "\n\n"
		done  = "data: [DONE]\n\n"
	)
	begun := choice(0, "one", "null") + choice(1, "two", "null")
	for _, c := range []struct {
		name, answer string
		n            int
		whole        bool
		completion   int64
	}{
		{"one has ended, the other has begun", begun + choice(0, "", stop), 2, false, 2},
		{"one has ended, twice, the other has begun", begun + choice(0, "", stop) + choice(0, "", stop), 2, false, 2},
		{"one has ended, the other has not begun", choice(0, "one", stop), 2, false, 1},
		{"both have ended", begun + choice(0, "", stop) + choice(1, "", `"length"`), 2, true, 2},
		{"both have ended, with usage", begun + choice(1, "", stop) + choice(0, "", stop) + usage, 2, true, 40},
		{"fewer than asked for, and the last event", choice(0, "one", stop) + usage + done, 2, true, 40},
		{"the only one has ended", choice(0, "one", stop), 1, true, 1},
		{"an answer without numbers", `data: {"choices":[{"delta":{"content":"one"},"finish_reason":"stop"}]}` + "\n\n", 1, true, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			id, key := r.account(dollar)
			provider.says(sends("text/event-stream", c.answer))
			a := r.chat(key, "own", `"stream":true`, fmt.Sprintf(`"n":%d`, c.n)).want(t, 200)
			events := streamed(t, a.body)
			last := answer{body: events[len(events)-1]}
			if c.whole != (last.body == "[DONE]") || !c.whole && last.get("error.code").Str != "provider_error" {
				t.Errorf("ends in %s", last.body)
			}
			if r.settled(id); r.completion(id) != c.completion {
				t.Errorf("billed for %d tokens, want %d", r.completion(id), c.completion)
			}
		})
	}
}

func TestSilenceIsBridged(t *testing.T) {
	r := newRig(t, quickPings)
	_, key := r.account(dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 2, FirstToken: 200 * time.Millisecond})
	w := r.begin(key, "paid")
	w.await(": ping")
	w.await("[DONE]")
	if a := r.chat(key, "paid", `"stream":true`); !strings.HasSuffix(a.body, "data: [DONE]\n\n") {
		t.Errorf("%q", a.body)
	}
}

// TestNothingIsHeldBack: header and events reach the client while the provider is
// silent, without a later write to push them.
func TestNothingIsHeldBack(t *testing.T) {
	says := make(chan string)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		_, _ = io.Copy(io.Discard, q.Body)
		w.Header().Set("Content-Type", "text/event-stream")
		for text := range says {
			_, _ = io.WriteString(w, text)
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(provider.Close)
	r := newRig(t, func(s *setup) { s.own, s.server.PingEvery = provider.URL, time.Hour })
	id, key := r.account(dollar)
	request := r.send(key, chatBody("own", `"stream":true`))
	says <- "" // the header alone
	request.readHeader()
	says <- `data: {"choices":[{"index":0,"delta":{"content":"one"}}]}` + "\n\n"
	request.await(`"one"`)
	says <- `data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}` + "\n\ndata: [DONE]\n\n"
	close(says)
	request.await("[DONE]")
	if r.settled(id); r.completion(id) != 1 {
		t.Errorf("%d tokens", r.completion(id))
	}
}

// TestSlowReader: an answer that is not read does not pile up here.
func TestSlowReader(t *testing.T) {
	r := newRig(t, quickPings)
	id, key := r.account(100 * dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 200_000, IgnoreMax: true})
	w := r.begin(key, "paid")
	var sent int
	testenv.Until(r.t, "the provider is made to wait", func() bool {
		time.Sleep(200 * time.Millisecond)
		now := r.sim.Requests()[0].Sent
		stuck := now > 0 && now == sent
		sent = now
		return stuck
	})
	if sent >= 200_000 {
		t.Error("the whole answer was taken in")
	}
	w.leave(true)
	if spent := 100*dollar - r.settled(id); spent <= 0 {
		t.Errorf("spent %d", spent)
	}
}

func TestShutdownDrains(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	r.sim.Assign("sim-fast", llmsim.Script{Tokens: 40, Cadence: 10 * time.Millisecond})
	w := r.begin(key, "paid")
	w.await(`"content"`)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.await("[DONE]")
	}()
	r.stop(patience)
	<-done
	if spent := dollar - r.settled(id); spent < 40*8_000 || r.estimated(id) {
		t.Errorf("spent %d", spent)
	}
}

func TestShutdownCuts(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	r.sim.Assign("sim-stall", llmsim.Script{Tokens: 10, End: llmsim.EndStall, After: 5})
	stalled := r.begin(key, "sim-stall")
	stalled.await(`"content":" five"`)
	whole := r.send(key, chatBody("sim-hang"))
	testenv.Until(r.t, "both calls are under way", func() bool { return r.meter.flight.count() == 2 })
	r.stop(50 * time.Millisecond)
	stalled.await(`"code":"restarting"`)
	response, err := http.ReadResponse(whole.reader, nil)
	r.must(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("an unstreamed call was answered %d", response.StatusCode)
	}
	spent := dollar - r.settled(id)
	if spent <= 0 || r.ledger(id, 1) != spent {
		t.Errorf("spent %d", spent)
	}
	if _, err := http.Get(r.url + "/health"); err == nil {
		t.Error("the server still accepts")
	}
}

func TestRedisAway(t *testing.T) {
	r := newRig(t, impatient)
	id, key := r.account(dollar)
	if a := r.chat(key, "paid"); a.status != 200 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	before := r.settled(id)
	r.redis.Pause()
	for _, request := range []func() answer{
		func() answer { return r.chat(key, "paid") },
		func() answer { return r.do("GET", "/v1/models", key, "") },
		func() answer { return r.do("POST", "/v1/chat/completions", key, "{") },
	} {
		started := time.Now()
		a := request()
		a.wantError(t, 503, "service_unavailable")
		if took := time.Since(started); took > patient || a.header.Get("Retry-After") != "1" {
			t.Errorf("answered after %s, Retry-After %q", took, a.header.Get("Retry-After"))
		}
	}
	if a := r.do("GET", "/health", "", ""); a.status != 200 {
		t.Errorf("health %d", a.status)
	}
	r.redis.Resume()
	// The frozen Redis comes to the reservations after their callers were refused.
	testenv.Until(r.t, "no hold waits", func() bool { return len(r.meter.resolver.money.slots) == 0 })
	testenv.Until(r.t, "the money is back", func() bool {
		b, err := r.desk.Accounts.Balance(t.Context(), id)
		return err == nil && b == billing.Balance{Available: before}
	})
	testenv.Until(r.t, "calls pass again", func() bool { return r.chat(key, "paid").status == 200 })
}

// TestRedisAwayAtSettle: the client has its answer, in whichever protocol, and the bill
// follows.
func TestRedisAwayAtSettle(t *testing.T) {
	r := newRig(t, impatient)
	id, key := r.account(dollar)
	for _, ask := range []func() answer{
		func() answer { return r.chat(key, "paid", `"n":1`) },
		func() answer { return r.chat(key, "paid", `"stream":true`, `"stream_options":{"include_usage":true}`) },
		func() answer { return r.messages(key, "paid") },
		func() answer { return r.messages(key, "paid", `"stream":true`) },
	} {
		before := r.settled(id)
		r.sim.Enqueue(llmsim.Script{Tokens: 5, FirstToken: 300 * time.Millisecond})
		got := make(chan answer, 1)
		arrived := r.sim.Count()
		go func() { got <- ask() }()
		testenv.Until(r.t, "the provider is asked", func() bool { return r.sim.Count() > arrived })
		r.redis.Pause()
		a := <-got
		if a.status != 200 || !strings.Contains(a.body, `"cost"`) {
			t.Errorf("%d %s", a.status, a.body)
		}
		if n := len(r.meter.resolver.money.slots); n != 1 {
			t.Errorf("%d holds wait", n)
		}
		r.redis.Resume()
		testenv.Until(r.t, "the call is settled", func() bool {
			b, err := r.desk.Accounts.Balance(t.Context(), id)
			return err == nil && b.Held == 0 && b.Available < before
		})
		testenv.Until(r.t, "nothing waits", func() bool { return len(r.meter.resolver.money.slots) == 0 })
	}
	if spent := r.ledger(id, 4); spent != dollar-r.settled(id) {
		t.Errorf("the ledger has %d", spent)
	}
}

// TestClosedShard: without its epoch a shard gives nothing away.
func TestClosedShard(t *testing.T) {
	r := newRig(t)
	id, key := r.account(dollar)
	testenv.Until(r.t, "a call meets the closed shard", func() bool { // its owner opens it again
		r.must(r.client.Del(t.Context(), billing.EpochKey(id)).Err())
		a := r.chat(key, "paid")
		if a.status == 200 {
			return false
		}
		a.wantError(t, 503, "service_unavailable")
		return true
	})
	testenv.Until(r.t, "calls pass again", func() bool { return r.chat(key, "paid").status == 200 })
}
