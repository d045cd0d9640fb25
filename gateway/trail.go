package gateway

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/requestlog"
	"github.com/kikuai/kikuai/internal/telemetry"
)

// requestLog keeps what a request came to. It never waits.
type requestLog interface{ Record(requestlog.Request) }

const (
	localTrail = "trail"
	maxClient  = 64 // bytes of the product that a client says it is
	codeGone   = "client_gone"
)

// trail is what one request leaves behind: a span, and where somebody known asked for a
// model, a row in the request log. It goes from the handler to the goroutine of the
// request's stream, if there is one, which then ends it. A nil trail leaves nothing.
type trail struct {
	log     requestLog // nil: none
	span    trace.Span // nil: none
	ctx     context.Context
	now     func() time.Time
	started time.Time
	row     requestlog.Request
	asked   bool // for a model
	passed  bool // from the handler to a stream
}

// follow begins a request's trail, below the span that the client says it is part of.
func (s *Server) follow(c *fiber.Ctx, r route, started time.Time) *trail {
	if s.requests == nil && s.tracer == nil {
		return nil
	}
	t := &trail{log: s.requests, ctx: s.base, now: s.now, started: started, row: requestlog.Request{ID: requestID(c), Client: product(c.Request().Header.UserAgent())}}
	if s.tracer != nil {
		from := propagation.TraceContext{}.Extract(s.base, headerCarrier{&c.Request().Header})
		t.ctx, t.span = s.tracer.Start(from, r.method+" "+r.path, trace.WithSpanKind(trace.SpanKindServer), trace.WithAttributes(
			attribute.String("http.request.method", r.method), attribute.String("http.route", r.path), attribute.String("kikuai.request_id", t.row.ID)))
	}
	c.Locals(localTrail, t)
	return t
}

// trail is the request's, if it leaves one.
func (s *Server) trail(c *fiber.Ctx) *trail {
	if s.requests == nil && s.tracer == nil {
		return nil
	}
	t, _ := c.Locals(localTrail).(*trail)
	return t
}

// callContext is what a request's call lives by.
func (s *Server) callContext(c *fiber.Ctx) context.Context {
	if t := s.trail(c); t != nil {
		return t.ctx
	}
	return s.base
}

// asks notes who wants which model; offered: there is such a model.
func (t *trail) asks(account int64, request *llm.Request, offered bool) {
	if t == nil {
		return
	}
	t.asked, t.row.AccountID = true, account
	if request == nil {
		return
	}
	t.row.Operation, t.row.Streamed = request.Operation.String(), request.Stream
	if offered { // any other name is the client's words
		t.row.Model = request.Model
	}
}

// hit notes that the answer was given before.
func (t *trail) hit() {
	if t != nil {
		t.row.Cached = true
	}
}

// came notes what a call came to.
func (t *trail) came(live *Live, receipt Receipt) {
	if t == nil {
		return
	}
	r := &t.row
	r.Deployment, r.Model, r.Attempts = live.Served()
	last := live.last()
	r.KeyID, r.FirstToken = last.keyID, last.started.Sub(t.started)+time.Duration(last.firstToken.Load())
	if last.firstToken.Load() == 0 {
		r.FirstToken = 0
	}
	r.Prompt, r.Completion, r.CostNano = receipt.Usage.Prompt, receipt.Usage.Completion, receipt.CostNano
}

// pass hands the trail over to the request's stream.
func (t *trail) pass() *trail {
	if t != nil {
		t.passed = true
	}
	return t
}

// streamed ends the trail with the request's stream, which ended with err.
func (t *trail) streamed(live *Live, receipt Receipt, err error) {
	if t == nil {
		return
	}
	t.came(live, receipt)
	switch {
	case errors.Is(err, errGone):
		t.row.ErrorCode = codeGone
	case err != nil:
		t.row.ErrorCode = explain(err).code
	}
	t.end(fiber.StatusOK)
}

// answered ends the trail of a request whose handler has returned err, unless its stream
// is to end it.
func (t *trail) answered(status int, err error) {
	if t == nil || t.passed {
		return
	}
	if err != nil {
		t.row.ErrorCode = explain(err).code
		var refused *CallError
		if errors.As(err, &refused) {
			t.row.KeyID, t.row.Deployment, t.row.Attempts = refused.keyID, refused.deployment, refused.attempts
		}
		t.asked = t.asked && identified(status, refused)
	}
	t.end(status)
}

// identified says whether a request that failed came from who it claims to: its limits
// were asked, or what is wrong with it is said only to those who have shown their key.
func identified(status int, refused *CallError) bool {
	if refused != nil && refused.Decision != nil {
		return true
	}
	return status >= 400 && status < 500 && status != fiber.StatusUnauthorized && status != fiber.StatusTooManyRequests
}

// part begins the trail of one call of a batch, below the batch's own.
func (t *trail) part(ctx context.Context, i int) (context.Context, *trail) {
	if t == nil {
		return ctx, nil
	}
	p := &trail{log: t.log, now: t.now, started: t.now(), row: requestlog.Request{ID: t.row.ID + "." + strconv.Itoa(i), Client: t.row.Client}}
	if t.span != nil {
		ctx, p.span = telemetry.StartSpan(ctx, "call", trace.SpanKindInternal)
	}
	return ctx, p
}

func (t *trail) end(status int) {
	if t == nil {
		return
	}
	t.row.At, t.row.Status = t.now(), status
	t.row.Duration = t.row.At.Sub(t.started)
	if t.log != nil && t.asked {
		t.log.Record(t.row)
	}
	if t.span == nil {
		return
	}
	if t.span.IsRecording() {
		t.describe()
	}
	t.span.End()
}

// describe says on the span what the row says. Prompts, keys and addresses are in neither.
func (t *trail) describe() {
	r := &t.row
	t.span.SetAttributes(attribute.Int("http.response.status_code", r.Status))
	if r.ErrorCode != "" {
		t.span.SetAttributes(attribute.String("error.type", r.ErrorCode))
	}
	if r.Status >= 500 || r.Status < 400 && r.ErrorCode != "" {
		t.span.SetStatus(codes.Error, r.ErrorCode)
	}
	if !t.asked {
		return
	}
	t.span.SetAttributes(
		attribute.String("gen_ai.operation.name", r.Operation), attribute.String("gen_ai.request.model", r.Model),
		attribute.Int64("gen_ai.usage.input_tokens", r.Prompt), attribute.Int64("gen_ai.usage.output_tokens", r.Completion),
		attribute.Int64("kikuai.account_id", r.AccountID), attribute.String("kikuai.deployment", r.Deployment), attribute.Int("kikuai.attempts", r.Attempts),
		attribute.Int64("kikuai.cost_nano_usd", r.CostNano), attribute.Bool("kikuai.cached", r.Cached), attribute.Bool("kikuai.streamed", r.Streamed))
}

// product is what a client says it is, as far as the first version: OpenAI/Python.
func product(agent []byte) string {
	end := 0
	for end < len(agent) && end <= maxClient {
		b := agent[end]
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && b != '-' && b != '_' && b != '.' && b != '/' {
			break
		}
		end++
	}
	if end > maxClient {
		return ""
	}
	return string(agent[:end])
}

// headerCarrier reads a request's headers for a propagator.
type headerCarrier struct{ header *fasthttp.RequestHeader }

func (h headerCarrier) Get(key string) string { return string(h.header.Peek(key)) }

func (h headerCarrier) Set(key, value string) { h.header.Set(key, value) }

func (h headerCarrier) Keys() []string {
	var keys []string
	for key := range h.header.All() {
		keys = append(keys, string(key))
	}
	return keys
}
