package talk

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/stream"
)

// A group that becomes a supergroup gets a new id. It had no topics, so there is one
// conversation to move, from the old id's shard to the new one's. What was said under the
// new id meanwhile is later than all of it.

//go:embed move.lua
var moveLua string

// belongings are what is kept of a chat's conversation.
type belongings struct {
	Turns   []string          `json:"turns"`
	Gist    map[string]string `json:"gist"`
	Choices map[string]string `json:"choices"`
}

// Move moves a chat's conversation and choices to another chat, in front of what that has,
// and forgets the first. Choices that were made there stand. Done again, it ends what it
// began.
func (r *Room) Move(ctx context.Context, from, to int64) error {
	if from == to {
		return nil
	}
	old, grown := topic{chat: from}, topic{chat: to}
	var turns *redis.StringSliceCmd
	var gist, choices *redis.MapStringStringCmd
	var left *redis.DurationCmd
	if _, err := r.Redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		turns = p.LRange(ctx, old.talkKey(), -turnsKept, -1)
		gist, choices = p.HGetAll(ctx, old.gistKey()), p.HGetAll(ctx, old.choiceKey())
		left = p.TTL(ctx, old.gistKey())
		return nil
	}); err != nil {
		return hall.Away("conversation of a group that moves", err)
	}
	moved, err := json.Marshal(belongings{turns.Val(), gist.Val(), choices.Val()})
	if err != nil {
		return fmt.Errorf("encode a conversation: %w", err)
	}
	life := left.Val()
	if life < time.Second { // it has none
		life = hall.TurnsLife
	}
	keys := []string{movedKey(from, to), grown.talkKey(), grown.gistKey(), grown.choiceKey(), threadsKey(to)}
	if len(turns.Val())+len(gist.Val())+len(choices.Val()) > 0 {
		err := r.Redis.Eval(ctx, moveLua, keys, moved, int64(life/time.Second), int64(choiceLife/time.Second),
			int64(hall.EffectLife/time.Second), turnsKept, gistSummary).Err()
		if err != nil {
			return hall.Away("move a conversation", err)
		}
	}
	return r.ForgetChat(ctx, from)
}

// movedKey names that a chat's conversation was moved to another, on that one's shard.
func movedKey(from, to int64) string {
	return stream.ShardOfChat(to).Key("moved", strconv.FormatInt(from, 10), strconv.FormatInt(to, 10))
}
