package bot

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// anyOf wants everything.
func anyOf(*Update) bool { return true }

func idsOf(updates []*Update) (ids []int64) {
	for _, u := range updates {
		ids = append(ids, u.ID)
	}
	return ids
}

// takeUntil takes what comes until n updates have been taken or ctx ends.
func takeUntil(ctx context.Context, u *Update, n int, want func(*Update) bool) (taken []*Update, err error) {
	for len(taken) < n {
		select {
		case <-ctx.Done():
			return taken, ctx.Err()
		case <-u.Waiting():
			taken = append(taken, u.Take(want)...)
		}
	}
	return taken, nil
}

// acknowledged counts, for each transaction that acknowledges, how many entries it does.
type acknowledged struct {
	mu     sync.Mutex
	counts []int
}

func (a *acknowledged) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (a *acknowledged) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { return next(ctx, cmd) }
}

func (a *acknowledged) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, c := range cmds {
			if c.Name() == "xack" {
				a.mu.Lock()
				a.counts = append(a.counts, len(c.Args())-len([]string{"xack", "stream", "group"}))
				a.mu.Unlock()
			}
		}
		return next(ctx, cmds)
	}
}

func (a *acknowledged) all() []int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.counts)
}

// What comes while an update is handled can be taken into its handling, in order; it is
// acknowledged with it, at once and not before; what is not wanted follows by itself,
// and so does all that lies behind it.
func TestTakeWhatFollows(t *testing.T) {
	m := newMachine(t)
	var acks acknowledged
	taken := make(chan []int64, 1)
	held, release := make(chan struct{}), make(chan struct{})
	var did effects
	d := m.dispatch(func(ctx context.Context, u *Update) error {
		did.add(7, u.ID)
		if u.ID != 1 {
			return nil
		}
		close(held)
		pieces, err := takeUntil(ctx, u, 3, func(u *Update) bool { return u.Message.Text == "piece" })
		if err != nil {
			return err
		}
		taken <- idsOf(pieces)
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}, func(d *Dispatcher) { d.o.Redis.AddHook(&acks) })
	m.put(textUpdate(1, 7, "question"))
	<-held
	for i, text := range []string{"piece", "piece", "piece", "another", "piece"} {
		m.put(textUpdate(int64(i)+2, 7, text))
	}
	if got := <-taken; !slices.Equal(got, []int64{2, 3, 4}) {
		t.Errorf("taken: %v", got)
	}
	if left := m.left(); left != 6 {
		t.Errorf("%d entries left while they are handled, want 6", left)
	}
	if counts := acks.all(); len(counts) != 0 {
		t.Errorf("acknowledged too soon: %v", counts)
	}
	close(release)
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if order := did.first(7); !slices.Equal(order, []int64{1, 5, 6}) {
		t.Errorf("led: %v", order)
	}
	if counts := acks.all(); counts[0] < 4 {
		t.Errorf("the first and what it took were acknowledged apart: %v", counts)
	}
	if got := metric(t, d.registry, "telegram_updates_total", outcomeHandled, "message"); got != 6 {
		t.Errorf("%v counted as handled, want 6", got)
	}
}

// Other chats and lanes are no followers, and an update made by hand has none.
func TestTakeOnlyOfItsChat(t *testing.T) {
	m := newMachine(t)
	began := make(chan struct{})
	var others atomic.Int32
	taken := make(chan int, 1)
	m.dispatch(func(ctx context.Context, u *Update) error {
		if u.ID != 1 {
			others.Add(1)
			return nil
		}
		close(began)
		for others.Load() < 2 {
			if !sleep(ctx, poll) {
				return ctx.Err()
			}
		}
		taken <- len(u.Take(anyOf))
		return nil
	})
	m.put(textUpdate(1, 7, "question"))
	<-began
	m.put(textUpdate(2, 23, "same shard, other chat"))
	m.put(callbackUpdate(3, 7))
	if n := <-taken; n != 0 {
		t.Errorf("%d taken", n)
	}
	made := &Update{ID: 1}
	if made.Waiting() != nil || made.Take(anyOf) != nil {
		t.Error("something follows an update made by hand")
	}
}

// A try that fails lets go of what it took; the next one takes it again, from the
// beginning, without waiting for anything more to come.
func TestTakeAgainAfterFailure(t *testing.T) {
	m := newMachine(t)
	var tries, led atomic.Int32
	orders := make(chan []int64, triesMost)
	began := make(chan struct{})
	m.dispatch(func(ctx context.Context, u *Update) error {
		led.Add(1)
		if tries.Add(1) == 1 {
			close(began)
		}
		pieces, err := takeUntil(ctx, u, 2, anyOf)
		if err != nil {
			return err
		}
		orders <- idsOf(pieces)
		if tries.Load() < 3 {
			return errors.New("broken")
		}
		return nil
	})
	m.put(textUpdate(1, 7, "question"))
	<-began
	m.put(textUpdate(2, 7, "piece"))
	m.put(textUpdate(3, 7, "piece"))
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	close(orders)
	for order := range orders {
		if !slices.Equal(order, []int64{2, 3}) {
			t.Errorf("taken: %v", order)
		}
	}
	if n := led.Load(); n != 3 {
		t.Errorf("%d tries, want 3: a piece was handled by itself", n)
	}
	if dead := m.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %+v", dead)
	}
}

