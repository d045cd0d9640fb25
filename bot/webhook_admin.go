package bot

import (
	"context"
	"errors"
	"fmt"
	"strings"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

const (
	webhookConns = 40 // deliveries at once
	secretMost   = 256
	commandsMost = 100
	secretRunes  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
)

// SetWebhook asks Telegram to deliver updates to url with the secret. Updates that wait
// stay waiting: there may be payments among them.
func SetWebhook(ctx context.Context, client *tg.Bot, url, secret string) error {
	if secret == "" || len(secret) > secretMost || strings.Trim(secret, secretRunes) != "" {
		return errors.New("webhook secret must be 1 to 256 characters of A-Z, a-z, 0-9, _ and -")
	}
	if url == "" {
		return errors.New("webhook without an address")
	}
	_, err := client.SetWebhook(ctx, &tg.SetWebhookParams{
		URL: url, SecretToken: secret, MaxConnections: webhookConns, AllowedUpdates: AllowedUpdates(),
	})
	return failed("setWebhook", err)
}

// DeleteWebhook ends deliveries. Updates that wait stay waiting.
func DeleteWebhook(ctx context.Context, client *tg.Bot) error {
	_, err := client.DeleteWebhook(ctx, &tg.DeleteWebhookParams{})
	return failed("deleteWebhook", err)
}

// WebhookInfo returns where Telegram delivers to, and its last trouble doing so.
func WebhookInfo(ctx context.Context, client *tg.Bot) (*models.WebhookInfo, error) {
	info, err := client.GetWebhookInfo(ctx)
	if err != nil {
		return nil, failed("getWebhookInfo", err)
	}
	return info, nil
}

// Me returns the bot's own account.
func Me(ctx context.Context, client *tg.Bot) (*models.User, error) {
	me, err := client.GetMe(ctx)
	if err != nil {
		return nil, failed("getMe", err)
	}
	return me, nil
}

// SetCommands shows the commands in the menu of every chat.
func SetCommands(ctx context.Context, client *tg.Bot, commands []models.BotCommand) error {
	if len(commands) > commandsMost {
		return fmt.Errorf("%d commands, Telegram takes %d", len(commands), commandsMost)
	}
	_, err := client.SetMyCommands(ctx, &tg.SetMyCommandsParams{Commands: commands})
	return failed("setMyCommands", err)
}

// SetMenuButton makes the menu button of private chats open the web app at url. With an
// empty url the button lists the commands.
func SetMenuButton(ctx context.Context, client *tg.Bot, text, url string) error {
	params := &tg.SetChatMenuButtonParams{MenuButton: models.MenuButtonCommands{Type: models.MenuButtonTypeCommands}}
	if url != "" {
		params.MenuButton = models.MenuButtonWebApp{
			Type: models.MenuButtonTypeWebApp, Text: text, WebApp: models.WebAppInfo{URL: url},
		}
	}
	_, err := client.SetChatMenuButton(ctx, params)
	return failed("setChatMenuButton", err)
}

func failed(method string, err error) error {
	if err == nil {
		return nil
	}
	return asAPIError(method, err)
}
