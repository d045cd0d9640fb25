package hall

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/stream"
)

// EffectLife is how long it is remembered what an update caused.
const EffectLife = 48 * time.Hour // longer than Telegram redelivers (24 h)

// EffectKey names what an update caused.
func EffectKey(chat, update int64) string {
	return stream.ShardOfChat(chat).Key("answer", strconv.FormatInt(update, 10))
}

// Effect returns what MarkEffect stored for the update, if anything.
func (h *Hall) Effect(ctx context.Context, chat, update int64) (string, bool, error) {
	stored, err := h.Redis.Get(ctx, EffectKey(chat, update)).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, Away("look up effect", err)
	}
	return stored, true, nil
}

// MarkEffect stores what the update caused.
func (h *Hall) MarkEffect(ctx context.Context, chat, update int64, effect string) error {
	if err := h.Redis.Set(ctx, EffectKey(chat, update), effect, EffectLife).Err(); err != nil {
		return Away("mark effect", err)
	}
	return nil
}

// Failure returns what went wrong with commands of a pipeline; that something is missing
// did not.
func Failure(commands []redis.Cmder) error {
	for _, c := range commands {
		if err := c.Err(); err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
	}
	return nil
}

// Away marks a failure of Redis as one that waiting mends.
func Away(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", bot.ErrTryLater, what, err)
}

// Bytes of names that are shown.
const (
	ButtonNameMax = 32 // on a button
	NameMost      = 64 // in a group
)

// Clip cuts s to at most n bytes at a rune's edge.
func Clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// UTF16Len counts the UTF-16 units of a text.
func UTF16Len(s string) (n int) {
	for _, r := range s {
		n++
		if r > 0xFFFF {
			n++
		}
	}
	return n
}
