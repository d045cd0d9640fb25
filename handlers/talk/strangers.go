package talk

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/stream"
)

const (
	strangerLife = 7 * 24 * time.Hour // who was told to begin is not told again for so long
)

// welcomeStranger tells somebody without an account, once, how to get one: a group is no
// place to open one unasked.
func (r *Room) welcomeStranger(ctx context.Context, q hall.Request) error {
	first, err := r.turns.Stranger(ctx, q)
	if err != nil || !first {
		return err
	}
	return r.SayInGroup(ctx, q, q.Voice.Say("group.stranger"), q.Voice.Say("group.start"))
}

// mayDecide tells whether somebody may stop or repeat what another asked: the asker may,
// and in a group its administrators.
func (r *Room) mayDecide(ctx context.Context, q hall.Request, asker int64) (bool, error) {
	if q.From.ID == asker {
		return true, nil
	}
	if q.Private() {
		return false, nil
	}
	if wait, err := r.Admit(ctx, q); err != nil || wait > 0 { // each asks Telegram
		return false, err
	}
	return r.Sender.Administers(ctx, q.Chat.ID, q.From.ID)
}

// mayChoose tells whether somebody may choose the model of a conversation. In a group the
// others pay for it, too.
func (r *Room) mayChoose(ctx context.Context, q hall.Request) (bool, error) {
	if q.Private() {
		return true, nil
	}
	return r.Sender.Administers(ctx, q.Chat.ID, q.From.ID)
}

// Stranger tells whether this update is the first for which somebody without an account
// is to be told of that in a group; it is so again when it comes again.
func (c conversations) Stranger(ctx context.Context, q hall.Request) (first bool, err error) {
	key := stream.ShardOfChat(q.Chat.ID).Key("stranger", strconv.FormatInt(q.Chat.ID, 10), strconv.FormatInt(q.From.ID, 10))
	return c.first(ctx, key, q.Update, strangerLife)
}

// first tells whether an update is the first that marks the key within a time; it is so
// again when it comes again.
func (c conversations) first(ctx context.Context, key string, update int64, life time.Duration) (bool, error) {
	mark := strconv.FormatInt(update, 10)
	marked, err := c.redis.SetArgs(ctx, key, mark, redis.SetArgs{Mode: "NX", Get: true, TTL: life}).Result()
	if errors.Is(err, redis.Nil) {
		return true, nil
	}
	if err != nil {
		return false, hall.Away("mark of what was told", err)
	}
	return marked == mark, nil
}
