package cache

import (
	"context"

	"github.com/kikuai/kikuai/internal/stream"
)

// listen receives the orders of other instances until ctx ends. Whatever was sent while
// it did not hear is lost; so on each subscription level one is emptied, and before
// that its entries are L1TTL old at most.
func (c *Cache) listen(ctx context.Context) {
	deaf := false
	stream.Listen(ctx, c.redis, channel, stream.Hearing{
		Subscribed: func(context.Context) error {
			c.resync()
			if deaf {
				c.log.Info("the cache hears invalidations again")
			}
			deaf = false
			return nil
		},
		Message: func(_ context.Context, text string) { c.take(text) },
		Deaf: func(err error) {
			deaf = true
			c.log.Warn("the cache does not hear invalidations", "error", err)
		},
	})
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
