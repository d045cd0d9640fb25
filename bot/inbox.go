package bot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	fieldRaw = "raw"
	bodyMost = 1 << 20 // bytes of one update
)

//go:embed scripts/append.lua
var appendLua string

// inboxRedis is what an [Inbox] needs of Redis; a client and an AutoPipeliner have it.
type inboxRedis interface {
	redis.Scripter
	XAdd(ctx context.Context, a *redis.XAddArgs) *redis.StringCmd
}

// Inbox keeps updates in Redis until they are handled.
type Inbox struct {
	redis  inboxRedis
	script *redis.Script
	keys   [laneCount][stream.Shards][]string // of the append script; never changed
	heed   func(context.Context, *Update)     // nil: nobody wants to know
}

// NewInbox keeps its updates by way of r, whose calls must fail fast by themselves: an
// AutoPipeliner does not mind a context's end.
func NewInbox(r inboxRedis) *Inbox {
	i := &Inbox{redis: r, script: redis.NewScript(appendLua)}
	for l := range i.keys {
		for n := range i.keys[l] {
			s := stream.Shard(n)
			i.keys[l][n] = []string{s.Key(lane(l).String()), s.Key("seen") + ":"}
		}
	}
	return i
}

// outcome is what became of an update at the door.
type outcome uint8

const (
	appended outcome = iota
	duplicate
	unreadable
)

// Append keeps an update until it is handled; one whose id was seen within the last
// day is left out, one that cannot be read goes to the dead letters. An error means
// that the update is not kept.
func (i *Inbox) Append(ctx context.Context, raw []byte) error {
	_, err := i.put(ctx, string(raw))
	return err
}

func (i *Inbox) put(ctx context.Context, raw string) (outcome, error) {
	e, err := open(raw)
	if err == nil && len(raw) > bodyMost {
		err = fmt.Errorf("%w: larger than 1 MiB", errUnreadable)
	}
	if err != nil {
		return unreadable, i.bury(ctx, shardOfBytes(raw), DeadLetter{Raw: raw, Kind: kindUnreadable, Error: err.Error()})
	}
	fresh, err := i.script.Run(ctx, i.redis, i.keys[e.lane][e.shard()], strconv.FormatInt(e.id, 10), raw).Int()
	if err != nil {
		return appended, fmt.Errorf("append update %d: %w", e.id, err)
	}
	if fresh == 0 {
		return duplicate, nil
	}
	i.tell(ctx, e, raw)
	return appended, nil
}

// Heed lets f know of each stop as soon as it is kept, on the instance that took it in:
// whoever handles it may be busy handing its shard over. It is handled as well. f must be
// quick, and is called from many goroutines. Heed is to be called before the first Append.
func (i *Inbox) Heed(f func(context.Context, *Update)) { i.heed = f }

// tell tells of an update if it is a stop.
func (i *Inbox) tell(ctx context.Context, e envelope, raw string) {
	if !e.stop || i.heed == nil {
		return
	}
	u := &Update{ID: e.id, Raw: []byte(raw)}
	if decode(u) == nil { // else it is given up where it is handled
		i.heed(ctx, u)
	}
}

// bury puts an update among the dead letters of its shard.
func (i *Inbox) bury(ctx context.Context, s stream.Shard, d DeadLetter) error {
	err := i.redis.XAdd(ctx, d.args(s)).Err()
	if err != nil {
		return fmt.Errorf("keep dead letter: %w", err)
	}
	return nil
}

// shardOfBytes spreads what has no ordering key.
func shardOfBytes(raw string) stream.Shard {
	h := fnv.New32a()
	_, _ = h.Write([]byte(raw))
	return stream.Shard(h.Sum32() % stream.Shards)
}

// isRefusal tells an answer of Redis itself from one that did not come.
func isRefusal(err error) bool {
	var refusal redis.Error
	return errors.As(err, &refusal)
}

func trimmed(sentence string, most int) string {
	if len(sentence) <= most {
		return sentence
	}
	return strings.ToValidUTF8(sentence[:most], "")
}

func millis(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
