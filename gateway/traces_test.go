package gateway

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/kikuai/kikuai/internal/telemetry"
	"github.com/kikuai/kikuai/internal/testenv"
)

// receiver is a collector that keeps what it is sent.
type receiver struct {
	mu    sync.Mutex
	spans []*spans.Span
	raw   []byte
}

func (c *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil && r.Header.Get("Content-Encoding") == "gzip" {
		var unpacked *gzip.Reader
		if unpacked, err = gzip.NewReader(bytes.NewReader(body)); err == nil {
			body, err = io.ReadAll(unpacked)
		}
	}
	var sent collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &sent)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not spans", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.raw = append(c.raw, body...)
	for _, resource := range sent.ResourceSpans {
		for _, scope := range resource.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

// named are the spans of a trace by name.
func (c *receiver) named(trace string) map[string][]*spans.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	found := map[string][]*spans.Span{}
	for _, span := range c.spans {
		if hex.EncodeToString(span.TraceId) == trace {
			found[span.Name] = append(found[span.Name], span)
		}
	}
	return found
}

// traced has a server send its spans to the receiver; flush sends what waits.
func traced(t *testing.T) (c *receiver, edit func(*setup), flush func()) {
	t.Helper()
	c = &receiver{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	traces, err := telemetry.NewTraces(telemetry.TracesOptions{Endpoint: server.URL + "/", Service: "kikuai", Version: "test", Log: testenv.Logger(t)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- traces.Run(ctx) }()
	flush = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(flush)
	return c, func(s *setup) { s.server.Tracer = traces.Tracer() }, flush
}

func attributeOf(span *spans.Span, key string) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.GetStringValue()
		}
	}
	return ""
}

func TestTraces(t *testing.T) {
	const (
		trace  = "0af7651916cd43dd8448eb211c80319c"
		parent = "b7ad6b7169203331"
		secret = "xyzzy-is-in-the-prompt"
	)
	c, edit, flush := traced(t)
	url, headers, finish := held(t)
	r := newRig(t, edit, func(s *setup) { s.own = url })
	_, key := r.account(1_000_000_000)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/chat/completions",
		strings.NewReader(strings.Replace(chatBody("own", `"stream":true`), "Say something.", secret, 1)))
	r.must(err)
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Traceparent", "00-"+trace+"-"+parent+"-01")
	response, err := http.DefaultClient.Do(request)
	r.must(err)
	defer response.Body.Close()
	sent := (<-headers).Get("Traceparent")
	middle := time.Now()
	close(finish)
	_, err = io.ReadAll(response.Body)
	r.must(err)

	r.do("POST", "/v1/chat/completions", key, chatBody("gone"), "Traceparent", "00-"+trace[:31]+"d-"+parent+"-01").want(t, 502)
	r.stop(patience)
	flush()

	got := c.named(trace)
	one := func(name string) *spans.Span {
		t.Helper()
		if len(got[name]) != 1 {
			t.Fatalf("%d spans are called %q", len(got[name]), name)
		}
		return got[name][0]
	}
	whole := one("POST /v1/chat/completions")
	if hex.EncodeToString(whole.ParentSpanId) != parent || whole.Kind != spans.Span_SPAN_KIND_SERVER || whole.Status.GetCode() == spans.Status_STATUS_CODE_ERROR {
		t.Errorf("the request's span %+v", whole)
	}
	if whole.EndTimeUnixNano < uint64(middle.UnixNano()) {
		t.Error("the request's span ended before its stream")
	}
	for _, name := range []string{"redis admit", "attempt", "redis settle"} {
		span := one(name)
		if !bytes.Equal(span.ParentSpanId, whole.SpanId) || span.StartTimeUnixNano < whole.StartTimeUnixNano {
			t.Errorf("%s is not below the request: %+v", name, span)
		}
	}
	attempt := one("attempt")
	if attempt.EndTimeUnixNano < uint64(middle.UnixNano()) {
		t.Error("the attempt's span ended before its stream")
	}
	if want := "00-" + trace + "-" + hex.EncodeToString(attempt.SpanId) + "-01"; sent != want {
		t.Errorf("the provider was told %q, want %q", sent, want)
	}
	if model, deployment := attributeOf(whole, "gen_ai.request.model"), attributeOf(whole, "kikuai.deployment"); model != "own" || deployment != "own/x" {
		t.Errorf("model %q, deployment %q", model, deployment)
	}

	failed := c.named(trace[:31] + "d")
	for _, name := range []string{"POST /v1/chat/completions", "attempt"} {
		if spansOf := failed[name]; len(spansOf) == 0 || spansOf[0].Status.GetCode() != spans.Status_STATUS_CODE_ERROR {
			t.Errorf("%s of a call that failed: %+v", name, spansOf)
		}
	}
	if len(failed["redis settle"]) != 0 {
		t.Error("a call that failed was settled")
	}
	for _, word := range []string{secret, key, "kk_", "Say something", "127.0.0.1:"} {
		if bytes.Contains(c.raw, []byte(word)) {
			t.Errorf("the spans hold %q", word)
		}
	}
	names := make([]string, 0, len(got))
	for name := range got {
		names = append(names, name)
	}
	slices.Sort(names)
	t.Logf("spans: %s", strings.Join(names, ", "))
}

// A provider of somebody else's is not told about our traces, and without a tracer
// nobody is.
func TestTracesStayHere(t *testing.T) {
	url, headers, finish := held(t)
	close(finish)
	r := newRig(t, func(s *setup) { s.own = url })
	_, key := r.account(1_000_000_000)
	r.do("POST", "/v1/chat/completions", key, chatBody("own", `"stream":true`), "Traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").want(t, 200)
	if got := (<-headers).Get("Traceparent"); got != "" {
		t.Errorf("the provider was told %q", got)
	}
}
