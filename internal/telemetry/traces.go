package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

const (
	spansWaiting  = 8192 // what is more is dropped
	spansAtOnce   = 1024
	spansEvery    = time.Second
	spansIn       = 5 * time.Second // for one batch
	attributeMost = 256             // bytes of an attribute's text
)

// TracesOptions are what Traces need.
type TracesOptions struct {
	Endpoint string // of an OTLP collector over HTTP, such as http://127.0.0.1:4318; spans go to /v1/traces there
	Service  string
	Version  string
	Log      *slog.Logger
}

// Traces send spans to a collector, in batches, aside from the work they tell of. Where
// the collector does not follow, spans are dropped.
type Traces struct {
	provider *sdk.TracerProvider
	log      *slog.Logger
}

// NewTraces connects to nothing. The SDK's other variables (OTEL_TRACES_SAMPLER,
// OTEL_EXPORTER_OTLP_HEADERS and so on) count, too.
func NewTraces(o TracesOptions) (*Traces, error) {
	exporter, err := otlptracehttp.New(context.Background(),
		otlptracehttp.WithEndpointURL(strings.TrimRight(o.Endpoint, "/")+"/v1/traces"), otlptracehttp.WithTimeout(spansIn))
	if err != nil {
		return nil, fmt.Errorf("send traces: %w", err)
	}
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { // the library has but one, for the whole process
		o.Log.Warn("traces are not sent", "err", err)
	}))
	limits := sdk.NewSpanLimits()
	limits.AttributeValueLengthLimit = attributeMost
	return &Traces{log: o.Log, provider: sdk.NewTracerProvider(
		sdk.WithBatcher(exporter, sdk.WithMaxQueueSize(spansWaiting), sdk.WithMaxExportBatchSize(spansAtOnce), sdk.WithBatchTimeout(spansEvery), sdk.WithExportTimeout(spansIn)),
		sdk.WithResource(resource.NewSchemaless(attribute.String("service.name", o.Service), attribute.String("service.version", o.Version))),
		sdk.WithRawSpanLimits(limits),
	)}, nil
}

// Tracer makes the program's spans.
func (t *Traces) Tracer() oteltrace.Tracer { return t.provider.Tracer(Scope) }

// Run sends what is left when ctx ends. A collector that is away then is not an error.
func (t *Traces) Run(ctx context.Context) error {
	<-ctx.Done()
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), spansIn)
	defer cancel()
	if err := t.provider.Shutdown(within); err != nil {
		t.log.WarnContext(ctx, "the last traces are lost", "err", err)
	}
	return nil
}
