package bot

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	deadKept       = 10_000 // per shard, about
	errorMost      = 500    // bytes of the stored sentence
	kindUnreadable = "unreadable"
)

// DeadLetter is an update that was given up.
type DeadLetter struct {
	ID    string    `json:"id"` // "<shard>/<entry>", for Replay
	Raw   string    `json:"raw"`
	Kind  string    `json:"kind"` // type of update; "unreadable" if it has none
	Error string    `json:"error"`
	At    time.Time `json:"at"`
	Tries int       `json:"tries"`
}

// ErrNotReplayable is a dead letter that is gone or cannot be read.
var ErrNotReplayable = errors.New("bot: dead letter cannot be replayed")

func deadKey(s stream.Shard) string { return s.Key("dead") }

func (d DeadLetter) args(s stream.Shard) *redis.XAddArgs {
	if d.At.IsZero() {
		d.At = time.Now()
	}
	return &redis.XAddArgs{
		Stream: deadKey(s), MaxLen: deadKept, Approx: true,
		Values: []any{
			fieldRaw, d.Raw, "kind", d.Kind, "error", trimmed(d.Error, errorMost),
			"at", millis(d.At), "tries", strconv.Itoa(d.Tries),
		},
	}
}

// DeadLetters are the updates that were given up, of all shards.
type DeadLetters struct {
	redis  redis.Cmdable
	script *redis.Script
}

//go:embed scripts/replay.lua
var replayLua string

// NewDeadLetters looks at them by way of r.
func NewDeadLetters(r redis.Cmdable) *DeadLetters {
	return &DeadLetters{redis: r, script: redis.NewScript(replayLua)}
}

// List returns the newest dead letters, newest first, at most limit.
func (d *DeadLetters) List(ctx context.Context, limit int64) ([]DeadLetter, error) {
	var letters []DeadLetter
	for n := range stream.Shards {
		s := stream.Shard(n)
		entries, err := d.redis.XRevRangeN(ctx, deadKey(s), "+", "-", limit).Result()
		if err != nil {
			return nil, fmt.Errorf("dead letters of %s: %w", s, err)
		}
		for _, entry := range entries {
			letters = append(letters, parseDeadLetter(s, entry))
		}
	}
	slices.SortFunc(letters, func(a, b DeadLetter) int {
		return cmp.Or(b.At.Compare(a.At), cmp.Compare(a.ID, b.ID))
	})
	return letters[:min(len(letters), int(limit))], nil
}

// Count is how many dead letters there are, unreadable ones included.
func (d *DeadLetters) Count(ctx context.Context) (letters int64, err error) {
	pipe := d.redis.Pipeline()
	lengths := make([]*redis.IntCmd, stream.Shards)
	for n := range lengths {
		lengths[n] = pipe.XLen(ctx, deadKey(stream.Shard(n)))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("count dead letters: %w", err)
	}
	for _, length := range lengths {
		letters += length.Val()
	}
	return letters, nil
}

func parseDeadLetter(s stream.Shard, entry redis.XMessage) DeadLetter {
	text := func(field string) string {
		value, _ := entry.Values[field].(string)
		return value
	}
	at, _ := strconv.ParseInt(text("at"), 10, 64) // we wrote it
	tries, _ := strconv.Atoi(text("tries"))
	return DeadLetter{
		ID: s.String() + "/" + entry.ID, Raw: text(fieldRaw), Kind: text("kind"), Error: text("error"),
		At: time.UnixMilli(at), Tries: tries,
	}
}

// Replay puts a dead letter back at the end of its queue, as if it had just come. A
// letter that is gone or unreadable is [ErrNotReplayable].
func (d *DeadLetters) Replay(ctx context.Context, id string) error {
	shard, entry, ok := splitLetterID(id)
	if !ok {
		return fmt.Errorf("%w: %q is no id of one", ErrNotReplayable, trimmed(id, 64))
	}
	found, err := d.redis.XRange(ctx, deadKey(shard), entry, entry).Result()
	if err != nil {
		return fmt.Errorf("dead letter %s: %w", id, err)
	}
	if len(found) == 0 {
		return fmt.Errorf("%w: %s is gone", ErrNotReplayable, id)
	}
	raw, _ := found[0].Values[fieldRaw].(string)
	e, err := open(raw)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotReplayable, err)
	}
	if e.shard() != shard {
		return fmt.Errorf("%w: %s lies on another shard than its chat", ErrNotReplayable, id)
	}
	keys := []string{deadKey(shard), shard.Key(e.lane.String())}
	moved, err := d.script.Run(ctx, d.redis, keys, entry, raw).Int()
	if err != nil {
		return fmt.Errorf("replay %s: %w", id, err)
	}
	if moved == 0 {
		return fmt.Errorf("%w: %s is gone", ErrNotReplayable, id)
	}
	return nil
}

// Drop forgets a dead letter for good. One that is gone is [ErrNotReplayable].
func (d *DeadLetters) Drop(ctx context.Context, id string) error {
	shard, entry, ok := splitLetterID(id)
	if !ok {
		return fmt.Errorf("%w: %q is no id of one", ErrNotReplayable, trimmed(id, 64))
	}
	dropped, err := d.redis.XDel(ctx, deadKey(shard), entry).Result()
	if err != nil {
		return fmt.Errorf("drop %s: %w", id, err)
	}
	if dropped == 0 {
		return fmt.Errorf("%w: %s is gone", ErrNotReplayable, id)
	}
	return nil
}

func splitLetterID(id string) (stream.Shard, string, bool) {
	name, entry, ok := strings.Cut(id, "/")
	if !ok || entry == "" || strings.Trim(entry, "0123456789-") != "" {
		return 0, "", false
	}
	for n := range stream.Shards {
		if s := stream.Shard(n); s.String() == name {
			return s, entry, true
		}
	}
	return 0, "", false
}
