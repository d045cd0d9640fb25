package bot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/internal/stream"
)

const (
	// The pace of what nobody waits for, in all chats: Telegram takes about thirty messages
	// a second, and answers are among them.
	bulkEvery = time.Second / 25
	bulkBurst = 5
	// Without Redis each instance keeps to this, as it cannot know how many others there are.
	bulkEveryAlone = 5 * bulkEvery

	bulkKey       = "pace:{bulk}"
	paceCall      = 250 * time.Millisecond // for one word with Redis
	paceAwayFor   = time.Second            // Redis is left alone for so long after it failed
	blockedShared = 24 * time.Hour         // how long instances remember a chat that refused one of them
)

var (
	//go:embed scripts/pace.lua
	paceLua string
	//go:embed scripts/bulk.lua
	bulkLua string
)

// paceRedis is what a sharedPace needs of Redis.
type paceRedis interface {
	redis.Scripter
	Set(ctx context.Context, key string, value any, life time.Duration) *redis.StatusCmd
	SetNX(ctx context.Context, key string, value any, life time.Duration) *redis.BoolCmd
	ExpireGT(ctx context.Context, key string, life time.Duration) *redis.BoolCmd
}

// sharedPace keeps Telegram's pace for all instances together, in Redis: what was sent
// into a chat, whether Telegram asked to wait there, and whether the chat can be reached.
// Where Redis is away, or there is none, it knows what this process did.
type sharedPace struct {
	redis paceRedis // nil: there is none
	log   *slog.Logger
	local *pacer
	away  atomic.Int64 // unix ns until which Redis is left alone

	pace, bulk *redis.Script
}

func newSharedPace(r paceRedis, log *slog.Logger, now func() time.Time) *sharedPace {
	return &sharedPace{
		redis: r, log: log, local: newPacer(now), pace: redis.NewScript(paceLua), bulk: redis.NewScript(bulkLua),
	}
}

// paceKeys are those of one chat: what was sent, a pause, a refusal.
func paceKeys(chat int64) []string {
	s, id := stream.ShardOfChat(chat), strconv.FormatInt(chat, 10)
	return []string{s.Key("pace", id), s.Key("pause", id), s.Key("blocked", id)}
}

// take admits one message to the chat, or says how long to wait before asking again. A
// frame is admitted only while there is something to spare. heard: something came from
// the chat, so that it can be reached after all. [ErrBlocked] where it cannot.
func (p *sharedPace) take(ctx context.Context, chat int64, frame, heard bool) (wait time.Duration, err error) {
	if !p.there() {
		return p.local.take(chat, frame), nil
	}
	ctx, cancel := context.WithTimeout(ctx, paceCall)
	defer cancel()
	said, err := p.pace.Run(ctx, p.redis, paceKeys(chat), paceArgs(chat, frame, heard)...).Slice()
	if err != nil {
		p.failed(ctx, err)
		return p.local.take(chat, frame), nil
	}
	word, _ := said[0].(string)
	micros, _ := said[1].(int64)
	switch word {
	case "go":
		p.local.note(chat)
		return 0, nil
	case "blocked":
		return 0, ErrBlocked
	}
	return max(time.Duration(micros)*time.Microsecond, time.Millisecond), nil
}

func paceArgs(chat int64, frame, heard bool) []any {
	flag := map[bool]int{true: 1}
	if isGroup(chat) {
		return []any{flag[heard], 1, groupRoom(frame), groupWindow.Microseconds()}
	}
	return []any{flag[heard], 0, privateRoom(frame), privateEvery.Microseconds()}
}

// takeBulk admits n messages, at most bulkBurst, of those that nobody waits for.
func (p *sharedPace) takeBulk(ctx context.Context, n int) (wait time.Duration) {
	if !p.there() {
		every := bulkEvery
		if p.redis != nil {
			every = bulkEveryAlone
		}
		return p.local.takeBulk(n, every)
	}
	ctx, cancel := context.WithTimeout(ctx, paceCall)
	defer cancel()
	micros, err := p.bulk.Run(ctx, p.redis, []string{bulkKey}, n, bulkBurst, bulkEvery.Microseconds()).Int64()
	if err != nil {
		p.failed(ctx, err)
		return p.local.takeBulk(n, bulkEveryAlone)
	}
	return time.Duration(micros) * time.Microsecond
}

// pause tells the others that Telegram wants nothing in the chat for d.
func (p *sharedPace) pause(ctx context.Context, chat int64, d time.Duration) {
	p.tell(ctx, func(ctx context.Context) error {
		key := paceKeys(chat)[1]
		fresh, err := p.redis.SetNX(ctx, key, 1, d).Result()
		if err != nil || fresh {
			return err
		}
		return p.redis.ExpireGT(ctx, key, d).Err()
	})
}

// block tells the others that the chat cannot be reached.
func (p *sharedPace) block(ctx context.Context, chat int64) {
	p.tell(ctx, func(ctx context.Context) error {
		return p.redis.Set(ctx, paceKeys(chat)[2], 1, blockedShared).Err()
	})
}

// tell does not mind the end of what it comes from: the others are to know.
func (p *sharedPace) tell(ctx context.Context, say func(context.Context) error) {
	if !p.there() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), paceCall)
	defer cancel()
	if err := say(ctx); err != nil {
		p.failed(ctx, err)
	}
}

// there tells whether Redis is to be asked.
func (p *sharedPace) there() bool {
	return p.redis != nil && time.Now().UnixNano() >= p.away.Load()
}

// failed leaves Redis alone for a while: waiting for one that is away would cost each
// message that time.
func (p *sharedPace) failed(ctx context.Context, err error) {
	if errors.Is(context.Cause(ctx), context.Canceled) {
		return // the caller left, and Redis may be well
	}
	now := time.Now()
	if until := p.away.Load(); now.UnixNano() >= until && p.away.CompareAndSwap(until, now.Add(paceAwayFor).UnixNano()) {
		p.log.DebugContext(ctx, "each instance keeps a pace of its own while Redis is away", "error", fmt.Errorf("pace: %w", err))
	}
}
