package cache

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Cache is one instance's share of the cache. [Cache.Run] keeps it in step with the
// others; without it values may be stale for as long as L1TTL after an invalidation
// elsewhere. All methods are safe for concurrent use.
type Cache struct {
	id      string // of this instance, in messages
	o       Options
	log     *slog.Logger
	redis   redis.UniversalClient // nil: there is no level two
	level2  *level2               // nil likewise
	memory  *memory
	packer  *packer
	metrics *metrics
	backlog *backlog
	flights flights
	loads   *loads
	now     func() time.Duration // since the Cache was made

	refreshing sync.Map // place → nothing: refreshes under way
	refreshes  chan struct{}

	mu     sync.Mutex
	spaces map[string]*space
	closed bool
	tasks  sync.WaitGroup // goroutines
	life   context.Context
	end    context.CancelFunc
}

// New makes a Cache. Nothing is started before its first use.
func New(o Options) (*Cache, error) {
	o, err := o.filled()
	if err != nil {
		return nil, err
	}
	c := &Cache{
		id: rand.Text(), o: o, log: o.Log, redis: o.Redis, now: clockOf(o.Now),
		metrics: newMetrics(), backlog: newBacklog(maxBacklog), spaces: map[string]*space{},
		flights: flights{aim: map[aim]*flight{}}, refreshes: make(chan struct{}, maxRefreshes),
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.loads = &loads{slots: make(chan struct{}, maxLoads), timeout: o.LoadTimeout, log: o.Log, spawn: c.spawn}
	if c.memory, err = newMemory(o, &c.metrics.tally); err != nil {
		return nil, fmt.Errorf("cache: level one: %w", err)
	}
	if c.packer, err = newPacker(o.CompressAbove, o.MaxBytes); err != nil {
		return nil, err
	}
	if o.Redis != nil {
		c.level2 = &level2{
			redis: o.Redis, scripts: newScripts(), packer: c.packer, metrics: c.metrics,
			outage: &outage{now: c.now},
			lock:   o.LoadTimeout + time.Second,
			state:  o.LoadTimeout + o.LockWait + stateSpare,
		}
	}
	c.metrics.register(o.Registerer, c.memory.store.size)
	return c, nil
}

// Level1 is what level one holds: entries, their encoded bytes, and the most entries that
// it may hold.
func (c *Cache) Level1() (entries int, bytes int64, most int) {
	return c.memory.store.size(), c.metrics.tally.bytes.Load(), c.o.MaxEntries
}

// clockOf is a clock that begins now. The system's own is read without its calendar,
// which is what half of a read of memory would cost.
func clockOf(now func() time.Time) func() time.Duration {
	if now == nil {
		born := time.Now()
		return func() time.Duration { return time.Since(born) }
	}
	born := now()
	return func() time.Duration { return now().Sub(born) }
}

// Run receives the invalidations of other instances, repeats those that Redis could
// not be told of, and removes what expired, until ctx ends.
func (c *Cache) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { c.sweep(ctx) })
	if c.redis != nil {
		running.Go(func() { c.listen(ctx) })
		running.Go(func() { c.repeat(ctx) })
	}
	running.Wait()
	return nil
}

// sweep removes expired entries from level one. Redis removes its own.
func (c *Cache) sweep(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			c.expire()
		}
	}
}

func (c *Cache) expire() {
	now := c.now()
	c.memory.store.removeIf(func(_ place, e *entry) bool { return now >= e.leaves })
}

// Close waits for the loads under way, at most five seconds, then tells them to end,
// and says whether one did not. From now on Fetch goes to the source.
func (c *Cache) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() {
		c.tasks.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-time.After(closePatience):
		c.end()
		select {
		case <-done:
		case <-time.After(time.Second):
			err = errors.New("cache: a loader did not end")
		}
	}
	c.end()
	return errors.Join(err, c.packer.close())
}

// spawn runs f in a goroutine that Close waits for; false: the Cache is closed.
func (c *Cache) spawn(f func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return false
	}
	c.tasks.Go(f)
	return true
}

// space returns the space of a name, nil if this instance has none.
func (c *Cache) space(name string) *space {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spaces[name]
}
