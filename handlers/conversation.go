package handlers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	turnsKept      = 20                 // messages of context kept per chat
	contextBytes   = 24 << 10           // most bytes of context sent with a message
	turnsLife      = 7 * 24 * time.Hour // a silent chat is forgotten
	effectLife     = 48 * time.Hour     // longer than Telegram redelivers (24 h)
	turnBytesLimit = 16 << 10           // one remembered message is cut to this
)

// conversations keeps each chat's recent turns and, per update, the effect that a
// redelivery must not repeat. Both live on the chat's shard.
type conversations struct{ redis redis.Cmdable }

func turnsKey(chat int64) string {
	return stream.ShardOfChat(chat).Key("conv", strconv.FormatInt(chat, 10))
}

func effectKey(chat, update int64) string {
	return stream.ShardOfChat(chat).Key("answer", strconv.FormatInt(update, 10))
}

// Recent returns the chat's turns, oldest first, within the context budget.
func (c conversations) Recent(ctx context.Context, chat int64) ([]llm.Message, error) {
	stored, err := c.redis.LRange(ctx, turnsKey(chat), -turnsKept, -1).Result()
	if err != nil {
		return nil, away("recent turns", err)
	}
	turns := make([]llm.Message, 0, len(stored))
	left := contextBytes
	for i := len(stored) - 1; i >= 0; i-- {
		var turn llm.Message
		if err := json.Unmarshal([]byte(stored[i]), &turn); err != nil {
			break // what lies before a damaged turn no longer makes sense
		}
		if left -= len(turn.Content); left < 0 {
			break
		}
		turns = append(turns, turn)
	}
	for i, j := 0, len(turns)-1; i < j; i, j = i+1, j-1 {
		turns[i], turns[j] = turns[j], turns[i]
	}
	return turns, nil
}

// Remember stores the answer under the update that asked for it and adds the two
// turns to the chat, in one transaction: a redelivery finds either both or neither.
func (c conversations) Remember(ctx context.Context, chat, update int64, question, answer, sent string) error {
	asked, err := json.Marshal(llm.Message{Role: "user", Content: clip(question, turnBytesLimit)})
	if err != nil {
		return fmt.Errorf("encode turn: %w", err)
	}
	answered, err := json.Marshal(llm.Message{Role: "assistant", Content: clip(answer, turnBytesLimit)})
	if err != nil {
		return fmt.Errorf("encode turn: %w", err)
	}
	_, err = c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.RPush(ctx, turnsKey(chat), asked, answered)
		p.LTrim(ctx, turnsKey(chat), -turnsKept, -1)
		p.Expire(ctx, turnsKey(chat), turnsLife)
		p.Set(ctx, effectKey(chat, update), sent, effectLife)
		return nil
	})
	if err != nil {
		return away("remember turn", err)
	}
	return nil
}

// Forget drops the chat's turns.
func (c conversations) Forget(ctx context.Context, chat int64) error {
	if err := c.redis.Del(ctx, turnsKey(chat)).Err(); err != nil {
		return away("forget turns", err)
	}
	return nil
}

// Effect returns what MarkEffect or Remember stored for the update, if anything.
func (c conversations) Effect(ctx context.Context, chat, update int64) (string, bool, error) {
	stored, err := c.redis.Get(ctx, effectKey(chat, update)).Result()
	if errors.Is(err, redis.Nil) {
		return "", false, nil
	}
	if err != nil {
		return "", false, away("look up effect", err)
	}
	return stored, true, nil
}

// MarkEffect stores what the update caused.
func (c conversations) MarkEffect(ctx context.Context, chat, update int64, effect string) error {
	if err := c.redis.Set(ctx, effectKey(chat, update), effect, effectLife).Err(); err != nil {
		return away("mark effect", err)
	}
	return nil
}

// away marks a failure of Redis as one that waiting mends.
func away(what string, err error) error {
	return fmt.Errorf("%w: %s: %w", bot.ErrTryLater, what, err)
}

// clip cuts s to at most n bytes at a rune's edge.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
