package stream_test

import (
	"math"
	"testing"

	"github.com/kikuai/kikuai/internal/stream"
)

func TestShardKey(t *testing.T) {
	for _, c := range []struct{ got, want string }{
		{stream.Shard(7).String(), "s07"},
		{stream.Shard(15).String(), "s15"},
		{stream.Shard(7).Key("ev"), "ev:{s07}"},
		{stream.Shard(0).Key("acct", "42"), "acct:{s00}:42"},
		{stream.Shard(12).Key("lim", "key", "9"), "lim:{s12}:key:9"},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}

func TestShardOf(t *testing.T) {
	for id, want := range map[int64]stream.Shard{0: 0, 15: 15, 16: 0, 42: 10, math.MaxInt64: 15} {
		if got := stream.ShardOf(id); got != want {
			t.Errorf("ShardOf(%d) = %d, want %d", id, got, want)
		}
	}
}

// Stored keys depend on these numbers: they may never change.
func TestShardOfChatIsFixed(t *testing.T) {
	for id, want := range map[int64]stream.Shard{0: 0, 1: 5, 123456789: 0, -1001234567890: 11, math.MinInt64: 10, math.MaxInt64: 13} {
		if got := stream.ShardOfChat(id); got != want {
			t.Errorf("ShardOfChat(%d) = %d, want %d", id, got, want)
		}
	}
}

func TestShardOfChatSpreads(t *testing.T) {
	const chats = 16000
	for name, id := range map[string]func(int64) int64{
		"users":       func(i int64) int64 { return 5_000_000_000 + i },
		"supergroups": func(i int64) int64 { return -1_000_000_000_000 - 16*i },
	} {
		var count [stream.Shards]int
		for i := range int64(chats) {
			count[stream.ShardOfChat(id(i))]++
		}
		for s, n := range count {
			if n < chats/stream.Shards*8/10 || n > chats/stream.Shards*12/10 {
				t.Errorf("%s: shard %d has %d of %d", name, s, n, chats)
			}
		}
	}
}
