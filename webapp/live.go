package webapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/billing"
)

const (
	socketsMost    = 10_000 // of an instance
	perAccountMost = 16     // of an account on an instance

	sweepEvery  = 30 * time.Second // between two looks at all that is watched
	followAgain = time.Second      // after a store was away
	closeIn     = 5 * time.Second  // for sockets to close, once the program stops
)

// errFull is more sockets than an instance takes.
var errFull = fmt.Errorf("%w: as many sockets as may be are open", billing.ErrClosed)

// feed reads what is new in accounts' ledgers.
type feed interface {
	Look(ctx context.Context, accounts, keys []int64) (states []billing.FeedState, gone []int64, err error)
	After(ctx context.Context, accounts, above []int64, most int) ([]billing.FeedEntry, error)
	Balances(ctx context.Context, accounts []int64) (map[int64]billing.Balance, error)
}

// subscriber hears when there is something to read: a client of Redis.
type subscriber interface {
	Subscribe(ctx context.Context, channels ...string) *redis.PubSub
}

// LiveOptions are what Live needs.
type LiveOptions struct {
	Feed       feed
	Subscriber subscriber
	Log        *slog.Logger
	Registerer prometheus.Registerer // nil: nothing is registered
	Most       int                   // sockets at once; 0: 10,000
	PerAccount int                   // of one account; 0: 16
	SweepEvery time.Duration         // between two looks at all that is watched; 0: 30 s
	AuthIn     time.Duration         // to say who one is; 0: 5 s
	Heartbeat  time.Duration         // of silence before a sign of life; 0: 25 s
	Now        func() time.Time      // nil: time.Now
}

// Live tells sockets what is new in the ledgers of the accounts that they speak for. The
// ledger itself is what is kept for those who come back, so a socket is no more than a
// place in it: each is told what stands above its place.
type Live struct {
	feed       feed
	subscriber subscriber
	log        *slog.Logger
	metrics    *liveMetrics
	most       int
	perAccount int
	sweepEvery time.Duration
	authIn     time.Duration
	heartbeat  time.Duration
	now        func() time.Time

	wake chan struct{} // there is something to look at
	open sync.WaitGroup

	mu       sync.Mutex
	closing  bool
	sockets  map[*socket]struct{} // those too that have not said who they are
	accounts map[int64]*watched
	due      map[int64]struct{} // accounts to look at
}

// watched is an account that sockets speak for.
type watched struct {
	sockets map[*socket]struct{}
	place   billing.FeedPlace // of keys and settings, once known
	known   bool
	look    bool // at more than the ledger
	keys    []billing.News
}

// NewLive connects to nothing.
func NewLive(o LiveOptions) (*Live, error) {
	if o.Feed == nil || o.Subscriber == nil || o.Log == nil {
		return nil, errors.New("webapp: Feed, Subscriber and Log are required")
	}
	l := &Live{
		feed: o.Feed, subscriber: o.Subscriber, log: o.Log,
		most: o.Most, perAccount: o.PerAccount, sweepEvery: o.SweepEvery, authIn: o.AuthIn, heartbeat: o.Heartbeat, now: o.Now,
		wake: make(chan struct{}, 1), sockets: map[*socket]struct{}{}, accounts: map[int64]*watched{}, due: map[int64]struct{}{},
	}
	if l.most <= 0 {
		l.most = socketsMost
	}
	if l.perAccount <= 0 {
		l.perAccount = perAccountMost
	}
	for _, d := range []struct {
		value *time.Duration
		usual time.Duration
	}{{&l.sweepEvery, sweepEvery}, {&l.authIn, authIn}, {&l.heartbeat, heartbeatEvery}} {
		if *d.value <= 0 {
			*d.value = d.usual
		}
	}
	if l.now == nil {
		l.now = time.Now
	}
	l.metrics = newLiveMetrics(o.Registerer, l.count)
	return l, nil
}

// Run reads for the sockets until ctx ends, and then closes them.
func (l *Live) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() { l.listen(ctx) })
	running.Go(func() { l.follow(ctx) })
	<-ctx.Done()
	l.close()
	running.Wait()
	return nil
}

// close closes all sockets and takes no more.
func (l *Live) close() {
	l.mu.Lock()
	l.closing = true
	for s := range l.sockets {
		s.end(closeAway)
	}
	l.mu.Unlock()
	closed := make(chan struct{})
	go func() {
		l.open.Wait()
		close(closed)
	}()
	patience := time.NewTimer(closeIn)
	defer patience.Stop()
	select {
	case <-closed:
	case <-patience.C: // clients that do not answer
		l.mu.Lock()
		for s := range l.sockets {
			s.cut()
		}
		l.mu.Unlock()
		<-closed
	}
}

func (l *Live) count() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(len(l.sockets))
}

// full says whether another socket may not open.
func (l *Live) full() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closing || len(l.sockets) >= l.most
}

// enter counts a socket in. errFull.
func (l *Live) enter(s *socket) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closing || len(l.sockets) >= l.most {
		return errFull
	}
	l.sockets[s] = struct{}{}
	l.open.Add(1)
	return nil
}

// leave ends what enter and watch began.
func (l *Live) leave(s *socket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.sockets, s)
	l.open.Done()
	if w := l.accounts[s.account]; w != nil {
		delete(w.sockets, s)
		if len(w.sockets) == 0 {
			delete(l.accounts, s.account)
			delete(l.due, s.account)
		}
	}
}

// watch lets a socket hear of its account. It says false where that has too many.
func (l *Live) watch(s *socket, account int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.accounts[account]
	if w == nil {
		w = &watched{sockets: map[*socket]struct{}{}}
		l.accounts[account] = w
	}
	if len(w.sockets) >= l.perAccount {
		return false
	}
	s.account = account
	w.sockets[s] = struct{}{}
	w.look = true
	l.mark(account)
	return true
}

// mark notes that there may be something new about an account. mu is held.
func (l *Live) mark(account int64) {
	l.due[account] = struct{}{}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// heed marks what is told of, if somebody here wants to know.
func (l *Live) heed(news []billing.News) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, n := range news {
		w := l.accounts[n.AccountID]
		if w == nil {
			continue
		}
		switch n.Kind {
		case billing.NewsKey:
			if len(w.keys) < keysTold {
				w.keys = append(w.keys, n)
			}
			w.look = true
		case billing.NewsSettings, billing.NewsStanding:
			w.look = true
		}
		l.mark(n.AccountID)
	}
}

// sweep marks all that is watched: word of something may have been lost.
func (l *Live) sweep() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for account, w := range l.accounts {
		w.look = true
		l.mark(account)
	}
}
