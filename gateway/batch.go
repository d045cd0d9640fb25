package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	batchMost   = 20 // calls
	batchAtOnce = 5
	batchIn     = 5 * time.Minute // unless Options say otherwise
	// batchWaiting is how much of answers may wait for an earlier one; then no further
	// call begins.
	batchWaiting = 8 << 20 // bytes
)

var (
	errBatchLate = errors.New("gateway: the batch has taken too long")
	pingSpace    = []byte("\n") // JSON has room for it between any two values
)

// batch answers POST /api/v1/proxy/batch: an array of calls in the simple form, each of
// which is admitted, held and settled by itself. The batch counts as a request, too. The
// answer begins at once and tells the calls' results in their order; when its client
// leaves, what is under way is cancelled and the rest does not begin.
func (s *Server) batch(c *fiber.Ctx) error {
	key, err := s.present(c)
	if err != nil {
		return err
	}
	calls, err := s.readBatch(c)
	if err != nil {
		return s.afterVisit(c, key, err)
	}
	if _, err := s.visitWith(c, key, ""); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(s.callContext(c))
	b := &batch{server: s, key: key, id: requestID(c), trail: s.trail(c).pass(), calls: calls, results: make([]chan result, len(calls))}
	b.room.L = &b.mu
	for i := range b.results {
		b.results[i] = make(chan result, 1)
	}
	header := &c.Response().Header
	streamHeaders(header)
	header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().ImmediateHeaderFlush = true
	e := s.newEventStream(ctx, cancel, c.Context().Conn(), pingSpace)
	s.pumps.Go(func() {
		defer cancel(nil)
		b.run(ctx, e)
	})
	c.Response().SetBodyStream(e, -1)
	return nil
}

// readBatch cuts the body into calls, which are read one by one later.
func (s *Server) readBatch(c *fiber.Ctx) ([]string, error) {
	body, err := rawBody(c, s.bodyLimit)
	if err != nil {
		return nil, err
	}
	return llm.SplitBatch(body, batchMost)
}

// batch is some calls that are made together.
type batch struct {
	server  *Server
	key     billing.PresentedKey
	id      string
	trail   *trail
	calls   []string
	results []chan result // of each call, once

	mu      sync.Mutex
	room    sync.Cond
	waiting int  // bytes of results that have not been written
	over    bool // nothing is written any more
}

// result is what one call came to, as it stands in the answer.
type result struct {
	json []byte
	cost int64 // nano-USD
	ok   bool
}

// run makes the calls and writes their results.
func (b *batch) run(ctx context.Context, e *eventStream) {
	defer e.finish()
	defer b.trail.end(fiber.StatusOK)
	calls, stop := context.WithTimeoutCause(ctx, b.server.batchIn, errBatchLate)
	defer stop()
	var work sync.WaitGroup
	work.Go(func() { b.begin(calls, &work) })
	b.write(e)
	b.mu.Lock()
	b.over = true
	b.mu.Unlock()
	b.room.Broadcast()
	stop() // whoever is still at work does it for nobody
	work.Wait()
}

// begin begins the calls in their order, so many at once.
func (b *batch) begin(ctx context.Context, work *sync.WaitGroup) {
	places := make(chan struct{}, batchAtOnce)
	for i := range b.calls {
		places <- struct{}{}
		b.mu.Lock()
		for b.waiting > batchWaiting && !b.over {
			b.room.Wait()
		}
		over := b.over
		b.mu.Unlock()
		if over {
			return
		}
		work.Go(func() {
			defer func() { <-places }()
			r := b.call(ctx, i)
			b.mu.Lock()
			b.waiting += len(r.json)
			b.mu.Unlock()
			b.results[i] <- r
		})
	}
}

// write writes all results, each as soon as it and those before it are there. It ends
// early when nobody reads.
func (b *batch) write(e *eventStream) {
	cost, failed := int64(0), 0
	for i := range b.results {
		var r result
		select {
		case r = <-b.results[i]:
		case <-e.call.Done():
			if !errors.Is(context.Cause(e.call), errClosing) { // our own end is told to each call
				return
			}
			r = <-b.results[i]
		}
		head := ","
		if i == 0 {
			head = `{"results":[`
		}
		if e.write(append([]byte(head), r.json...)) != nil {
			return
		}
		b.mu.Lock()
		b.waiting -= len(r.json)
		b.mu.Unlock()
		b.room.Broadcast()
		if cost += r.cost; !r.ok {
			failed++
		}
	}
	_ = e.write(fmt.Appendf(nil, `],"completed":%d,"failed":%d,"cost_usd":%q}`, len(b.calls)-failed, failed, billing.FormatUSD(cost))) // who is gone need not be told
}

// call makes one call, which leaves a trail of its own.
func (b *batch) call(ctx context.Context, i int) result {
	ctx, t := b.trail.part(ctx, i)
	r, err := b.made(ctx, i, t)
	if err != nil {
		t.answered(explain(err).status, err)
		return b.failure(i, err)
	}
	t.answered(fiber.StatusOK, nil)
	return r
}

func (b *batch) made(ctx context.Context, i int, t *trail) (result, error) {
	request, provider, err := llm.ParseSimple([]byte(b.calls[i]))
	t.asks(b.key.Account, request, err == nil && b.server.meter.offers[request.Model] != nil)
	if err == nil && request.Stream {
		err = &llm.RequestError{Param: "stream", Message: "A call of a batch cannot be streamed: leave 'stream' out."}
	}
	if err != nil {
		return result{}, err
	}
	if ctx.Err() != nil {
		return result{}, context.Cause(ctx)
	}
	live, err := b.server.meter.Open(ctx, Call{Key: &b.key, Source: sourceOf(b.key), Request: request, Provider: provider})
	if err != nil {
		return result{}, err
	}
	deployment, model, _ := live.Served()
	body, _, receipt, err := live.Answer()
	if err != nil {
		return result{}, err
	}
	t.came(live, receipt)
	text, _ := json.Marshal(struct { // the answer is JSON, and the rest always encodes
		Index      int             `json:"index"`
		Status     int             `json:"status"`
		Model      string          `json:"model"`
		Deployment string          `json:"deployment"`
		Cost       string          `json:"cost_usd"`
		Response   json.RawMessage `json:"response"`
	}{i, fiber.StatusOK, model, deployment, billing.FormatUSD(receipt.CostNano), body})
	return result{json: text, cost: receipt.CostNano, ok: true}, nil
}

// failure is the result of a call that came to nothing.
func (b *batch) failure(i int, err error) result {
	p := explain(err)
	if p.status >= fiber.StatusInternalServerError {
		b.server.report(b.id, b.key.Account, p.status, err)
	}
	type fault struct {
		Code       string `json:"code"`
		Message    string `json:"message"`
		Param      string `json:"param,omitempty"`
		RetryAfter int64  `json:"retry_after,omitempty"` // seconds
	}
	text, _ := json.Marshal(struct { // strings and numbers always encode
		Index  int    `json:"index"`
		Status int    `json:"status"`
		Cost   string `json:"cost_usd"`
		Error  fault  `json:"error"`
	}{i, p.status, billing.FormatUSD(0), fault{p.plainCode(), p.message, p.param, p.retryAfter}})
	return result{json: text}
}
