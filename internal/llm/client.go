package llm

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kikuai/kikuai/internal/telemetry"
)

const (
	defaultConnect   = 5 * time.Second
	defaultFirstByte = 120 * time.Second
	defaultStall     = 60 * time.Second
	defaultTotal     = 10 * time.Minute
	handshakeIn      = 10 * time.Second

	// idleConns is how many idle connections to one provider are kept. Over
	// HTTP/2 one connection carries a hundred calls and more; over HTTP/1.1 each
	// call has its own, and keeping fewer than are in use means dialling anew.
	idleConns   = 512
	idleFor     = 300 * time.Second
	keepAlive   = 30 * time.Second
	maxHeader   = 64 << 10 // bytes of an answer's header
	maxAnswer   = 32 << 20 // bytes of an unstreamed answer
	maxStream   = 64 << 20 // bytes of a streamed answer
	maxFault    = 64 << 10 // bytes read of an error's body
	maxKeptBuf  = 256 << 10
	tailIn      = 250 * time.Millisecond // for the end of a stream's body after its last event
	socketRead  = 4 << 10                // of each connection, and so of each stream; what is longer is read past it
	socketWrite = 4 << 10
)

// Timeouts of a call. Zero fields mean the defaults.
type Timeouts struct {
	Connect   time.Duration // to dial; 5 s
	FirstByte time.Duration // until the first event of a streamed answer; 120 s
	Stall     time.Duration // of silence inside a streamed answer; 60 s
	Total     time.Duration // of the whole call, and so of an unstreamed one; 10 min
}

// ClientOptions configure a Client.
type ClientOptions struct {
	Timeouts   Timeouts
	Registerer prometheus.Registerer // nil: nothing is registered
}

var errAnswerTooLong = errors.New("llm: the answer is too long")

// Client calls providers over pooled connections, HTTP/2 where they speak it.
// It follows no redirect, uses no proxy, verifies TLS, and reaches loopback and
// private networks only for providers declared local.
type Client struct {
	timeouts Timeouts
	pools    sync.Map // of pool to transport
	duration *prometheus.HistogramVec
	series   sync.Map  // of timed to prometheus.Observer
	buffers  sync.Pool // of *bytes.Buffer, for unstreamed answers
}

// NewClient connects to nothing.
func NewClient(o ClientOptions) *Client {
	t := o.Timeouts
	for _, d := range []struct {
		value    *time.Duration
		fallback time.Duration
	}{{&t.Connect, defaultConnect}, {&t.FirstByte, defaultFirstByte}, {&t.Stall, defaultStall}, {&t.Total, defaultTotal}} {
		if *d.value <= 0 {
			*d.value = d.fallback
		}
	}
	c := &Client{
		timeouts: t,
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "llm_upstream_duration_seconds",
			Help:    "Time of calls to providers, until the last byte, or until the first of a stream.",
			Buckets: []float64{.001, .005, .025, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300},
		}, []string{"provider", "model", "outcome"}),
	}
	c.buffers.New = func() any { return new(bytes.Buffer) }
	if o.Registerer != nil {
		o.Registerer.MustRegister(c.duration)
	}
	return c
}

// transport sends requests over connections that it keeps.
type transport interface {
	http.RoundTripper
	CloseIdleConnections()
}

func dialer(connect time.Duration, local bool) *net.Dialer {
	return &net.Dialer{Timeout: connect, KeepAlive: keepAlive, Control: guard(local)}
}

func newTransport(p pool) transport {
	if p.plain {
		return newPlainTransport(p.connect, p.local)
	}
	return &http.Transport{
		DialContext:            dialer(p.connect, p.local).DialContext,
		TLSHandshakeTimeout:    handshakeIn,
		MaxIdleConnsPerHost:    idleConns,
		IdleConnTimeout:        idleFor,
		MaxResponseHeaderBytes: maxHeader,
		ReadBufferSize:         socketRead,
		WriteBufferSize:        socketWrite,
		DisableCompression:     true,
		ForceAttemptHTTP2:      true,
	}
}

// pool is what providers must have in common to share a transport.
type pool struct {
	connect time.Duration
	local   bool
	plain   bool
}

// transport is the one that reaches a provider.
func (c *Client) transport(p *Provider) transport {
	key := pool{cmp.Or(p.Timeouts.Connect, c.timeouts.Connect), p.Local, plain(p.base)}
	t, known := c.pools.Load(key)
	if !known {
		t, _ = c.pools.LoadOrStore(key, newTransport(key))
	}
	return t.(transport)
}

// timeoutsOf are the client's, but for those that the provider has of its own.
func (c *Client) timeoutsOf(p *Provider) Timeouts {
	return Timeouts{
		Connect:   cmp.Or(p.Timeouts.Connect, c.timeouts.Connect),
		FirstByte: cmp.Or(p.Timeouts.FirstByte, c.timeouts.FirstByte),
		Stall:     cmp.Or(p.Timeouts.Stall, c.timeouts.Stall),
		Total:     cmp.Or(p.Timeouts.Total, c.timeouts.Total),
	}
}

