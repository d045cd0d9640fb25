package talk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/stream"
)

// inlineKey names something of a person's inline questions, on the person's shard.
func inlineKey(person int64, what, which string) string {
	return stream.ShardOfChat(person).Key("inline", strconv.FormatInt(person, 10), what, which)
}

// Offer keeps a question that somebody may send.
func (c conversations) Offer(ctx context.Context, person int64, mark, question string) error {
	if err := c.redis.Set(ctx, inlineKey(person, "offered", mark), question, inlineLife).Err(); err != nil {
		return hall.Away("offer to ask", err)
	}
	return nil
}

// Offered returns the question of a mark; "" where it is too long ago.
func (c conversations) Offered(ctx context.Context, person int64, mark string) (string, error) {
	question, err := c.redis.Get(ctx, inlineKey(person, "offered", mark)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", hall.Away("offered question", err)
	}
	return question, nil
}

// InlineOutcome returns what the question of a message came to, if it was asked.
func (c conversations) InlineOutcome(ctx context.Context, person int64, message string) (o inlineOutcome, found bool, err error) {
	stored, err := c.redis.Get(ctx, inlineKey(person, "answer", markOf(message))).Bytes()
	if errors.Is(err, redis.Nil) {
		return o, false, nil
	}
	if err != nil {
		return o, false, hall.Away("inline answer", err)
	}
	if err := json.Unmarshal(stored, &o); err != nil {
		return o, false, fmt.Errorf("inline answer: %w", err)
	}
	return o, true, nil
}

// InlineBefore returns the answer to the same question of a moment ago, "" for none, and
// what the person has spent inline on that day, in nano-USD.
func (c conversations) InlineBefore(ctx context.Context, person int64, day, same string) (text string, spent int64, err error) {
	var before, sum *redis.StringCmd
	commands, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		before, sum = p.Get(ctx, inlineKey(person, "same", same)), p.Get(ctx, inlineKey(person, "spent", day))
		return nil
	})
	if errors.Is(err, redis.Nil) {
		err = hall.Failure(commands)
	}
	if err != nil {
		return "", 0, hall.Away("inline answers", err)
	}
	spent, _ = strconv.ParseInt(sum.Val(), 10, 64) // nothing where it is missing
	return before.Val(), spent, nil
}

// RememberInline stores what a message's question came to, for the message, for the same
// question and in the day's sum.
func (c conversations) RememberInline(ctx context.Context, person int64, message, day, same string, o inlineOutcome) error {
	outcome, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("encode an inline answer: %w", err)
	}
	_, err = c.redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, inlineKey(person, "answer", markOf(message)), outcome, hall.EffectLife)
		p.Set(ctx, inlineKey(person, "same", same), o.Text, inlineLife)
		p.IncrBy(ctx, inlineKey(person, "spent", day), o.Cost)
		p.Expire(ctx, inlineKey(person, "spent", day), hall.EffectLife)
		return nil
	})
	if err != nil {
		return hall.Away("remember an inline answer", err)
	}
	return nil
}
