package llm

import (
	"context"
	"errors"
	"net/http"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/kikuai/kikuai/internal/telemetry"
)

// trace begins the span of an attempt, where ctx is traced.
func (o *Outbound) trace(ctx context.Context) (context.Context, trace.Span) {
	ctx, span := telemetry.StartSpan(ctx, "attempt", trace.SpanKindClient)
	if span.IsRecording() {
		span.SetAttributes(
			attribute.String("gen_ai.provider.name", o.deployment.Provider.Name),
			attribute.String("gen_ai.request.model", o.deployment.Model),
			attribute.String("server.address", o.target.Hostname()))
	}
	return ctx, span
}

// traced are the headers to send: to a provider of our own with the trace that the
// attempt belongs to. Others need not know about our traces.
func (o *Outbound) traced(ctx context.Context) http.Header {
	if !o.deployment.Provider.Local || !trace.SpanContextFromContext(ctx).IsSampled() {
		return o.header
	}
	header := o.header.Clone()
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(header))
	return header
}

// faultOf is a word for how a call ended; "": well.
func faultOf(err error) string {
	var upstream *UpstreamError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &upstream):
		return upstream.Fault.String()
	}
	return "canceled"
}
