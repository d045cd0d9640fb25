package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/codes"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// Scope names the program as the maker of its spans.
const Scope = "github.com/kikuai/kikuai"

// StartSpan begins a span below the one that ctx carries. Where ctx carries none that is
// recorded it costs nothing: ctx comes back as it was, with a span that records nothing.
// The caller ends the span.
func StartSpan(ctx context.Context, name string, kind oteltrace.SpanKind) (context.Context, oteltrace.Span) {
	parent := oteltrace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, parent
	}
	return parent.TracerProvider().Tracer(Scope).Start(ctx, name, oteltrace.WithSpanKind(kind))
}

// EndSpan ends a span of something that may have failed. It says how in a word of ours,
// never in those of the error, which may quote what no trace is to hold.
func EndSpan(span oteltrace.Span, failed string) {
	if failed != "" && span.IsRecording() {
		span.SetStatus(codes.Error, failed)
	}
	span.End()
}
