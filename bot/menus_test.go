package bot

import (
	"context"
	"strings"
	"testing"

	"github.com/go-telegram/bot/models"
)

func TestMenus(t *testing.T) {
	a := newAPI(t)
	client, err := NewClient(testToken, a.url+"/", a.client)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	help := []models.BotCommand{{Command: "help", Description: "Help"}}
	a.script(func(c call) reply {
		if strings.Contains(c.params["scope"], `"chat"`) {
			return reply{status: 400, body: `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`}
		}
		return reply{body: `{"ok":true,"result":true}`}
	})
	err = SetMenus(ctx, client, Menu{}, Menu{Scope: &models.BotCommandScopeChat{ChatID: 7}, Commands: help},
		Menu{Scope: &models.BotCommandScopeAllPrivateChats{}, Language: "ru", Commands: help})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(a.made("deleteMyCommands")); n != 1 {
		t.Errorf("%d menus were taken away", n)
	}
	set := a.made("setMyCommands")
	if len(set) != 2 || set[1].params["language_code"] != "ru" || !strings.Contains(set[1].params["scope"], "all_private_chats") {
		t.Errorf("set %+v", set)
	}
	if err := SetMenus(ctx, client, Menu{Commands: make([]models.BotCommand, 101)}); err == nil {
		t.Error("101 commands were taken")
	}
	a.script(func(call) reply {
		return reply{status: 400, body: `{"ok":false,"error_code":400,"description":"Bad Request: BOT_COMMAND_INVALID"}`}
	})
	if err := SetMenus(ctx, client, Menu{Commands: help}); err == nil {
		t.Error("a refusal was passed over")
	}
}
