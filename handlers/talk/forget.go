package talk

import (
	"context"

	"github.com/kikuai/kikuai/handlers/hall"
)

// Forget begins a topic's conversation anew.
func (r *Room) Forget(ctx context.Context, q hall.Request) error {
	if err := r.turns.Forget(ctx, topic{q.Chat.ID, q.Thread}); err != nil {
		return err
	}
	return r.Say(ctx, q, q.Voice.Say("chat.forgotten"))
}
