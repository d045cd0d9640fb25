package main

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/bot/outbox"
	"github.com/kikuai/kikuai/handlers"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/people"
	"github.com/kikuai/kikuai/handlers/talk"
	"github.com/kikuai/kikuai/handlers/texts"
	"github.com/kikuai/kikuai/handlers/till"
)

const meIn = 3 * time.Second // for the bot's own name

func (a *App) openBot(o Options) (err error) {
	inbox := bot.NewInbox(a.stores.gathered)
	if a.config.TelegramToken.IsSet() {
		if a.telegram, err = bot.NewClient(a.config.TelegramToken.Reveal(), a.config.TelegramAPIURL, nil); err != nil {
			return err
		}
		a.botName = a.username()
	}
	sender := bot.NewSender(bot.SenderOptions{Client: a.telegram, Redis: a.stores.gathered, Log: a.log, Registerer: a.registry})
	a.outbox = outbox.New(a.postgres)
	a.courier = outbox.NewCourier(outbox.CourierOptions{
		Outbox: a.outbox, Sender: bot.NewBatcher(sender), Log: a.log, Registerer: a.registry,
	})
	book, err := texts.Load()
	if err != nil {
		return err
	}
	a.router = handlers.New(handlers.Options{
		Hall: hall.Options{
			Accounts: a.desk.Accounts,
			Keys:     a.desk.Keys,
			Settings: a.desk.Settings,
			Tiers:    a.desk.Tiers,
			Texts:    book,
			Sender:   sender,
			Outbox:   a.outbox,
			Redis:    a.stores.gathered,
			Cache:    a.cache,
			CacheTTL: a.config.CacheTTL,
			Answers:  a.forgetAnswers,
			Commands: a.commands,
			TopUps:   a.topUps,
			Log:      a.log,
			Username: a.botName,
			BotID:    botID(a.config.TelegramToken.Reveal()),
			Admins:   a.config.Admins,
			Support:  a.config.SupportContact,
			Model:    a.config.ChatModel,
			BaseURL:  a.baseURL(),
		},
		Till: till.Options{
			Payments:   a.desk.Payments,
			Gifts:      a.desk.Gifts,
			Ledger:     a.desk.Ledger,
			Notices:    a.desk.Notices,
			Jobs:       a.desk.Jobs,
			Registerer: a.registry,
		},
		Talk: talk.Options{
			Completer:    a.meter,
			Files:        bot.NewFiles(a.telegram, nil),
			Hearer:       a.meter,
			HearModel:    a.config.HearingModel,
			Subscriber:   a.stores.blocking,
			MaxOutput:    a.config.ChatMaxOutput,
			SummaryModel: a.config.SummaryModel,
			Catalogue:    a.models,
			Later:        inbox,
		},
		People: people.Options{Payments: a.desk.Payments, Gifts: a.desk.Gifts},
		App: func(ctx context.Context) string {
			return miniApp(ctx, http.DefaultClient, a.config.PublicURL, a.config.TelegramAPIURL)
		},
	})
	inbox.Heed(a.router.Talk.Heed)
	a.dispatcher = bot.NewDispatcher(bot.DispatcherOptions{
		Redis:       a.stores.quick,
		Blocking:    a.stores.blocking,
		Leases:      a.inboxLeases,
		Handler:     a.router,
		Log:         a.log,
		Registerer:  a.registry,
		Concurrency: a.config.BotConcurrency,
		Deadline:    a.config.BotDeadline,
		Drain:       a.config.DrainTimeout,
	})
	if o.Poll {
		a.poller = bot.NewPoller(bot.PollerOptions{
			Token: a.config.TelegramToken.Reveal(), ServerURL: a.config.TelegramAPIURL, Inbox: inbox, Log: a.log,
		})
	}
	if secret := a.config.WebhookSecret.Reveal(); secret != "" {
		a.webhook = bot.NewWebhook(bot.WebhookOptions{Inbox: inbox, Secret: secret, Log: a.log, Registerer: a.registry})
	}
	return nil
}

// botID is the number before the colon of a bot's token.
func botID(token string) int64 {
	number, _, _ := strings.Cut(token, ":")
	id, _ := strconv.ParseInt(number, 10, 64) // the configuration has seen to it
	return id
}

// username asks Telegram for the bot's own name. Without an answer every command
// counts as ours, which is right in private chats.
func (a *App) username() string {
	ctx, cancel := context.WithTimeout(context.Background(), meIn)
	defer cancel()
	me, err := bot.Me(ctx, a.telegram)
	if err != nil {
		a.log.Warn("Telegram does not say who this bot is", "error", err)
		return ""
	}
	return me.Username
}
