package gateway

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/kikuai/kikuai/ratelimit"
)

var (
	errReply = errors.New("gateway: a script's reply makes no sense")
	errSlow  = errors.New("gateway: Redis did not answer in time")
)

// breaker stands before Redis.
type breaker interface {
	Open() bool
	Do(ctx context.Context, call func(context.Context) error) error
}

// unbroken is no breaker at all.
type unbroken struct{}

func (unbroken) Open() bool { return false }

func (unbroken) Do(ctx context.Context, call func(context.Context) error) error { return call(ctx) }

// bounded asks Redis by way of the breaker and waits no longer than ctx lasts: a command
// that was gathered with others heeds no context. What is answered later is lost.
func bounded[T any](ctx context.Context, b breaker, call func(context.Context) (T, error)) (value T, err error) {
	type answer struct {
		value T
		err   error
	}
	err = b.Do(ctx, func(ctx context.Context) error {
		answered := make(chan answer, 1)
		go func() {
			value, err := call(ctx)
			answered <- answer{value, err}
		}()
		select {
		case a := <-answered:
			value = a.value
			return a.err
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errSlow
			}
			return ctx.Err()
		}
	})
	return value, err
}

// readPass reads what admit.lua and visit.lua return.
func readPass(reply []any) (p pass, mac string, candidate int, err error) {
	if len(reply) != 7 {
		return pass{}, "", 0, errReply
	}
	r := replyReader{reply: reply}
	p.status, p.n, p.available = r.text(0), r.number(1), r.number(2)
	p.keyID, mac, candidate = r.number(4), r.text(5), int(r.number(6))
	if p.decision, err = ratelimit.ParseReport(r.text(3)); err != nil {
		r.fault = errors.Join(r.fault, err)
	}
	p.limited = len(p.decision.Results) > 0
	return p, mac, candidate, r.fault
}

// replyReader reads the values of a script's reply.
type replyReader struct {
	reply []any
	fault error
}

func (r *replyReader) text(i int) string {
	s, ok := r.reply[i].(string)
	if !ok {
		r.fault = fmt.Errorf("%w: %T", errReply, r.reply[i])
	}
	return s
}

func (r *replyReader) number(i int) int64 {
	if n, ok := r.reply[i].(int64); ok {
		return n
	}
	n, err := strconv.ParseInt(r.text(i), 10, 64)
	if err != nil {
		r.fault = fmt.Errorf("%w: %w", errReply, err)
	}
	return n
}
