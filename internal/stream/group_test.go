package stream_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
	"github.com/kikuai/kikuai/internal/testenv"
)

const inbox = "inbox:{s00}"

func reader(t *testing.T, addr string, change ...func(*stream.GroupOptions)) *stream.Group {
	t.Helper()
	o := stream.GroupOptions{
		Redis: connect(t, addr), Blocking: connect(t, addr), Stream: inbox, Block: 200 * time.Millisecond,
	}
	for _, c := range change {
		c(&o)
	}
	g := stream.NewGroup(o)
	t.Cleanup(g.Close)
	return g
}

func add(t *testing.T, client *redis.Client, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		err := client.XAdd(context.Background(), &redis.XAddArgs{Stream: inbox, Values: []any{"n", i}}).Err()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// collect reads until n entries have come and checks that they are from, from+1, ….
func collect(t *testing.T, g *stream.Group, from, n, limit int, redelivered bool) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var ids []string
	for len(ids) < n {
		entries, err := g.Read(ctx, limit)
		if err != nil {
			t.Fatalf("after %d entries: %v", len(ids), err)
		}
		if len(entries) > limit {
			t.Fatalf("%d entries at once, limit %d", len(entries), limit)
		}
		for _, e := range entries {
			if want := strconv.Itoa(from + len(ids)); e.Fields["n"] != want {
				t.Fatalf("entry %s, want %s", e.Fields["n"], want)
			}
			if e.Redelivered != redelivered {
				t.Fatalf("entry %s: redelivered %v", e.Fields["n"], e.Redelivered)
			}
			if age := e.AgeAt(time.Now()); age < 0 || age > patience {
				t.Fatalf("entry %s is %v old", e.Fields["n"], age)
			}
			ids = append(ids, e.ID)
		}
	}
	return ids
}

func TestGroupReadsInOrder(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := connect(t, addr)
		ctx := context.Background()
		add(t, client, 0, 200) // before the group exists
		first := reader(t, addr)
		ids := collect(t, first, 0, 200, 30, false)
		// The even ones are done when the owner dies.
		var done []string
		for i := 0; i < len(ids); i += 2 {
			done = append(done, ids[i])
		}
		if err := first.Ack(ctx, done, nil); err != nil {
			t.Fatal(err)
		}
		add(t, client, 200, 210)
		next := reader(t, addr)
		var pending []string
		for len(pending) < 100 {
			entries, err := next.Read(ctx, 30)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				if want := strconv.Itoa(2*len(pending) + 1); e.Fields["n"] != want || !e.Redelivered {
					t.Fatalf("entry %s (redelivered %v), want %s", e.Fields["n"], e.Redelivered, want)
				}
				pending = append(pending, e.ID)
			}
		}
		fresh := collect(t, next, 200, 10, 30, false)
		also := func(p redis.Pipeliner) { p.Set(ctx, "also:{s00}", "1", 0) }
		if err := next.Ack(ctx, append(pending, fresh...), also); err != nil {
			t.Fatal(err)
		}
		left, err := client.XLen(ctx, inbox).Result()
		if err != nil || left != 0 {
			t.Errorf("%d entries left (%v)", left, err)
		}
		if n, err := client.Exists(ctx, "also:{s00}").Result(); err != nil || n != 1 {
			t.Errorf("the command that came along had no effect (%v)", err)
		}
	})
}

func TestGroupWakesForANewEntry(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := connect(t, addr)
		g := reader(t, addr, func(o *stream.GroupOptions) { o.Block = 10 * time.Second })
		ctx := context.Background()
		add(t, client, 0, 1)
		collect(t, g, 0, 1, 10, false)
		got := make(chan time.Time)
		go func() {
			for {
				entries, err := g.Read(ctx, 10)
				if err != nil {
					t.Errorf("Read: %v", err)
				}
				if err != nil || len(entries) > 0 {
					got <- time.Now()
					return
				}
			}
		}()
		time.Sleep(50 * time.Millisecond) // it waits
		added := time.Now()
		add(t, client, 1, 2)
		if took := (<-got).Sub(added); took > 5*time.Second {
			t.Errorf("woke after %v", took)
		}
	})
}

