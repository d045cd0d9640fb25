package bot

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// A pressed button is answered while its chat is busy, and what it asks for is done in the
// chat's turn, once, however often it was put there.
func TestDeferredUpdateWaitsItsTurn(t *testing.T) {
	m := newMachine(t)
	var mu sync.Mutex
	var did []string
	release, pressed := make(chan struct{}), make(chan struct{})
	m.put(textUpdate(1, 7, "long"))
	d := m.dispatch(func(ctx context.Context, u *Update) error {
		switch {
		case u.ID == 1:
			<-release
		case u.CallbackQuery != nil && !u.Deferred:
			for range 2 {
				if err := m.inbox.Defer(ctx, u); err != nil {
					return err
				}
			}
			defer close(pressed)
		}
		mu.Lock()
		defer mu.Unlock()
		did = append(did, fmt.Sprint(u.ID, u.Deferred))
		return nil
	})
	m.put(callbackUpdate(2, 7))
	<-pressed
	close(release)
	testenv.Until(t, "all is done", func() bool { mu.Lock(); defer mu.Unlock(); return len(did) == 3 })
	m.put(textUpdate(3, 7, "after"))
	testenv.Until(t, "what came after is done", func() bool { mu.Lock(); defer mu.Unlock(); return len(did) == 4 })
	d.stop()
	if want := []string{"2 false", "1 false", "2 true", "3 false"}; !slices.Equal(did, want) {
		t.Errorf("handled %q, want %q", did, want)
	}
}

// A press that was answered and waits has no age at which it would be dropped.
func TestDeferredUpdateIsNeverStale(t *testing.T) {
	old := &item{kind: models.AllowedUpdateCallbackQuery, entry: stream.Entry{ID: "1-0"}}
	if !isStaleAt(old, time.Now()) {
		t.Error("a button pressed long ago is not stale")
	}
	if old.deferred = true; isStaleAt(old, time.Now()) {
		t.Error("a press that waits its turn is stale")
	}
}

// Whoever takes a stop in says so at once, and of nothing else; it is handled as well.
func TestStopsAreHeeded(t *testing.T) {
	m := newMachine(t)
	heeded := make(chan int64, 8)
	m.inbox.Heed(func(_ context.Context, u *Update) { heeded <- u.ID })
	m.put([]byte(`{"update_id":1,"stopped_message_generation":{"chat":{"id":7,"type":"private"},"draft_id":5}}`))
	m.put([]byte(`{"update_id":1,"stopped_message_generation":{"chat":{"id":7,"type":"private"},"draft_id":5}}`)) // delivered again
	m.put(textUpdate(2, 7, "/stop@KikuBot"))
	m.put(callbackUpdate(3, 7))
	m.put(textUpdate(4, 7, "please /stop"))
	m.put([]byte(`{"update_id":5,"callback_query":{"id":"5","chat_instance":"1","data":"stop:5:7","from":{"id":7,"is_bot":false,"first_name":"Ada"},
		"message":{"message_id":9,"date":1790000000,"chat":{"id":7,"type":"private"}}}}`))
	m.put([]byte(`{"update_id":6,"stopped_message_generation":{"chat":{"id":"seven"}}}`)) // cannot be read
	close(heeded)
	var ids []int64
	for id := range heeded {
		ids = append(ids, id)
	}
	if want := []int64{1, 2, 5}; !slices.Equal(ids, want) {
		t.Errorf("heeded %v, want %v", ids, want)
	}
	var handled sync.WaitGroup
	handled.Add(5)
	d := m.dispatch(func(context.Context, *Update) error { handled.Done(); return nil })
	handled.Wait()
	d.stop()
}
