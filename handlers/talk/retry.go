package talk

import (
	"context"

	"github.com/kikuai/kikuai/handlers/hall"
)

// Retry asks the topic's latest question again. The answer takes the place of the one
// before in the conversation.
func (r *Room) Retry(ctx context.Context, q hall.Request) error {
	t := r.newTurn(q)
	t.again = true
	return r.take(ctx, t, func(ctx context.Context, t *turn) (string, error) {
		pieces, err := piecesOf(t.before.pieces)
		if err != nil {
			r.Log.WarnContext(ctx, "a turn cannot be asked again", "error", err)
			pieces = nil
		}
		if len(pieces) == 0 {
			return t.Voice.Say("talk.nothing_to_retry"), nil
		}
		if asker := pieces[0].Message.From; asker == nil || asker.ID != t.From.ID {
			if may, err := r.mayDecide(ctx, t.Request, 0); err != nil || !may {
				return t.Voice.Say("group.not_yours"), err
			}
		}
		t.pieces = pieces
		t.replace(t.before.last)
		return "", nil
	})
}
