package stream

import "strings"

// Shards is the number of shards. It is part of every key's name and never changes.
const Shards = 16

// Shard is one of the [Shards] slices of all work, from 0 to 15.
type Shard uint8

// ShardOf returns the shard of an account: its id modulo [Shards].
func ShardOf(accountID int64) Shard { return Shard(uint64(accountID) % Shards) }

// ShardOfChat returns the shard of a chat or a user of Telegram. The id is mixed
// first, because groups' ids are far from evenly spread in their lowest bits.
func ShardOfChat(id int64) Shard {
	// The finalizer of splitmix64.
	x := uint64(id)
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return Shard((x ^ x>>31) % Shards)
}

const shardNames = "s00s01s02s03s04s05s06s07s08s09s10s11s12s13s14s15"

// String returns the shard's name, such as "s07".
func (s Shard) String() string {
	if s >= Shards {
		return "s??"
	}
	return shardNames[3*int(s) : 3*int(s)+3]
}

// Key returns the Redis key of one thing on the shard: Key("ev") is "ev:{s07}" and
// Key("acct", "42") is "acct:{s07}:42".
func (s Shard) Key(name string, parts ...string) string {
	var b strings.Builder
	size := len(name) + len(":{s00}")
	for _, part := range parts {
		size += 1 + len(part)
	}
	b.Grow(size)
	b.WriteString(name)
	b.WriteString(":{")
	b.WriteString(s.String())
	b.WriteByte('}')
	for _, part := range parts {
		b.WriteByte(':')
		b.WriteString(part)
	}
	return b.String()
}
