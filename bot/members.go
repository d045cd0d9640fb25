package bot

import (
	"context"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

// Administers tells whether somebody owns a group or is one of its administrators, by
// Telegram's word of this moment. Who is not known there does not.
func (s *Sender) Administers(ctx context.Context, group, person int64) (is bool, err error) {
	const noChat = 0 // asking takes no place in the chat's pace
	err = s.persist(ctx, noChat, "getChatMember", func(ctx context.Context) error {
		member, err := s.client.GetChatMember(ctx, &tg.GetChatMemberParams{ChatID: group, UserID: person})
		if err == nil {
			is = member.Type == models.ChatMemberTypeOwner || member.Type == models.ChatMemberTypeAdministrator
		}
		return err
	})
	if refused(err) {
		return false, nil
	}
	return is, err
}
