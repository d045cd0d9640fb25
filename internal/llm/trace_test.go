package llm

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"go.opentelemetry.io/otel/trace"
)

// A trace goes on at providers of our own, and at no others.
func TestTracedHeaders(t *testing.T) {
	sampled := trace.ContextWithSpanContext(context.Background(), trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	}))
	shared := http.Header{"Accept": {"x"}}
	for _, c := range []struct {
		ctx   context.Context
		local bool
		want  string
	}{
		{sampled, true, "00-01000000000000000000000000000000-0200000000000000-01"},
		{sampled, false, ""},
		{context.Background(), true, ""},
	} {
		out := Outbound{deployment: &Deployment{Provider: &Provider{Local: c.local}}, header: shared}
		got := out.traced(c.ctx)
		if got.Get("Traceparent") != c.want || got.Get("Accept") != "x" {
			t.Errorf("local %v: %v, want %q", c.local, got, c.want)
		}
	}
	if len(shared) != 1 {
		t.Errorf("the shared header is now %v", shared)
	}
	out := Outbound{deployment: &Deployment{Provider: &Provider{Local: true}}, header: shared}
	if n := testing.AllocsPerRun(100, func() {
		_, span := out.trace(context.Background())
		out.traced(context.Background())
		span.End()
	}); n != 0 {
		t.Errorf("%v allocations without a trace", n)
	}
}

func TestFaultOf(t *testing.T) {
	for want, err := range map[string]error{"": nil, "canceled": errors.New("x"), FaultBusy.String(): &UpstreamError{Fault: FaultBusy}} {
		if got := faultOf(err); got != want {
			t.Errorf("%v is %q", err, got)
		}
	}
}
