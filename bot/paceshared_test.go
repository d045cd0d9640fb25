package bot

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/testenv"
)

// instances are senders of several instances: one Telegram, one Redis.
func (a *api) instances(n int, client *redis.Client) []*Sender {
	a.t.Helper()
	senders := make([]*Sender, n)
	for i := range senders {
		senders[i] = a.sender()
		senders[i].pace = newSharedPace(client, testenv.Logger(a.t), time.Now)
	}
	return senders
}

func TestInstancesShareAChatsPace(t *testing.T) {
	a := newAPI(t)
	s := a.instances(2, testenv.RedisServer(t).ClientWith(quick()))
	admitted := func(chat int64, frame bool) (n int, wait time.Duration) {
		for n = 0; ; n++ {
			var err error
			if wait, err = s[n%2].take(t.Context(), chat, frame); err != nil {
				t.Fatal(err)
			}
			if wait > 0 {
				return n, wait
			}
		}
	}
	// A slow machine may see a second pass, which admits one more.
	if n, _ := admitted(7, true); n < privateBurst-privateSpare || n > privateBurst {
		t.Errorf("%d frames of a person", n)
	}
	if n, wait := admitted(7, false); n < 1 || n > 2 || wait > privateEvery {
		t.Errorf("%d finals of a person, then %v", n, wait)
	}
	if n, _ := admitted(-7, true); n != groupMost-groupSpare {
		t.Errorf("%d frames in a group", n)
	}
	if n, wait := admitted(-7, false); n != groupSpare || wait > groupWindow || wait < groupWindow-10*time.Second {
		t.Errorf("%d finals in a group, then %v", n, wait)
	}
	if n, _ := admitted(8, true); n < privateBurst-privateSpare {
		t.Errorf("%d frames of another person", n)
	}
}

// One 429 with a retry_after of 30 s holds up its own chat on every instance, and no
// other chat on any.
func TestOneFloodDelaysNoOtherChat(t *testing.T) {
	a := newAPI(t)
	s := a.instances(2, testenv.RedisServer(t).ClientWith(quick()))
	a.script(func(c call) reply {
		if c.chat() == 7 {
			return refusal(429, "Too Many Requests: retry after 30", `"retry_after":30`)
		}
		return reply{}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
	defer cancel()
	for i, sender := range s {
		var api *APIError
		if _, err := sender.Send(ctx, Message{ChatID: 7, Text: "x"}); !errors.As(err, &api) || api.Code != 429 || api.RetryAfter < 20*time.Second {
			t.Errorf("instance %d: %v", i, err)
		}
	}
	if n := len(a.made()); n != 1 {
		t.Errorf("%d calls into the chat, want 1", n)
	}
	var others sync.WaitGroup
	for _, sender := range s {
		for chat := range int64(20) {
			others.Go(func() {
				if _, err := sender.Send(ctx, Message{ChatID: 100 + chat, Text: "x"}); err != nil {
					t.Errorf("another chat: %v", err)
				}
			})
		}
	}
	others.Wait()
	if n := len(a.made()); n != 41 {
		t.Errorf("%d calls, want 41", n)
	}
}

// A chat that refused one instance is left alone by all, until something comes from it.
func TestInstancesShareRefusals(t *testing.T) {
	a := newAPI(t)
	s := a.instances(2, testenv.RedisServer(t).ClientWith(quick()))
	a.script(func(call) reply { return refusal(403, "Forbidden: bot was blocked by the user") })
	for i, sender := range s {
		if _, err := sender.Send(t.Context(), Message{ChatID: 7, Text: "x"}); !errors.Is(err, ErrBlocked) {
			t.Errorf("instance %d: %v", i, err)
		}
	}
	l := s[1].Live(LiveOptions{ChatID: 7, Private: true})
	testenv.Until(t, "the answer has nobody to see it", func() bool { return errors.Is(l.Update("x"), ErrBlocked) })
	l.Close()
	if n := len(a.made()); n != 1 {
		t.Errorf("%d calls, want 1", n)
	}
	a.script(nil)
	s[0].Heard(7)
	if _, err := s[0].Send(t.Context(), Message{ChatID: 7, Text: "x"}); err != nil {
		t.Errorf("after it was heard from: %v", err)
	}
	fresh := a.instances(1, testenv.RedisServer(t).ClientWith(quick()))[0]
	fresh.pace = s[0].pace
	if _, err := fresh.Send(t.Context(), Message{ChatID: 7, Text: "x"}); err != nil {
		t.Errorf("on an instance that did not hear: %v", err)
	}
	fresh.Lost(t.Context(), 8)
	if _, err := s[0].Send(t.Context(), Message{ChatID: 8, Text: "x"}); !errors.Is(err, ErrBlocked) {
		t.Errorf("after the bot was removed: %v", err)
	}
}

// Redis away: each instance keeps a pace by itself, from where the common one was.
func TestPaceWithoutRedis(t *testing.T) {
	a := newAPI(t)
	server := testenv.RedisServer(t)
	s := a.instances(1, server.ClientWith(quick()))[0]
	for range privateBurst - 2 {
		if wait, err := s.take(t.Context(), 7, false); wait != 0 || err != nil {
			t.Fatal(wait, err)
		}
	}
	server.Stop()
	s.Heard(7)
	admitted := 0
	for wait := time.Duration(0); wait == 0; admitted++ {
		var err error
		if wait, err = s.take(t.Context(), 7, false); err != nil {
			t.Fatal(err)
		}
	}
	if admitted < 3 || admitted > 5 {
		t.Errorf("%d more admitted without Redis, want 2", admitted-1)
	}
	s.pace.block(t.Context(), 9)
	s.pace.pause(t.Context(), 9, time.Minute)
	if !s.chats.wasHeard(7) {
		t.Error("what Redis was not told is forgotten")
	}
	server.Start()
	s.pace.away.Store(0)
	testenv.Until(t, "Redis is asked again", func() bool {
		s.pace.away.Store(0)
		_, err := s.take(t.Context(), 10, false)
		return err == nil && s.pace.there()
	})
}

func TestBulkPaceIsShared(t *testing.T) {
	a := newAPI(t)
	s := a.instances(2, testenv.RedisServer(t).ClientWith(quick()))
	started := time.Now()
	const messages = 40
	var sent sync.WaitGroup
	for i := range messages {
		b := NewBatcher(s[i%2])
		sent.Go(func() {
			if _, err := b.Send(t.Context(), Message{ChatID: 100 + int64(i), Text: "x"}); err != nil {
				t.Error(err)
			}
		})
	}
	sent.Wait()
	if took, least := time.Since(started), (messages-bulkBurst)*bulkEvery; took < least-bulkEvery {
		t.Errorf("%d messages in %v, at the pace it takes %v", messages, took, least)
	}
}
