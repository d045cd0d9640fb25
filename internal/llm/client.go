package llm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/tidwall/gjson"
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
	idleConns   = 100
	idleFor     = 300 * time.Second
	keepAlive   = 30 * time.Second
	maxHeader   = 64 << 10 // bytes of an answer's header
	maxAnswer   = 32 << 20 // bytes of an unstreamed answer
	maxStream   = 64 << 20 // bytes of a streamed answer
	maxFault    = 64 << 10 // bytes read of an error's body
	maxKeptBuf  = 256 << 10
	tailIn      = 250 * time.Millisecond // for the end of a stream's body after its last event
	socketRead  = 16 << 10
	socketWrite = 16 << 10
)

// Timeouts of a call. Zero fields mean the defaults.
type Timeouts struct {
	Connect   time.Duration // to dial; 5 s
	FirstByte time.Duration // until a streamed answer begins; 120 s
	Stall     time.Duration // of silence inside a streamed answer; 60 s
	Total     time.Duration // of the whole call, and so of an unstreamed one; 10 min
}

// ClientOptions configure a Client.
type ClientOptions struct {
	Timeouts   Timeouts
	Registerer prometheus.Registerer // nil: nothing is registered
}

// Client calls providers over pooled connections, HTTP/2 where they speak it.
// It follows no redirect, uses no proxy, verifies TLS, and reaches loopback and
// private networks only for providers declared local.
type Client struct {
	timeouts Timeouts
	public   *http.Transport
	local    *http.Transport
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
		public:   newTransport(t.Connect, false),
		local:    newTransport(t.Connect, true),
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

func newTransport(connect time.Duration, local bool) *http.Transport {
	dialer := &net.Dialer{Timeout: connect, KeepAlive: keepAlive, Control: guard(local)}
	return &http.Transport{
		DialContext:            dialer.DialContext,
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

// Total is how long a call may take.
func (c *Client) Total() time.Duration { return c.timeouts.Total }

// Close ends idle connections; calls under way go on.
func (c *Client) Close() {
	c.public.CloseIdleConnections()
	c.local.CloseIdleConnections()
}

// Answer is a whole answer: a JSON object.
type Answer struct {
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

// Complete sends an unstreamed request and reads the whole answer. The body must
// not change afterwards. Errors: [*UpstreamError], or ctx's cause.
func (c *Client) Complete(ctx context.Context, d *Deployment, body []byte) (*Answer, error) {
	started := time.Now()
	answer, err := c.complete(ctx, d, body)
	c.observe(d, started, err)
	return answer, err
}

func (c *Client) complete(ctx context.Context, d *Deployment, body []byte) (*Answer, error) {
	call, cancel := context.WithTimeoutCause(ctx, c.timeouts.Total, ErrTooLong)
	defer cancel()
	response, err := c.send(call, d, d.whole, body)
	if err != nil {
		return nil, failure(call, ctx, err)
	}
	defer response.Body.Close()
	if response.ContentLength > maxAnswer {
		return nil, broken(response.StatusCode, errors.New("the answer is too long"))
	}
	answer := &Answer{buf: c.buffers.Get().(*bytes.Buffer), pool: &c.buffers}
	if _, err := answer.buf.ReadFrom(io.LimitReader(response.Body, maxAnswer+1)); err != nil {
		answer.Release()
		return nil, failure(call, ctx, err)
	}
	switch {
	case answer.buf.Len() > maxAnswer:
		err = broken(response.StatusCode, errors.New("the answer is too long"))
	case !gjson.ValidBytes(answer.Bytes()):
		err = broken(response.StatusCode, errors.New("the answer is not JSON"))
	case !gjson.GetBytes(answer.Bytes(), "choices.0").Exists():
		err = broken(response.StatusCode, errors.New("the answer has no choices"))
	}
	if err != nil {
		answer.Release()
		return nil, err
	}
	return answer, nil
}

// send makes one attempt and turns every status but 200 into an error.
func (c *Client) send(ctx context.Context, d *Deployment, header http.Header, body []byte) (*http.Response, error) {
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
	reader, _ := open()
	request := (&http.Request{
		Method: http.MethodPost, URL: d.target, Host: d.target.Host,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: header, Body: reader, GetBody: open, ContentLength: int64(len(body)),
	}).WithContext(ctx)
	transport := c.public
	if d.Provider.Local {
		transport = c.local
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		return nil, refusal(response)
	}
	return response, nil
}

func (c *Client) observe(d *Deployment, started time.Time, err error) {
	outcome := "ok"
	if err != nil {
		outcome = "canceled"
		var upstream *UpstreamError
		if errors.As(err, &upstream) {
			outcome = upstream.Fault.String()
		}
	}
	key := timed{d, outcome}
	observer, known := c.series.Load(key)
	if !known {
		observer, _ = c.series.LoadOrStore(key, c.duration.WithLabelValues(d.Provider.Name, d.Model, outcome))
	}
	observer.(prometheus.Observer).Observe(time.Since(started).Seconds())
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

func broken(status int, err error) error {
	return &UpstreamError{Fault: FaultBroken, Status: status, Err: err}
}