func TestGroupReadEndsWithItsContext(t *testing.T) {
	g := reader(t, testenv.RedisServer(t).Addr, func(o *stream.GroupOptions) { o.Block = 10 * time.Second })
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	started := time.Now()
	if _, err := g.Read(ctx, 10); !errors.Is(err, context.Canceled) {
		t.Errorf("Read: %v", err)
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("returned after %v", took)
	}
}

func TestGroupGoesOnAfterAWipe(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := connect(t, addr)
		g := reader(t, addr)
		add(t, client, 0, 5)
		collect(t, g, 0, 5, 10, false)
		if err := client.FlushAll(context.Background()).Err(); err != nil {
			t.Fatal(err)
		}
		add(t, client, 5, 10)
		collect(t, g, 5, 5, 10, false)
	})
}

// A read whose answer was lost leaves entries pending that nobody works on. The next
// error makes the group look for them, before anything newer.
func TestGroupFindsWhatALostAnswerTook(t *testing.T) {
	server := testenv.RedisServer(t)
	client := connect(t, server.Addr)
	ctx := context.Background()
	g := reader(t, server.Addr)
	add(t, client, 0, 3)
	ids := collect(t, g, 0, 3, 10, false)
	add(t, client, 3, 6)
	// What the lost answer did: the entries went to the group's only consumer.
	_, err := client.XReadGroup(ctx, &redis.XReadGroupArgs{
		Group: "workers", Consumer: "owner", Streams: []string{inbox, ">"}, Count: 3, Block: -1,
	}).Result()
	if err != nil {
		t.Fatal(err)
	}
	server.Pause()
	if _, err := g.Read(ctx, 10); err == nil {
		t.Fatal("a frozen server answered")
	}
	server.Resume()
	testenv.Until(t, "the server answers", func() bool { return client.Ping(ctx).Err() == nil })
	// By the second answer it has carried out what came before the first, the read too.
	if err := client.Ping(ctx).Err(); err != nil {
		t.Fatal(err)
	}
	add(t, client, 6, 9)
	collect(t, g, 3, 3, 10, true)
	collect(t, g, 6, 3, 10, false)
	if err := g.Ack(ctx, ids, nil); err != nil {
		t.Fatal(err)
	}
}

func TestGroupIsFenced(t *testing.T) {
	servers(t, func(t *testing.T, addr string) {
		client := connect(t, addr)
		ctx := context.Background()
		fence := stream.Fence{Key: "lease:work:{s00}", Token: "mine"}
		g := reader(t, addr, func(o *stream.GroupOptions) { o.Fence = fence })
		add(t, client, 0, 2)
		for _, holder := range []string{"", "another"} {
			if holder != "" {
				if err := client.Set(ctx, fence.Key, holder, 0).Err(); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := g.Read(ctx, 10); !errors.Is(err, stream.ErrLeaseLost) {
				t.Errorf("lease held by %q: %v", holder, err)
			}
		}
		if err := client.Set(ctx, fence.Key, "mine", 0).Err(); err != nil {
			t.Fatal(err)
		}
		collect(t, g, 0, 2, 10, false)
	})
}

func TestGroupForgetsWhatWasDeleted(t *testing.T) {
	addr := testenv.RedisServer(t).Addr
	client := connect(t, addr)
	ctx := context.Background()
	add(t, client, 0, 3)
	ids := collect(t, reader(t, addr), 0, 3, 10, false)
	if err := client.XDel(ctx, inbox, ids[:2]...).Err(); err != nil {
		t.Fatal(err)
	}
	collect(t, reader(t, addr), 2, 1, 10, true)
	pending, err := client.XPending(ctx, inbox, "workers").Result()
	if err != nil || pending.Count != 1 {
		t.Errorf("pending: %+v (%v)", pending, err)
	}
}

func TestFenceComesWithTheLease(t *testing.T) {
	addr := testenv.RedisServer(t).Addr
	client := connect(t, addr)
	fences := make(chan error, stream.Shards)
	_, stop := instance(t, client, "a", func(ctx context.Context, s stream.Shard) error {
		fence := stream.FenceFrom(ctx)
		held, err := client.Get(ctx, fence.Key).Result()
		if err == nil && (held != fence.Token || fence.Key != s.Key("lease:work")) {
			err = fmt.Errorf("fence %+v, held by %q", fence, held)
		}
		fences <- err
		<-ctx.Done()
		return nil
	})
	for range stream.Shards {
		if err := <-fences; err != nil {
			t.Error(err)
		}
	}
	stop()
}
