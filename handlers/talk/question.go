package talk

import (
	"context"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// question gathers the turn's pieces and makes one question of them. What comes while
// they are read is read, too.
func (r *Room) question(ctx context.Context, t *turn) error {
	for {
		if err := r.gather(ctx, t); err != nil {
			return err
		}
		pieces := len(t.pieces)
		if err := r.read(ctx, t); err != nil {
			return err
		}
		if r.absorb(t); len(t.pieces) == pieces {
			return nil
		}
	}
}

// between is what stands between two pieces of a question. Where an app cut a text at the
// limit, nothing is missing; where it looked for a better place before it, a blank or a
// line's end was lost there.
func between(before, after *bot.Update) string {
	first, second := before.Message, after.Message
	switch {
	case !isCut(first) || second.Text == "" || second.ReplyToMessage != nil || second.ForwardOrigin != nil:
		return "\n\n"
	case hall.UTF16Len(first.Text) >= messageUnits:
		return ""
	default:
		return "\n"
	}
}
