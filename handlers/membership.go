package handlers

import (
	"context"

	"github.com/go-telegram/bot/models"
)

// membership learns that a person blocked the bot or let it in again, or that a group
// removed or added it: what is sent there has nobody to see it, or has again.
func (r *Router) membership(ctx context.Context, change *models.ChatMemberUpdated) error {
	switch change.NewChatMember.Type {
	case models.ChatMemberTypeBanned, models.ChatMemberTypeLeft:
		r.Sender.Lost(ctx, change.Chat.ID)
		if change.Chat.Type != models.ChatTypePrivate {
			return r.Till.Unpay(ctx, change.Chat.ID)
		}
	default:
		r.Sender.Heard(change.Chat.ID)
	}
	return nil
}