// limits are the timeouts of one call.
func (c *Client) limits(out Outbound) Timeouts {
	t := c.timeoutsOf(out.deployment.Provider)
	if out.Within > 0 {
		t.Total = min(t.Total, out.Within)
	}
	return t
}

// Total is how long a call may take, all attempts at it together.
func (c *Client) Total() time.Duration { return c.timeouts.Total }

// Close ends idle connections; calls under way go on.
func (c *Client) Close() {
	c.pools.Range(func(_, t any) bool {
		t.(transport).CloseIdleConnections()
		return true
	})
}

// Answer is a whole answer.
type Answer struct {
	ContentType string

	buf  *bytes.Buffer
	pool *sync.Pool
}

// Bytes of the answer, valid until Release.
func (a *Answer) Bytes() []byte { return a.buf.Bytes() }

// Release gives the answer's memory back.
func (a *Answer) Release() {
	if a.buf.Cap() <= maxKeptBuf {
		a.buf.Reset()
		a.pool.Put(a.buf)
	}
	a.buf = nil
}

// Complete sends an unstreamed request and reads the whole answer, as the rendition
// understands it. Errors: [*UpstreamError], or ctx's cause.
func (c *Client) Complete(ctx context.Context, out Outbound, r Rendition) (*Answer, error) {
	started := time.Now()
	ctx, span := out.trace(ctx)
	answer, err := c.complete(ctx, out, r.read.whole)
	telemetry.EndSpan(span, c.observe(out.deployment, started, err))
	return answer, err
}

// complete takes an answer that check finds nothing wrong with.
func (c *Client) complete(ctx context.Context, out Outbound, check func(*Answer) error) (*Answer, error) {
	call, cancel := context.WithTimeoutCause(ctx, c.limits(out).Total, ErrTooLong)
	defer cancel()
	response, err := c.send(call, out)
	if err != nil {
		return nil, failure(call, ctx, err)
	}
	defer response.Body.Close()
	answer, err := c.take(response, out.operation, check)
	if err != nil {
		return nil, failure(call, ctx, err)
	}
	return answer, nil
}

// take reads a whole answer that check finds nothing wrong with.
func (c *Client) take(response *http.Response, o Operation, check func(*Answer) error) (*Answer, error) {
	most := sizesOf(o).answer
	if response.ContentLength > most {
		return nil, broken(response.StatusCode, errAnswerTooLong)
	}
	answer := &Answer{ContentType: response.Header.Get("Content-Type"), buf: c.buffers.Get().(*bytes.Buffer), pool: &c.buffers}
	if _, err := answer.buf.ReadFrom(io.LimitReader(response.Body, most+1)); err != nil {
		answer.Release()
		return nil, err
	}
	var err error
	if int64(answer.buf.Len()) > most {
		err = errAnswerTooLong
	} else {
		err = check(answer)
	}
	if err != nil {
		answer.Release()
		return nil, broken(response.StatusCode, err)
	}
	return answer, nil
}

// send makes one attempt and turns every status but 200 into an error.
func (c *Client) send(ctx context.Context, out Outbound) (*http.Response, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(out.Body)), nil }
	reader, _ := open()
	request := (&http.Request{
		Method: http.MethodPost, URL: out.target, Host: out.target.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: out.traced(ctx), Body: reader, GetBody: open, ContentLength: int64(len(out.Body)),
	}).WithContext(ctx)
	response, err := c.transport(out.deployment.Provider).RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

// observe counts a call by how it ended, and says which fault it ended with; "": none.
func (c *Client) observe(d *Deployment, started time.Time, err error) (fault string) {
	fault = faultOf(err)
	outcome := cmp.Or(fault, "ok")
	key := timed{d, outcome}
	observer, known := c.series.Load(key)
	if !known {
		observer, _ = c.series.LoadOrStore(key, c.duration.WithLabelValues(d.Provider.Name, d.Model, outcome))
	}
	observer.(prometheus.Observer).Observe(time.Since(started).Seconds())
	return fault
}

// timed is one series of the duration metric.
type timed struct {
	deployment *Deployment
	outcome    string
}

// failure says why a call of ours broke: call is its context, parent the caller's.
func failure(call, parent context.Context, err error) error {
	var upstream *UpstreamError
	if errors.As(err, &upstream) {
		return err
	}
	if parent.Err() != nil {
		return context.Cause(parent)
	}
	if call.Err() != nil {
		return &UpstreamError{Fault: FaultTimeout, Err: context.Cause(call)}
	}
	return &UpstreamError{Fault: FaultUnreachable, Err: fmt.Errorf("call the provider: %w", err)}
}

// broken is an answer that makes no sense, unless it says itself what is wrong.
func broken(status int, err error) error {
	var upstream *UpstreamError
	if errors.As(err, &upstream) {
		return err
	}
	return &UpstreamError{Fault: FaultBroken, Status: status, Err: err}
}
