package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

func TestReadiness(t *testing.T) {
	failing := make(chan struct{}, 1)
	r := newRig(t, func(s *setup) {
		s.server.Probes = map[string]func(context.Context) error{
			"redis": func(context.Context) error { return nil },
			"other": func(ctx context.Context) error {
				select {
				case failing <- struct{}{}:
					<-ctx.Done()
					return fmt.Errorf("secret address 10.0.0.1: %w", ctx.Err())
				default:
					return nil
				}
			},
		}
	})
	started := time.Now()
	a := r.do("GET", "/readyz", "", "")
	if a.status != 503 || a.body != `{"status":"not ready","checks":{"other":"failing","redis":"ok"}}` || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if took := time.Since(started); took > patient {
		t.Errorf("took %s", took)
	}
	if a := r.do("GET", "/readyz", "", ""); a.status != 200 || a.get("status").Str != "ready" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := r.do("GET", "/readyz?exclude=redis", "", ""); a.status != 200 || a.body != `{"status":"ready","checks":{"other":"ok","redis":"excluded"}}` {
		t.Errorf("%d %s", a.status, a.body)
	}
	<-failing // whoever asks it from here on fails
	if a := r.do("GET", "/readyz?exclude=redis&exclude=other", "", ""); a.status != 200 || a.get("checks.other").Str != "excluded" || len(failing) > 0 {
		t.Errorf("%d %s, and the excluded probe was asked: %v", a.status, a.body, len(failing) > 0)
	}
	if a := r.do("GET", "/readyz?exclude=redis", "", ""); a.status != 503 || a.get("checks.other").Str != "failing" {
		t.Errorf("%d %s", a.status, a.body)
	}
	asked := len(failing)
	a = r.do("GET", "/readyz?exclude=redis&exclude=bogus", "", "")
	if a.status != 400 || a.get("error.code").Str != "invalid_request" || len(failing) != asked ||
		a.get("error.message").Str != `"exclude" names a check, and "bogus" is none. There are: other, redis.` {
		t.Errorf("a check that there is not: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/readyz?exclude=", "", ""); a.status != 400 {
		t.Errorf("an empty name: %d %s", a.status, a.body)
	}
	if a := r.do("GET", "/health", "", ""); a.status != 200 || a.body != `{"status":"alive"}` {
		t.Errorf("%d %s", a.status, a.body)
	}
}

func TestPanicsAndWebhook(t *testing.T) {
	r := newRig(t, func(s *setup) {
		s.server.Webhook = func(c *fiber.Ctx) error {
			if string(c.BodyRaw()) == "panic" {
				panic("a secret")
			}
			return c.SendString("taken")
		}
	})
	if a := r.do("POST", "/webhook", "", "update"); a.status != 200 || a.body != "taken" {
		t.Errorf("%d %s", a.status, a.body)
	}
	a := r.do("POST", "/webhook", "", "panic")
	if a.status != 500 || a.get("error.code").Str != "internal_error" || strings.Contains(a.body, "secret") || a.get("error.request_id").Str == "" {
		t.Errorf("%d %s", a.status, a.body)
	}
	if a := r.do("GET", "/health", "", ""); a.status != 200 {
		t.Errorf("after a panic: %d", a.status)
	}
}

func TestHTTPBounds(t *testing.T) {
	r := newRig(t)
	_, key := r.account(dollar)
	large := strings.Repeat(" ", hardBodyLimit+1)
	if a := r.do("POST", "/v1/chat/completions", key, large); a.status != 413 || a.get("error.type").Str == "" {
		t.Errorf("beyond what is read: %d %.200s", a.status, a.body)
	}
	if a := r.do("GET", "/health", "", "", "X-Long", strings.Repeat("x", 10_000)); a.status != 200 {
		t.Errorf("a long header: %d", a.status)
	}
	if a := r.do("GET", "/health", "", "", "X-Long", strings.Repeat("x", 20_000)); a.status != 431 {
		t.Errorf("too long a header: %d", a.status)
	}
	deep := `{"model":"paid","messages":` + strings.Repeat("[", 1<<20)
	r.do("POST", "/v1/chat/completions", key, deep).wantError(t, 400, "invalid_request")
}

func TestMetrics(t *testing.T) {
	r := newRig(t)
	_, key := r.account(dollar)
	a := r.chat(key, "paid")
	tokens := r.meter.offers["paid"].tokens.prompt
	if n := testutil.ToFloat64(tokens); n != a.get("usage.prompt_tokens").Num {
		t.Errorf("%v prompt tokens", n)
	}
	r.chat(key, "sim-usage-negative")
	r.chat(key, "nothing")
	r.do("GET", "/nothing/"+key, "", "")
	families, err := r.registry.Gather()
	r.must(err)
	text := fmt.Sprint(families)
	for _, want := range []string{`"/v1/chat/completions"`, "llm_tokens_total", "llm_usage_faults_total", "ratelimit_decisions_total", "gateway_calls_in_flight", `"none"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, key) || strings.Contains(text, "/nothing/") {
		t.Error("a key or a raw path is in the metrics")
	}
	if n := testutil.ToFloat64(r.meter.faults.WithLabelValues("sim", llm.UsageNegative)); n != 1 {
		t.Errorf("%v faults of usage", n)
	}
}

// TestOverload: beyond its bound the meter answers at once and charges nothing.
func TestOverload(t *testing.T) {
	r := newRig(t, func(s *setup) { s.meter.MaxInFlight = 1 }, quickPings)
	id, key := r.account(dollar)
	w := r.begin(key, "sim-silent")
	a := r.chat(key, "paid")
	a.wantError(t, 503, "overloaded")
	if a.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q", a.header.Get("Retry-After"))
	}
	w.leave(true)
	r.wantBalance(id, dollar)
	testenv.Until(r.t, "calls pass again", func() bool { return r.chat(key, "paid").status == 200 })
}

// TestEveryErrorHasWords: whatever goes wrong, the client is told something, and
// nothing of the inside.
func TestEveryErrorHasWords(t *testing.T) {
	secret := errors.New("gateway: secret at redis 10.0.0.1:6379")
	for _, c := range []struct {
		err    error
		status int
	}{
		{secret, 500}, {errInternal, 500}, {context.Canceled, 503}, {errClosing, 503}, {errBusy, 503},
		{fmt.Errorf("%w: %w", billing.ErrClosed, secret), 503}, {billing.ErrHoldConflict, 503}, {billing.ErrAccountInactive, 403},
		{&llm.UpstreamError{Fault: llm.FaultBusy, Err: secret}, 429}, {&llm.UpstreamError{Fault: llm.FaultTimeout, Err: secret}, 504},
		{&llm.UpstreamError{Fault: llm.FaultUnreachable, Err: secret}, 502}, {&llm.UpstreamError{Fault: llm.FaultMisconfigured, Status: 401, Err: secret}, 502},
		{&llm.UpstreamError{Fault: llm.FaultRefused, Status: 422, Err: secret}, 422},
		{&ratelimit.ExceededError{Max: 1, Window: time.Minute, RetryAfter: time.Second}, 429},
		{&CallError{Err: &UnaffordableError{PoorError: billing.PoorError{Need: 5}}}, 402},
		{&CallError{Err: &billing.BudgetError{Scope: billing.BudgetKey, Period: billing.BudgetDay, Limit: 5, Need: 6}}, 402},
		{fiber.NewError(http.StatusTeapot, secret.Error()), 418}, {fiber.NewError(500, secret.Error()), 500}, {fiber.ErrRequestTimeout, 408},
		{fiber.ErrBadRequest, 400}, {fiber.ErrRequestHeaderFieldsTooLarge, 431}, {fiber.ErrMethodNotAllowed, 405},
	} {
		p := explain(c.err)
		if p.status != c.status || p.message == "" || p.kind == "" {
			t.Errorf("%v: %+v", c.err, p)
		}
		if (p.status == 429 || p.status == 503) && p.retryAfter < 1 {
			t.Errorf("%v: when to come back is not said", c.err)
		}
		for _, sh := range []shape{shapePlain, shapeOpenAI} {
			if body := string(p.body(sh, "id")); strings.Contains(body, "secret") || strings.Contains(body, "gateway:") {
				t.Errorf("%v: %s", c.err, body)
			}
		}
	}
}
