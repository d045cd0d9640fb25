package bot

import (
	"context"
	"errors"
	"strings"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

const (
	webhookConns = 40 // deliveries at once
	secretMost   = 256
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

// ShownApp is the address of the web app that the menu button of private chats opens, ""
// where it opens none.
func ShownApp(ctx context.Context, client *tg.Bot) (string, error) {
	button, err := client.GetChatMenuButton(ctx, nil) // the library would name a chat "null"
	if err != nil {
		return "", failed("getChatMenuButton", err)
	}
	if button.WebApp == nil {
		return "", nil
	}
	return button.WebApp.WebApp.URL, nil
}

// ShownCommands are the commands that are listed in private chats, to people whose
// language has no list of its own.
func ShownCommands(ctx context.Context, client *tg.Bot) ([]models.BotCommand, error) {
	commands, err := client.GetMyCommands(ctx, &tg.GetMyCommandsParams{Scope: &models.BotCommandScopeAllPrivateChats{}})
	return commands, failed("getMyCommands", err)
}

func failed(method string, err error) error {
	if err == nil {
		return nil
	}
	return asAPIError(method, err)
}
