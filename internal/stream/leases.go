package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	defaultTTL     = 5 * time.Second
	roundsPerTTL   = 10 // looks at Redis (register, renew, take) in a lease's life
	restartBackoff = 200 * time.Millisecond
	restartMost    = 5 * time.Second
)

var (
	// ErrLeaseLost is the cause of an owner's cancelled context when its lease may
	// expire or another holds it: it must be gone within a fifth of the TTL.
	ErrLeaseLost = errors.New("stream: lease lost")
	// ErrSurplus is the cause when the shard goes to another instance in good order:
	// the lease is kept until the owner has returned.
	ErrSurplus = errors.New("stream: shard handed over")
)

// LeasesOptions are what [NewLeases] needs.
type LeasesOptions struct {
	Name     string                // the kind of work; instances with the same name share it
	Redis    redis.UniversalClient // calls on it should fail within a fifth of TTL
	Log      *slog.Logger
	TTL      time.Duration // life of a lease without renewal; 5 s if zero
	Instance string        // shown in logs; the host's name if empty
}

// Leases share the shards of one kind of work between instances.
type Leases struct {
	name  string
	redis redis.UniversalClient
	log   *slog.Logger
	ttl   time.Duration
	self  identity
	token string // names these leases in Redis, as member and as holder

	mu     sync.Mutex
	shards [Shards]*tenure   // nil where not held
	seen   [roundsPerTTL]int // live instances at the last looks that told, in a ring
	looks  int               // that told
	done   sync.WaitGroup    // runs of own
}

// tenure is the holding of one shard, from taking its lease until own has returned.
type tenure struct {
	cancel  context.CancelCauseFunc
	expire  *time.Timer     // cancels when no renewal came in time
	stopped <-chan struct{} // closed when own was told to stop
}

func (t *tenure) ended() bool {
	select {
	case <-t.stopped:
		return true
	default:
		return false
	}
}

// NewLeases prepares leases; nothing is taken before [Leases.Run].
func NewLeases(o LeasesOptions) *Leases {
	if o.TTL <= 0 {
		o.TTL = defaultTTL
	}
	if o.Instance == "" {
		o.Instance, _ = os.Hostname() // only for the log
	}
	self := ownIdentity()
	return &Leases{
		name:  o.Name,
		redis: o.Redis,
		log:   o.Log.With("leases", o.Name, "instance", o.Instance),
		ttl:   o.TTL,
		self:  self,
		token: self.token(),
	}
}

// Held returns the shards this instance may work on now, in order.
func (l *Leases) Held() []Shard {
	l.mu.Lock()
	defer l.mu.Unlock()
	var held []Shard
	for s, t := range l.shards {
		if t != nil && !t.ended() {
			held = append(held, Shard(s))
		}
	}
	return held
}

// Members is the number of instances that share this kind of work, this one included:
// the most that were alive at any look in the last life of a lease, so that a Redis
// which has just lost its data does not make this instance believe itself alone. While
// Redis is away it stays what it was; 0 means that this instance has not seen Redis yet.
func (l *Leases) Members() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Max(l.seen[:])
}

func (l *Leases) saw(members int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen[l.looks%len(l.seen)] = members
	l.looks++
}

