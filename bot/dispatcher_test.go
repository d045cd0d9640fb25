package bot

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// effects is what handlers did, per chat, in order.
type effects struct {
	mu    sync.Mutex
	chats map[int64][]int64
	total int
}

func (e *effects) add(chat, update int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.chats == nil {
		e.chats = map[int64][]int64{}
	}
	e.chats[chat] = append(e.chats[chat], update)
	e.total++
}

func (e *effects) count() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// first returns the chat's updates, each at its first effect.
func (e *effects) first(chat int64) []int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	seen := map[int64]bool{}
	var order []int64
	for _, u := range e.chats[chat] {
		if !seen[u] {
			seen[u] = true
			order = append(order, u)
		}
	}
	return order
}

func TestOrderWithinAChatUnderConcurrency(t *testing.T) {
	const chats, each = 40, 25
	m := newMachine(t)
	var did effects
	var busy [chats]atomic.Bool
	var most, now atomic.Int32
	// All are there when the first is handled, so that they could overtake each other.
	for i := range int64(each) {
		for chat := range int64(chats) {
			m.put(textUpdate(1+i*chats+chat, chat+1, "hi"))
		}
	}
	d := m.dispatch(func(_ context.Context, u *Update) error {
		chat := u.Message.Chat.ID
		if !busy[chat-1].CompareAndSwap(false, true) {
			t.Errorf("two updates of chat %d at once", chat)
		}
		for n := now.Add(1); ; {
			if seen := most.Load(); n <= seen || most.CompareAndSwap(seen, n) {
				break
			}
		}
		time.Sleep(rand.N(2 * time.Millisecond))
		did.add(chat, u.ID)
		now.Add(-1)
		busy[chat-1].Store(false)
		return nil
	}, func(d *Dispatcher) { d.slots[ordered] = make(chan struct{}, 8) })
	testenv.Until(t, "all are handled", func() bool { return did.count() >= chats*each })
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	for chat := range int64(chats) {
		order := did.first(chat + 1)
		for i, u := range order {
			if want := 1 + int64(i)*chats + chat; u != want {
				t.Fatalf("chat %d: update %d at place %d, want %d", chat+1, u, i, want)
			}
		}
	}
	if got := did.count(); got != chats*each {
		t.Errorf("%d effects, want %d", got, chats*each)
	}
	if n := most.Load(); n < 2 || n > 8 {
		t.Errorf("%d handlers at once, want 2 to 8", n)
	}
	if got := metric(t, d.registry, "telegram_updates_total", outcomeHandled, "message"); got != chats*each {
		t.Errorf("%v counted as handled", got)
	}
	if lag := d.lag(); lag != 0 {
		t.Errorf("lag %v with nothing to do", lag)
	}
}

