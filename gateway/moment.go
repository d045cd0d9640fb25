package gateway

import (
	"context"
	"errors"
	"sync"

	"github.com/redis/go-redis/v9"
)

// Joining makes a client whose scripts can go to Redis in one pipeline although several
// parts of the program, which know nothing of each other, run them: those that [together]
// has begun. Any other command goes the client's own way.
//
// Over a deferred autopipeliner, a script that a [Meter] runs is waited for in its caller's
// own goroutine, with the meter's patience. What is asked while next to nobody else asks
// goes by way of alone, the same client without a pipeliner, whose timeouts are to be short.
func Joining(client, alone redis.Cmdable) redis.Cmdable {
	j := joining{Cmdable: client, alone: alone}
	if pipe, is := client.(*redis.AutoPipeliner); is && !pipe.IsBlocking() {
		j.pipe = pipe
	}
	return j
}

type joining struct {
	redis.Cmdable
	pipe  *redis.AutoPipeliner // nil: nothing is bounded here
	alone redis.Scripter
}

// bound is how a script is to go to Redis and how long it is waited for; in a context.
type bound struct {
	link  *link
	alone bool
}

type boundKey struct{}

// EvalSha runs a script, in the pipeline that ctx may speak of.
func (j joining) EvalSha(ctx context.Context, sha string, keys []string, args ...any) *redis.Cmd {
	if p, is := ctx.Value(participantKey{}).(*participant); is {
		if cmd := p.join(ctx, j.Cmdable, sha, keys, args); cmd != nil {
			return cmd
		}
	}
	way, is := ctx.Value(boundKey{}).(bound)
	switch {
	case !is || j.pipe == nil:
		return j.Cmdable.EvalSha(ctx, sha, keys, args...)
	case way.alone:
		return j.alone.EvalSha(ctx, sha, keys, args...)
	}
	return j.send(ctx, way.link, "evalsha", sha, keys, args)
}

// Eval runs a script that Redis has forgotten.
func (j joining) Eval(ctx context.Context, script string, keys []string, args ...any) *redis.Cmd {
	if way, is := ctx.Value(boundKey{}).(bound); is && j.pipe != nil {
		return j.send(ctx, way.link, "eval", script, keys, args)
	}
	return j.Cmdable.Eval(ctx, script, keys, args...)
}

// firstKey is where the keys of a script's command begin.
const firstKey = 3

// send has a script's command gathered with others and waits for its answer.
func (j joining) send(ctx context.Context, w *link, name, script string, keys []string, args []any) *redis.Cmd {
	words := make([]any, firstKey, firstKey+len(keys)+len(args))
	words[0], words[1], words[2] = name, script, len(keys)
	for _, key := range keys {
		words = append(words, key)
	}
	cmd := redis.NewCmd(ctx, append(words, args...)...)
	if len(keys) > 0 {
		cmd.SetFirstKeyPos(firstKey)
	}
	if err := w.wait(ctx, j.pipe.Submit(ctx, cmd)); err != nil {
		given := redis.NewCmd(ctx) // the other may be written to at any time
		given.SetErr(err)
		return given
	}
	return cmd
}

// moment is one pipeline. It is sent once each participant has put its script into it, or
// has ended without one.
type moment struct {
	mu      sync.Mutex
	pipe    redis.Pipeliner
	missing int
	sent    chan struct{}
}

type participantKey struct{}

// participant is one of those that a moment waits for. It puts one script into the
// pipeline; whatever it runs afterwards goes by itself.
type participant struct {
	moment *moment
	once   sync.Once
}

func (p *participant) join(ctx context.Context, client redis.Cmdable, sha string, keys []string, args []any) (cmd *redis.Cmd) {
	p.once.Do(func() {
		m := p.moment
		m.mu.Lock()
		if m.pipe == nil {
			m.pipe = client.Pipeline()
		}
		cmd = m.pipe.EvalSha(ctx, sha, keys, args...)
		m.mu.Unlock()
		m.arrive(ctx)
		<-m.sent
	})
	return cmd
}

func (p *participant) leave(ctx context.Context) {
	p.once.Do(func() { p.moment.arrive(ctx) })
}

// arrive counts a participant; the last one sends.
func (m *moment) arrive(ctx context.Context) {
	m.mu.Lock()
	m.missing--
	last := m.missing == 0
	m.mu.Unlock()
	if !last {
		return
	}
	if m.pipe != nil {
		_, _ = m.pipe.Exec(context.WithoutCancel(ctx)) // each command has its own error
	}
	close(m.sent)
}

// together does all at once and sends the first script of each in one pipeline, provided
// that their client is a [Joining] one.
func together(ctx context.Context, do ...func(context.Context) error) error {
	if len(do) == 1 {
		return do[0](ctx)
	}
	m := &moment{missing: len(do), sent: make(chan struct{})}
	errs := make([]error, len(do))
	var all sync.WaitGroup
	for i, f := range do {
		all.Go(func() {
			p := &participant{moment: m}
			ctx := context.WithValue(ctx, participantKey{}, p)
			defer p.leave(ctx)
			errs[i] = f(ctx)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}