// Where the first is given up, what it had taken is not lost with it; what cannot be
// decoded is not taken, and becomes a dead letter in its turn.
func TestTakenOutliveWhatIsGivenUp(t *testing.T) {
	m := newMachine(t)
	var did effects
	began := make(chan struct{})
	var once sync.Once
	m.dispatch(func(ctx context.Context, u *Update) error {
		if u.ID != 1 {
			did.add(7, u.ID)
			return nil
		}
		once.Do(func() { close(began) })
		if _, err := takeUntil(ctx, u, 2, anyOf); err != nil {
			return err
		}
		panic("it never works")
	})
	m.put(textUpdate(1, 7, "question"))
	<-began
	m.put(textUpdate(2, 7, "piece"))
	m.put(textUpdate(3, 7, "piece"))
	m.put([]byte(`{"update_id":4,"message":{"chat":{"id":7},"message_id":"four"}}`))
	m.put(textUpdate(5, 7, "after it"))
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if order := did.first(7); !slices.Equal(order, []int64{2, 3, 5}) {
		t.Errorf("handled: %v", order)
	}
	dead := m.dead()
	if len(dead) != 2 || !strings.Contains(dead[0].Raw+dead[1].Raw, `"four"`) {
		t.Errorf("dead letters: %+v", dead)
	}
}

// What an owner took and did not finish comes again in order, whether it died or handed
// the shard over, and only the first counts as a crash.
func TestTakenComeAgain(t *testing.T) {
	t.Run("after a hand-over", func(t *testing.T) {
		m := newMachine(t)
		took := make(chan struct{})
		first := m.dispatch(func(ctx context.Context, u *Update) error {
			if _, err := takeUntil(ctx, u, 2, anyOf); err != nil {
				return err
			}
			close(took)
			<-ctx.Done()
			return ctx.Err()
		}, func(d *Dispatcher) { d.o.Drain = 20 * time.Millisecond })
		for id := range int64(3) {
			m.put(textUpdate(id+1, 7, "piece"))
		}
		<-took
		first.stop()
		takeTheRest(t, m)
	})
	t.Run("after a crash", func(t *testing.T) {
		m := newMachine(t)
		ctx := context.Background()
		for id := range int64(3) {
			m.put(textUpdate(id+1, 7, "piece"))
		}
		inbox := stream.ShardOfChat(7).Key("inbox")
		if err := m.client.XGroupCreate(ctx, inbox, "workers", "0").Err(); err != nil {
			t.Fatal(err)
		}
		if err := m.client.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: "workers", Consumer: "owner", Streams: []string{inbox, ">"}, Block: -1,
		}).Err(); err != nil {
			t.Fatal(err)
		}
		takeTheRest(t, m)
	})
}

// takeTheRest handles three updates of chat 7 as one.
func takeTheRest(t *testing.T, m *machine) {
	t.Helper()
	var led atomic.Int32
	tries := make(chan map[string]string, 1)
	order := make(chan []int64, 1)
	key := stream.ShardOfChat(7).Key("tries")
	m.dispatch(func(ctx context.Context, u *Update) error {
		led.Add(1)
		pieces, err := takeUntil(ctx, u, 2, anyOf)
		if err != nil {
			return err
		}
		counted, err := m.client.HGetAll(ctx, key).Result()
		if err != nil {
			return err
		}
		tries <- counted
		order <- append([]int64{u.ID}, idsOf(pieces)...)
		return nil
	})
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if got := <-order; led.Load() != 1 || !slices.Equal(got, []int64{1, 2, 3}) {
		t.Errorf("order %v, led %d times", got, led.Load())
	}
	if counted := <-tries; len(counted) != 1 {
		t.Errorf("starts counted: %v", counted)
	}
	if n, err := m.client.HLen(context.Background(), key).Result(); err != nil || n != 0 {
		t.Errorf("%d counts left (%v)", n, err)
	}
}

// Nothing is taken once the shard is being handed over, and never more than the bound.
func TestTakeIsBounded(t *testing.T) {
	m := newMachine(t)
	most := make(chan int, 1)
	began, ending, seen := make(chan struct{}), make(chan struct{}), make(chan []*Update, 1)
	d := m.dispatch(func(ctx context.Context, u *Update) error {
		if u.ID == 1 {
			close(began)
			pieces, err := takeUntil(ctx, u, takenMost, anyOf)
			most <- len(pieces) + len(u.Take(anyOf))
			return err
		}
		select {
		case <-u.Waiting():
		case <-ctx.Done():
			return ctx.Err()
		}
		close(ending)
		<-ctx.Done() // the drain is over
		seen <- u.Take(anyOf)
		return ctx.Err()
	}, func(d *Dispatcher) { d.o.Drain = 20 * time.Millisecond })
	m.put(textUpdate(1, 7, "question"))
	<-began
	for id := range int64(takenMost + 2) {
		m.put(textUpdate(id+2, 7, "piece"))
	}
	if n := <-most; n != takenMost {
		t.Errorf("%d taken, want %d", n, takenMost)
	}
	<-ending
	d.stop()
	if taken := <-seen; len(taken) != 0 {
		t.Errorf("%d taken while the shard is handed over", len(taken))
	}
	if left := m.left(); left != 2 {
		t.Errorf("%d entries left, want 2", left)
	}
}
