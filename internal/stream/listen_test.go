package stream_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

const spoken = "spoken"

// ear hears one channel and passes on what happens.
type ear struct {
	client     *redis.Client
	subscribed chan struct{}
	heard      chan string
	deaf       chan error
}

// listen hears until the test ends; makeUp is what each subscription begins with.
func listen(t *testing.T, client *redis.Client, makeUp func(context.Context) error) *ear {
	t.Helper()
	e := &ear{client: client, subscribed: make(chan struct{}, 64), heard: make(chan string, 64), deaf: make(chan error, 64)}
	ctx, cancel := context.WithCancel(context.Background())
	var listening sync.WaitGroup
	listening.Go(func() {
		stream.Listen(ctx, client, spoken, stream.Hearing{
			Subscribed: func(ctx context.Context) error {
				err := makeUp(ctx)
				e.subscribed <- struct{}{}
				return err
			},
			Message: func(_ context.Context, text string) { e.heard <- text },
			Deaf:    func(err error) { e.deaf <- err },
		})
	})
	t.Cleanup(func() {
		cancel()
		listening.Wait()
	})
	return e
}

// await returns what comes.
func await[T any](t *testing.T, from <-chan T, what string) T {
	t.Helper()
	select {
	case got := <-from:
		return got
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	var none T
	return none
}

func (e *ear) say(t *testing.T, text string) {
	t.Helper()
	if err := e.client.Publish(t.Context(), spoken, text).Err(); err != nil {
		t.Fatal(err)
	}
	if got := await(t, e.heard, "a message"); got != text {
		t.Errorf("heard %q, said %q", got, text)
	}
}

// TestListen: what is said is heard; who was cut off says so once, subscribes again, and
// makes up for what was missed before anything new is heard; silence is no fault.
func TestListen(t *testing.T) {
	server := testenv.RedisServer(t)
	e := listen(t, server.Client(), func(context.Context) error { return nil })
	await(t, e.subscribed, "a subscription")
	e.say(t, "one")
	for _, text := range []string{"two", "three"} {
		if err := e.client.ClientKillByFilter(t.Context(), "TYPE", "pubsub").Err(); err != nil {
			t.Fatal(err)
		}
		if err := await(t, e.deaf, "word of a lost subscription"); err == nil {
			t.Error("deaf without a reason")
		}
		await(t, e.subscribed, "another subscription")
		e.say(t, text)
	}
	select {
	case <-e.subscribed:
		t.Error("silence was taken for a fault")
	case err := <-e.deaf:
		t.Errorf("silence was taken for a fault: %v", err)
	case <-time.After(2500 * time.Millisecond): // a ping is due after one second, its answer after another
	}
	e.say(t, "four")
}

// TestListenMakesUpFirst: a subscription that cannot make up for what was missed is given
// up for another, which is said once, and nothing is heard before that succeeds.
func TestListenMakesUpFirst(t *testing.T) {
	server := testenv.RedisServer(t)
	fault := errors.New("it cannot be known what was missed")
	faults := make(chan error, 3)
	for range cap(faults) {
		faults <- fault
	}
	e := listen(t, server.Client(), func(context.Context) error {
		select {
		case err := <-faults:
			return err
		default:
			return nil
		}
	})
	for range cap(faults) + 1 {
		await(t, e.subscribed, "a subscription")
	}
	if err := await(t, e.deaf, "word of it"); !errors.Is(err, fault) {
		t.Errorf("deaf for %v", err)
	}
	e.say(t, "heard")
	if len(e.deaf) > 0 {
		t.Errorf("said %d times more that nothing is heard", len(e.deaf))
	}
}
