package cache

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

var errSilent = errors.New("cache: the subscription is silent")

// listen receives the orders of other instances until ctx ends. Whatever was sent while
// it did not hear is lost; so on each subscription level one is emptied, and before
// that its entries are L1TTL old at most.
func (c *Cache) listen(ctx context.Context) {
	deaf := false
	for ctx.Err() == nil {
		err := c.hear(ctx, func() {
			if deaf {
				c.log.Info("the cache hears invalidations again")
			}
			deaf = false
		})
		if ctx.Err() == nil && !deaf {
			deaf = true
			c.log.Warn("the cache does not hear invalidations", "error", err)
		}
		_ = sleep(ctx, listenAgain) // ctx's end ends the loop
	}
}

// hear subscribes and obeys until the connection fails.
func (c *Cache) hear(ctx context.Context, heard func()) error {
	subscription := c.redis.Subscribe(ctx, channel)
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
			c.resync()
			heard()
		case *redis.Message:
			c.take(m.Payload)
		}
	}
}

// resync empties level one, and keeps out what is under way.
func (c *Cache) resync() {
	c.memory.dropIf(func(place, *entry) bool { return true })
	c.metrics.resyncs.Inc()
}

// take obeys a message of another instance. One that is not understood may be of a
// newer version, so that all might be old.
func (c *Cache) take(text string) {
	m, err := parseMessage(text)
	if err != nil {
		c.resync()
		c.metrics.strays.Inc()
		return
	}
	if m.from == c.id {
		return
	}
	if s := c.space(m.space); s != nil {
		c.obey(s, m.order)
	}
	c.metrics.invalidations.WithLabelValues("received").Inc()
}
