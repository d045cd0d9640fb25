package main

import (
	"context"
	"errors"
	"fmt"

	tg "github.com/go-telegram/bot"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/internal/config"
)

type webhookCommand struct {
	Set    webhookSet    `cmd:"" help:"Deliver updates to PUBLIC_URL/webhook, and show the bot's commands in its menu."`
	Info   webhookInfo   `cmd:"" help:"Show where updates go and what went wrong last."`
	Delete webhookDelete `cmd:"" help:"Stop deliveries. Updates that wait stay waiting."`
}

func (t *terminal) telegram(need config.Need) (*config.Config, *tg.Bot, error) {
	c, err := t.load(need | config.NeedTelegram)
	if err != nil {
		return nil, nil, err
	}
	client, err := bot.NewClient(c.TelegramToken.Reveal(), c.TelegramAPIURL, nil)
	return c, client, err
}

type webhookSet struct{}

func (webhookSet) Run(t *terminal) error {
	c, client, err := t.telegram(config.NeedWebhook)
	if err != nil {
		return err
	}
	if err := introduce(t.ctx, client, c); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, "Telegram delivers updates to %s/webhook.\n", c.PublicURL)
	return err
}

// introduce tells Telegram where the bot is and what it understands.
func introduce(ctx context.Context, client *tg.Bot, c *config.Config) error {
	return errors.Join(
		bot.SetWebhook(ctx, client, c.PublicURL+"/webhook", c.WebhookSecret.Reveal()),
		showMenus(ctx, client, c),
	)
}

type webhookInfo struct {
	asJSON `embed:""`
}

func (c webhookInfo) Run(t *terminal) error {
	_, client, err := t.telegram(config.NeedNothing)
	if err != nil {
		return err
	}
	info, err := bot.WebhookInfo(t.ctx, client)
	if err != nil {
		return err
	}
	return c.print(t.out, info,
		[2]string{"url", info.URL},
		[2]string{"waiting updates", decimal(info.PendingUpdateCount)},
		[2]string{"connections", decimal(info.MaxConnections)},
		[2]string{"last error", info.LastErrorMessage})
}

type webhookDelete struct{}

func (webhookDelete) Run(t *terminal) error {
	_, client, err := t.telegram(config.NeedNothing)
	if err != nil {
		return err
	}
	if err := bot.DeleteWebhook(t.ctx, client); err != nil {
		return err
	}
	_, err = fmt.Fprintln(t.out, "Deliveries have stopped. Updates that wait stay waiting.")
	return err
}
