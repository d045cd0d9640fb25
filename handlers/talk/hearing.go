package talk

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/llm"
	"github.com/kikuai/kikuai/internal/stream"
)

const heardLife = hall.EffectLife // of what a recording says, for when its turn comes again

// hearer is the metered path to a model that writes down what is said.
type hearer interface {
	Hear(ctx context.Context, call llm.HearCall) (llm.Heard, error)
}

// heard is what a recording says, as it is kept for when its turn comes again.
type heard struct {
	Text string `json:"text"`
	Cost int64  `json:"cost"` // nano-USD
}

// transcribe writes down what a recording says, once.
func (r *Room) transcribe(ctx context.Context, t *turn, u *bot.Update, a attachment) (heard, string, error) {
	if r.Hearer == nil || r.HearModel == "" {
		return heard{}, t.Voice.Say("input.deaf"), nil
	}
	if known, found, err := r.turns.Heard(ctx, t.Chat.ID, u.ID); err != nil || found {
		return known, "", err
	}
	content, done, fault, err := r.fetch(ctx, t, a)
	if err != nil || fault != "" {
		return heard{}, fault, err
	}
	defer done()
	var said llm.Heard
	err = r.paying(ctx, t, func() (err error) {
		said, err = r.Hearer.Hear(ctx, llm.HearCall{
			AccountID: t.account.ID, KeyID: t.sponsor.Key, HoldID: t.holdID() + "-heard-" + strconv.FormatInt(u.ID, 10),
			LimitScope: "account", LimitID: strconv.FormatInt(t.account.ID, 10), Model: r.HearModel, Sound: content, Name: a.name,
		})
		return err
	})
	var invalid *llm.RequestError
	switch {
	case errors.As(err, &invalid):
		return heard{}, t.Voice.Say("input.sound_bad"), nil
	case errors.Is(err, llm.ErrModelUnknown):
		return heard{}, t.Voice.Say("input.deaf"), nil
	case err != nil:
		return heard{}, "", err
	}
	h := heard{Text: strings.TrimSpace(said.Text), Cost: said.CostNano}
	if h.Text == "" {
		return heard{}, t.Voice.Say("input.silent"), nil
	}
	return h, "", r.turns.KeepHeard(ctx, t.Chat.ID, u.ID, h)
}

func heardKey(chat, update int64) string {
	return stream.ShardOfChat(chat).Key("heard", strconv.FormatInt(update, 10))
}

// Heard returns what a message was heard to say before, if it was.
func (c conversations) Heard(ctx context.Context, chat, update int64) (h heard, found bool, err error) {
	stored, err := c.redis.Get(ctx, heardKey(chat, update)).Bytes()
	if errors.Is(err, redis.Nil) {
		return h, false, nil
	}
	if err != nil {
		return h, false, hall.Away("look up what was heard", err)
	}
	known := json.Unmarshal(stored, &h) == nil // what another version kept is heard anew
	return h, known, nil
}

// KeepHeard keeps what a message was heard to say.
func (c conversations) KeepHeard(ctx context.Context, chat, update int64, h heard) error {
	stored, err := json.Marshal(h)
	if err != nil {
		return fmt.Errorf("encode what was heard: %w", err)
	}
	if err := c.redis.Set(ctx, heardKey(chat, update), stored, heardLife).Err(); err != nil {
		return hall.Away("keep what was heard", err)
	}
	return nil
}
