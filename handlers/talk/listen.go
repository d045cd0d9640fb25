package talk

import (
	"context"
	"encoding/json"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const recheckIn = time.Second // for the look at what may have been missed

// subscriber is what hears other instances: a client of Redis.
type subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Listen obeys the stops that other instances were told of, until ctx ends. What was said
// while it did not hear is made up for by the marks that stops leave.
func (r *Room) Listen(ctx context.Context) error {
	stream.Listen(ctx, r.Subscriber, stopChannel, stream.Hearing{
		Subscribed: r.recheck,
		Message: func(ctx context.Context, text string) {
			var o order
			if err := json.Unmarshal([]byte(text), &o); err == nil { // else of a newer version
				r.obey(ctx, o)
			}
		},
		Deaf: func(err error) { r.Log.Warn("stops of other instances are not heard", "error", err) },
	})
	return nil
}

// recheck obeys the stops that were said while nobody listened here.
func (r *Room) recheck(ctx context.Context) error {
	runs := r.running.all()
	if len(runs) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, recheckIn)
	defer cancel()
	stopped, err := r.turns.Stopped(ctx, runs)
	for i, mark := range stopped {
		if mark {
			runs[i].stop()
		}
	}
	return err
}