// Run calls own for each shard this instance holds, each in its own goroutine, until
// ctx ends. own's context is cancelled before the lease can expire; its cause says
// why ([ErrLeaseLost], [ErrSurplus], or ctx's own). An own that returns or panics
// while the lease is held is logged and called again after a short backoff. While an
// own is on its way out its lease is still renewed, so a hand-over is never early; an
// own that never returns keeps its shard from everyone.
//
// Run returns after every own has returned and the leases are released.
func (l *Leases) Run(ctx context.Context, own func(ctx context.Context, s Shard) error) error {
	tick := time.NewTicker(l.ttl / roundsPerTTL)
	defer tick.Stop()
	away := false
	for ctx.Err() == nil {
		err := l.round(ctx, own)
		if err != nil && !away && ctx.Err() == nil {
			l.log.Warn("leases cannot be renewed", "error", err)
		} else if err == nil && away {
			l.log.Info("leases are renewed again", "shards", len(l.Held()))
		}
		away = err != nil
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	l.leave(context.WithoutCancel(ctx), tick.C)
	return nil
}

// leave renews what is held until every own has returned, then signs off.
func (l *Leases) leave(ctx context.Context, tick <-chan time.Time) {
	idle := make(chan struct{})
	go func() {
		l.done.Wait()
		close(idle)
	}()
	for waiting := true; waiting; {
		select {
		case <-idle:
			waiting = false
		case <-tick:
			if _, err := l.look(ctx); err != nil {
				l.log.Warn("leases not renewed while stopping", "error", err)
			}
		}
	}
	if err := l.signOff(ctx); err != nil {
		l.log.Warn("leases not released, they will expire", "error", err)
	}
}

// round renews the leases and moves towards this instance's fair share.
func (l *Leases) round(ctx context.Context, own func(context.Context, Shard) error) error {
	v, err := l.look(ctx)
	if v.members == 0 {
		return err // who else is there is unknown: neither shed nor take
	}
	share := (Shards + v.members - 1) / v.members
	l.shed(share)
	return errors.Join(err, l.take(ctx, share, v.holders, own))
}

// shed ends surplus tenures, the highest shards first.
func (l *Leases) shed(share int) {
	held := l.Held()
	for len(held) > share {
		last := held[len(held)-1]
		held = held[:len(held)-1]
		if t := l.tenure(last); t != nil {
			t.cancel(ErrSurplus)
		}
	}
}

// take claims shards that are free or whose holder is provably dead, up to share.
func (l *Leases) take(ctx context.Context, share int, holders [Shards]string, own func(context.Context, Shard) error) error {
	room := share - len(l.Held())
	var wanted []Shard
	for _, s := range l.order() {
		if len(wanted) >= room {
			break
		}
		holder := holders[s]
		if holder == unknownPart || l.tenure(s) != nil {
			continue
		}
		// Our own name on a shard we do not hold is left from a renewal that
		// overtook a release.
		if holder == "" || holder == l.token || l.self.provablyDead(holder) {
			wanted = append(wanted, s)
		}
	}
	if len(wanted) == 0 {
		return nil
	}
	started := time.Now()
	taken, err := l.claim(ctx, wanted, holders)
	for _, s := range taken {
		l.begin(ctx, s, started, own)
	}
	return err
}

// order lists the shards from a place of this instance's own, so that instances that
// start together do not all reach for the same ones.
func (l *Leases) order() []Shard {
	first := 0
	for _, c := range []byte(l.token) {
		first = (first*31 + int(c)) % Shards
	}
	order := make([]Shard, 0, Shards)
	for i := range Shards {
		order = append(order, Shard((first+i)%Shards))
	}
	return order
}

func (l *Leases) tenure(s Shard) *tenure {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shards[s]
}

// begin starts the tenure of a shard whose lease was asked for at started.
func (l *Leases) begin(ctx context.Context, s Shard, started time.Time, own func(context.Context, Shard) error) {
	ctx, cancel := context.WithCancelCause(context.WithValue(ctx, fenceKey{}, Fence{Key: l.leaseKey(s), Token: l.token}))
	t := &tenure{cancel: cancel, stopped: ctx.Done()}
	t.expire = time.AfterFunc(time.Until(l.stopAt(started)), func() { cancel(ErrLeaseLost) })
	l.mu.Lock()
	l.shards[s] = t
	l.mu.Unlock()
	l.done.Go(func() {
		l.serve(ctx, s, own)
		t.expire.Stop()
		cancel(nil)
		l.end(s)
	})
}

// end frees the shard for others.
func (l *Leases) end(s Shard) {
	l.mu.Lock()
	l.shards[s] = nil
	l.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), l.callTime())
	defer cancel()
	if err := l.release(ctx, s); err != nil {
		l.log.Warn("lease not released, it will expire", "shard", s.String(), "error", err)
	}
}

// serve calls own again and again while the lease is held.
func (l *Leases) serve(ctx context.Context, s Shard, own func(context.Context, Shard) error) {
	backoff := restartBackoff
	for ctx.Err() == nil {
		started := time.Now()
		err := guard(ctx, s, own)
		if ctx.Err() != nil {
			if err != nil && !errors.Is(err, context.Canceled) {
				l.log.Warn("shard's owner stopped", "shard", s.String(), "cause", context.Cause(ctx), "error", err)
			}
			return
		}
		l.log.Error("shard's owner ended, it will be started again", "shard", s.String(), "error", err)
		if time.Since(started) > restartMost {
			backoff = restartBackoff
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(backoff):
		}
		backoff = min(2*backoff, restartMost)
	}
}

func guard(ctx context.Context, s Shard, own func(context.Context, Shard) error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	return own(ctx, s)
}

// renewed moves the shard's end of life forward, unless it is over already.
func (l *Leases) renewed(s Shard, started time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t := l.shards[s]; t != nil && t.expire.Stop() {
		t.expire.Reset(time.Until(l.stopAt(started)))
	}
}

func (l *Leases) lost(s Shard) {
	if t := l.tenure(s); t != nil {
		t.cancel(ErrLeaseLost)
	}
}

// stopAt is when an owner must stop that was confirmed by a call begun at started.
func (l *Leases) stopAt(started time.Time) time.Time { return started.Add(l.ttl * 4 / 5) }

func (l *Leases) callTime() time.Duration { return l.ttl / 5 }
