package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

// An update whose handling has ended the process too often is given up.
func TestCrashesAreCounted(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	m.put(textUpdate(1, 7, "hi"))
	shard := stream.ShardOfChat(7)
	// An owner that died read it and never came back.
	entries, err := m.client.XRange(ctx, shard.Key("inbox"), "-", "+").Result()
	if err != nil || len(entries) != 1 {
		t.Fatal(entries, err)
	}
	if err := m.client.XGroupCreate(ctx, shard.Key("inbox"), "workers", "0").Err(); err != nil {
		t.Fatal(err)
	}
	if err := m.client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: "workers", Consumer: "owner", Streams: []string{shard.Key("inbox"), ">"}, Block: -1,
	}).Err(); err != nil {
		t.Fatal(err)
	}
	if err := m.client.HSet(ctx, shard.Key("tries"), entries[0].ID, crashesMost).Err(); err != nil {
		t.Fatal(err)
	}
	var handled atomic.Bool
	m.dispatch(func(context.Context, *Update) error {
		handled.Store(true)
		return nil
	})
	testenv.Until(t, "it is a dead letter", func() bool { return len(m.dead()) == 1 })
	if handled.Load() {
		t.Error("it was handled once more")
	}
	if n, err := m.client.HLen(ctx, shard.Key("tries")).Result(); err != nil || n != 0 {
		t.Errorf("%d counts left (%v)", n, err)
	}
}

func TestStaleUpdatesAreDropped(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	inline := []byte(`{"update_id":2,"inline_query":{"id":"1","from":{"id":7,"is_bot":false,"first_name":"A"},"query":"x","offset":""}}`)
	now, err := m.client.Time(ctx).Result()
	if err != nil {
		t.Fatal(err)
	}
	old := func(raw []byte, age time.Duration, n int) {
		e, err := open(string(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := m.client.XAdd(ctx, &redis.XAddArgs{
			Stream: e.shard().Key(e.lane.String()), ID: fmt.Sprintf("%d-%d", now.Add(-age).UnixMilli(), n), Values: []any{fieldRaw, raw},
		}).Err(); err != nil {
			t.Fatal(err)
		}
	}
	old(callbackUpdate(1, 7), callbackLife+time.Second, 1)
	old(callbackUpdate(3, 7), callbackLife-10*time.Second, 1)
	old(inline, inlineLife+time.Second, 1)
	old(textUpdate(4, 7, "I can wait"), 23*time.Hour, 1)
	var did effects
	d := m.dispatch(func(_ context.Context, u *Update) error {
		did.add(0, u.ID)
		return nil
	})
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if did.count() != 2 {
		t.Errorf("handled: %v", did.chats[0])
	}
	for _, kind := range []string{"callback_query", "inline_query"} {
		if got := metric(t, d.registry, "telegram_updates_total", outcomeStale, kind); got != 1 {
			t.Errorf("%s: %v counted as stale", kind, got)
		}
	}
}

func TestUnknownAndUnfitUpdates(t *testing.T) {
	m := newMachine(t)
	d := m.dispatch(func(_ context.Context, u *Update) error {
		t.Errorf("handled: %s", u.Raw)
		return nil
	})
	m.put([]byte(`{"update_id":1,"teleportation":{"chat":{"id":7}}}`))
	m.put([]byte(`{"update_id":2}`))
	m.put([]byte(`{"update_id":3,"message":{"chat":{"id":7},"message_id":"three"}}`))
	testenv.Until(t, "all are acknowledged", func() bool { return m.left() == 0 })
	if got := metric(t, d.registry, "telegram_updates_total", outcomeUnknown, kindUnknown); got != 2 {
		t.Errorf("%v counted as unknown", got)
	}
	if dead := m.dead(); len(dead) != 1 || dead[0].Kind != "message" || strings.Contains(dead[0].Error, "three") {
		t.Errorf("dead letters: %+v", dead)
	}
}

func TestReplayOfADeadLetter(t *testing.T) {
	m := newMachine(t)
	ctx := context.Background()
	var broken atomic.Bool
	broken.Store(true)
	var did effects
	m.dispatch(func(_ context.Context, u *Update) error {
		if broken.Load() {
			return errors.New("broken")
		}
		did.add(7, u.ID)
		return nil
	})
	m.put(textUpdate(1, 7, "hi"))
	m.put([]byte("garbage"))
	testenv.Until(t, "both are dead letters", func() bool { return len(m.dead()) == 2 })
	broken.Store(false)
	letters := NewDeadLetters(m.client)
	for _, l := range m.dead() {
		err := letters.Replay(ctx, l.ID)
		if l.Kind == kindUnreadable {
			if !errors.Is(err, ErrNotReplayable) {
				t.Errorf("garbage replayed: %v", err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := letters.Replay(ctx, l.ID); !errors.Is(err, ErrNotReplayable) {
			t.Errorf("replayed twice: %v", err)
		}
	}
	testenv.Until(t, "it is handled", func() bool { return did.count() == 1 })
	for _, id := range []string{"", "s07", "s99/1-1", "s07/x", "s07/1-1"} {
		if err := letters.Replay(ctx, id); !errors.Is(err, ErrNotReplayable) {
			t.Errorf("Replay(%q): %v", id, err)
		}
	}
}
