package people

import (
	"context"

	"github.com/kikuai/kikuai/handlers/hall"
)

// Terms are what somebody agrees to by using the bot.
func (r *Room) Terms(ctx context.Context, q hall.Request) error {
	return r.Say(ctx, q, q.Voice.Say("legal.terms"))
}

// Privacy says what is kept of people.
func (r *Room) Privacy(ctx context.Context, q hall.Request) error {
	return r.Say(ctx, q, q.Voice.Say("legal.privacy"))
}
