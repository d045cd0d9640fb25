package bot

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

const commandsMost = 100

// Menu are the commands that a client lists in the chats of a scope, to people of a
// language. Of several that fit, Telegram takes the one of the narrowest scope.
type Menu struct {
	Scope    models.BotCommandScope // nil: every chat that has no menu of its own
	Language string                 // two letters; "": everybody whose language has no menu
	Commands []models.BotCommand    // none: the menu is taken away
}

// SetMenus shows the menus, one after another. One for a chat that Telegram does not know
// yet, such as of somebody who never wrote, is passed over.
func SetMenus(ctx context.Context, client *tg.Bot, menus ...Menu) error {
	for _, m := range menus {
		err := setMenu(ctx, client, m)
		var api *APIError
		if m.ofOneChat() && errors.As(err, &api) && api.Code == http.StatusBadRequest {
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// ShowMenu shows one menu.
func (s *Sender) ShowMenu(ctx context.Context, m Menu) error {
	const noChat = 0 // a menu takes no place in a chat's pace
	return s.persist(ctx, noChat, "setMyCommands", func(ctx context.Context) error { return setMenu(ctx, s.client, m) })
}

func (m Menu) ofOneChat() bool {
	_, is := m.Scope.(*models.BotCommandScopeChat)
	return is
}

func setMenu(ctx context.Context, client *tg.Bot, m Menu) error {
	if len(m.Commands) > commandsMost {
		return fmt.Errorf("%d commands, Telegram takes %d", len(m.Commands), commandsMost)
	}
	if len(m.Commands) == 0 {
		_, err := client.DeleteMyCommands(ctx, &tg.DeleteMyCommandsParams{Scope: m.Scope, LanguageCode: m.Language})
		return failed("deleteMyCommands", err)
	}
	_, err := client.SetMyCommands(ctx, &tg.SetMyCommandsParams{Commands: m.Commands, Scope: m.Scope, LanguageCode: m.Language})
	return failed("setMyCommands", err)
}