// Stop and buttons reach the handler while their chat's answer is still being made,
// and a Stop does not wait for a button either.
func TestUrgentUpdatesPassTheirChat(t *testing.T) {
	m := newMachine(t)
	stopped, pressed := make(chan struct{}), make(chan struct{})
	var did effects
	d := m.dispatch(func(ctx context.Context, u *Update) error {
		switch {
		case u.CallbackQuery != nil:
			close(pressed)
			select {
			case <-stopped:
			case <-ctx.Done():
				return ctx.Err()
			}
		case isStop(u.Message.Text):
			close(stopped)
		default:
			select {
			case <-stopped:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		did.add(7, u.ID)
		return nil
	}, func(d *Dispatcher) { d.slots[ordered] = make(chan struct{}, 1) })
	m.put(textUpdate(1, 7, "a long question"))
	m.put(textUpdate(2, 7, "and another"))
	m.put(callbackUpdate(3, 7))
	<-pressed
	time.Sleep(50 * time.Millisecond)
	if lag := d.lag(); lag < 0.04 {
		t.Errorf("lag %v while an update of 50 ms ago is being handled", lag)
	}
	m.put(textUpdate(4, 7, "/stop@KikuBot"))
	testenv.Until(t, "all are handled", func() bool { return did.count() == 4 })
}

func TestPanicBecomesADeadLetterAndTheRestGoesOn(t *testing.T) {
	m := newMachine(t)
	var tries, others atomic.Int32
	d := m.dispatch(func(_ context.Context, u *Update) error {
		if u.Message.Text == "secret words" {
			tries.Add(1)
			panic(u.Message.Text)
		}
		others.Add(1)
		return nil
	})
	m.put(textUpdate(1, 7, "secret words"))
	m.put(textUpdate(2, 7, "after it"))
	m.put(textUpdate(3, 8, "beside it"))
	testenv.Until(t, "the others are handled", func() bool { return others.Load() == 2 })
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if n := tries.Load(); n != triesMost {
		t.Errorf("%d tries, want %d", n, triesMost)
	}
	dead := m.dead()
	if len(dead) != 1 {
		t.Fatalf("dead letters: %+v", dead)
	}
	l := dead[0]
	if l.Kind != "message" || l.Tries != triesMost || !strings.Contains(l.Error, "panicked") || strings.Contains(l.Error, "secret words") ||
		l.Raw != string(textUpdate(1, 7, "secret words")) || time.Since(l.At) > patience {
		t.Errorf("dead letter: %+v", l)
	}
	if got := metric(t, d.registry, "telegram_update_failures_total", reasonPanic, "message"); got != triesMost {
		t.Errorf("%v panics counted: %v", got, triesMost)
	}
}

func TestTryLaterIsNotCounted(t *testing.T) {
	m := newMachine(t)
	var tries atomic.Int32
	d := m.dispatch(func(context.Context, *Update) error {
		if tries.Add(1) <= 3*triesMost {
			return fmt.Errorf("%w: money is away", ErrTryLater)
		}
		return nil
	})
	m.put(textUpdate(1, 7, "hi"))
	testenv.Until(t, "it is handled", func() bool {
		return metric(t, d.registry, "telegram_updates_total", outcomeHandled, "message") == 1
	})
	if dead := m.dead(); len(dead) != 0 {
		t.Errorf("dead letters: %+v", dead)
	}
}

func TestDeadlineOfAHandler(t *testing.T) {
	m := newMachine(t)
	d := m.dispatch(func(ctx context.Context, _ *Update) error {
		<-ctx.Done()
		return ctx.Err()
	}, func(d *Dispatcher) { d.o.Deadline = 10 * time.Millisecond })
	m.put(textUpdate(1, 7, "hi"))
	testenv.Until(t, "it is a dead letter", func() bool { return len(m.dead()) == 1 })
	if got := metric(t, d.registry, "telegram_update_failures_total", reasonDeadline, "message"); got != triesMost {
		t.Errorf("%v deadlines counted", got)
	}
}

// The owner stops in the middle; the next one begins with what was left, in order, and
// does nothing twice that was acknowledged.
func TestHandOverKeepsOrder(t *testing.T) {
	const each = 30
	m := newMachine(t)
	var did effects
	started := make(chan struct{}, each)
	first := m.dispatch(func(ctx context.Context, u *Update) error {
		if u.ID > each/2 {
			started <- struct{}{}
			<-ctx.Done() // ended by the drain
			return ctx.Err()
		}
		did.add(7, u.ID)
		return nil
	}, func(d *Dispatcher) { d.o.Drain = 50 * time.Millisecond })
	for i := range int64(each) {
		m.put(textUpdate(i+1, 7, "hi"))
	}
	<-started
	first.stop()
	if left := m.left(); left != each/2 {
		t.Errorf("%d entries left, want %d", left, each/2)
	}
	second := m.dispatch(func(_ context.Context, u *Update) error {
		did.add(7, u.ID)
		return nil
	})
	testenv.Until(t, "all are handled", func() bool { return did.count() >= each })
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	order := did.first(7)
	for i, u := range order {
		if u != int64(i)+1 {
			t.Fatalf("order %v", order)
		}
	}
	if did.count() != each {
		t.Errorf("%d effects, want %d", did.count(), each)
	}
	if got := metric(t, second.registry, "telegram_redeliveries_total"); got < 1 {
		t.Error("no redelivery counted")
	}
	if tries, err := m.client.HGetAll(context.Background(), stream.ShardOfChat(7).Key("tries")).Result(); err != nil || len(tries) != 0 {
		t.Errorf("counts left behind: %v (%v)", tries, err)
	}
}

func TestDrainLetsHandlersFinish(t *testing.T) {
	m := newMachine(t)
	started, release := make(chan struct{}), make(chan struct{})
	var ended atomic.Bool
	d := m.dispatch(func(ctx context.Context, _ *Update) error {
		close(started)
		<-release
		ended.Store(ctx.Err() == nil)
		return nil
	})
	m.put(textUpdate(1, 7, "hi"))
	<-started
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	d.stop()
	if !ended.Load() {
		t.Error("the handler's context ended before the drain time was over")
	}
	if left := m.left(); left != 0 {
		t.Errorf("%d entries left", left)
	}
}

// While Redis is frozen handlers are told to stop before another instance may begin;
// when it thaws, everything goes on and nothing is lost or out of order.
func TestRedisFrozenWhileHandling(t *testing.T) {
	const each = 20
	m := newMachine(t)
	var did effects
	hang := make(chan struct{}, 1)
	hang <- struct{}{}
	started := make(chan struct{})
	var cut atomic.Bool
	m.dispatch(func(ctx context.Context, u *Update) error {
		if u.ID == 3 {
			select {
			case <-hang:
				close(started)
				<-ctx.Done()
				cut.Store(true)
				return ctx.Err()
			default:
			}
		}
		did.add(7, u.ID)
		return nil
	})
	for i := range int64(each) {
		m.put(textUpdate(i+1, 7, "hi"))
	}
	<-started
	m.server.Pause()
	testenv.Until(t, "the handler is told to stop", cut.Load)
	m.server.Resume()
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	order := did.first(7)
	if len(order) != each {
		t.Fatalf("handled: %v", order)
	}
	for i, u := range order {
		if u != int64(i)+1 {
			t.Fatalf("order %v", order)
		}
	}
}

// A shard whose handlers do not get on is not read further than its window.
func TestWindowIsBounded(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	shard := stream.ShardOfChat(7)
	pipe := m.client.Pipeline()
	for i := range int64(window + 100) {
		pipe.XAdd(ctx, &redis.XAddArgs{Stream: shard.Key("inbox"), Values: []any{fieldRaw, textUpdate(i+1, 7, "hi")}})
	}
	if _, err := pipe.Exec(ctx); err != nil {
		t.Fatal(err)
	}
	release := make(chan struct{})
	var did effects
	m.dispatch(func(ctx context.Context, u *Update) error {
		select {
		case <-release:
		case <-ctx.Done():
			return ctx.Err()
		}
		did.add(7, u.ID)
		return nil
	})
	pending := func() int64 {
		p, err := m.client.XPending(ctx, shard.Key("inbox"), "workers").Result()
		if err != nil {
			return 0 // the group is not there yet
		}
		return p.Count
	}
	testenv.Until(t, "the window is full", func() bool { return pending() == window })
	time.Sleep(50 * time.Millisecond)
	if n := pending(); n != window {
		t.Errorf("%d are read, want %d", n, window)
	}
	close(release)
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	for i, u := range did.first(7) {
		if u != int64(i)+1 {
			t.Fatalf("update %d at place %d", u, i)
		}
	}
}
