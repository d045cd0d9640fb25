package ratelimit

import (
	"context"
	"strconv"
	"time"

	"github.com/kikuai/kikuai/internal/stream"
)

// taker is a source of decisions, such as [Limiter].
type taker interface {
	Take(ctx context.Context, id string, life time.Duration, limits []Limit) (Decision, Ticket, error)
}

// Guard is one limit outside the metered path: so many of something in any trailing span,
// for each person or account by itself.
type Guard struct {
	source taker
	scope  string
	max    int64
	span   time.Duration
}

// NewGuard limits what scope names, such as "topups", to most in any span; 0 is no limit.
func NewGuard(source taker, scope string, most int64, span time.Duration) *Guard {
	return &Guard{source: source, scope: scope, max: most, span: span}
}

// Take asks for one more by the person or account of that id, and records it when it is
// allowed. The error is an [*ExceededError], or the source's own.
func (g *Guard) Take(ctx context.Context, id int64) error {
	if g.max == 0 {
		return nil
	}
	key := stream.ShardOf(id).Key("lim", g.scope, strconv.FormatInt(id, 10))
	d, _, err := g.source.Take(ctx, "", 0, []Limit{{Window, NameRequests, g.scope, key, g.max, g.span, 1}})
	if err != nil {
		return err
	}
	return d.Err()
}
