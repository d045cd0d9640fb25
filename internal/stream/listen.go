package stream

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	listenPing  = time.Second            // of silence before a ping, and of waiting for its answer
	listenAgain = 200 * time.Millisecond // before the next try to subscribe
)

var errSilent = errors.New("stream: the subscription is silent")

// subscriber is a client of Redis that hears others.
type subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// Hearing is what is done with what is heard, all of it in the one goroutine that listens.
type Hearing struct {
	// Subscribed makes up for what was said while nobody listened here. It is called at
	// each subscription, before any message of it; after an error there is another one.
	Subscribed func(ctx context.Context) error
	Message    func(ctx context.Context, text string)
	// Deaf is called once when hearing ends, or does not begin, until Subscribed has
	// succeeded again.
	Deaf func(err error)
}

// Listen hears what is said on a channel until ctx ends. A subscription that breaks, or
// does not answer a ping after a second of silence, is given up for another.
func Listen(ctx context.Context, r subscriber, channel string, to Hearing) {
	deaf := false
	for ctx.Err() == nil {
		err := hear(ctx, r, channel, to, func() { deaf = false })
		if ctx.Err() == nil && !deaf {
			deaf = true
			to.Deaf(err)
		}
		pause := time.NewTimer(listenAgain)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// hear subscribes and passes on what comes until the subscription fails.
func hear(ctx context.Context, r subscriber, channel string, to Hearing, well func()) error {
	subscription := r.Subscribe(ctx, channel)
	defer func() { _ = subscription.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = subscription.Close() }) // it may be closed twice
	defer stop()
	pinged := false
	for {
		received, err := subscription.ReceiveTimeout(ctx, listenPing)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout():
			if pinged {
				return errSilent
			}
			if err := subscription.Ping(ctx); err != nil {
				return err
			}
			pinged = true
			continue
		case err != nil:
			return err
		}
		pinged = false
		switch m := received.(type) {
		case *redis.Subscription:
			if err := to.Subscribed(ctx); err != nil {
				return err
			}
			well()
		case *redis.Message:
			to.Message(ctx, m.Payload)
		}
	}
}
