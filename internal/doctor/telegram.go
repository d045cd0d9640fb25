package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/bot"
)

const (
	pendingWorth  = 100 // updates that wait, worth a word
	pendingMost   = 1000
	errorRecent   = time.Hour
	leastConns    = 10
	mendByWebhook = "run kikuai webhook set"
)

// Telegram is the bot as Telegram knows it, and as it should be.
type Telegram struct {
	Client   *tg.Bot
	Webhook  string                           // where updates are to be delivered; "": nowhere, they are polled for
	Updates  []string                         // the kinds of updates that the program handles
	Commands []models.BotCommand              // in private chats, in English
	App      func(ctx context.Context) string // address of the Mini App; "": none is served
	Now      func() time.Time
}

// Checks of the bot.
func (t Telegram) Checks() []Check {
	return []Check{{"telegram.bot", t.bot}, {"telegram.webhook", t.webhook}, {"telegram.commands", t.commands}, {"telegram.menu", t.menu}}
}

func (t Telegram) bot(ctx context.Context) []Finding {
	me, err := bot.Me(ctx, t.Client)
	if err != nil {
		return []Finding{fault("correct TELEGRAM_BOT_TOKEN (BotFather shows it), or let this machine reach the Bot API", "Telegram does not know the bot: %s.", reason(err))}
	}
	found := []Finding{well("Telegram knows the bot as @%s.", me.Username)}
	if !me.SupportInlineQueries {
		found = append(found, warning("send BotFather /setinline and /setinlinefeedback, or leave it",
			"Inline mode is off: @%s cannot be asked from other chats.", me.Username))
	}
	return found
}

// webhook is whether updates come here, all kinds of them, and arrive.
func (t Telegram) webhook(ctx context.Context) (found []Finding) {
	if t.Webhook == "" {
		return nil
	}
	info, err := bot.WebhookInfo(ctx, t.Client)
	if err != nil {
		return nil // which bot tells
	}
	switch {
	case info.URL == "":
		return []Finding{fault(mendByWebhook, "No webhook is set: updates go nowhere.")}
	case info.URL != t.Webhook:
		return []Finding{fault(mendByWebhook, "Telegram delivers to %s, and PUBLIC_URL makes it %s.", info.URL, t.Webhook)}
	}
	if missing := lacking(t.Updates, info.AllowedUpdates); len(missing) > 0 {
		found = append(found, fault(mendByWebhook, "Telegram keeps updates of these kinds to itself: %s.", strings.Join(missing, ", ")))
	}
	if info.MaxConnections > 0 && info.MaxConnections < leastConns {
		found = append(found, warning(mendByWebhook, "Telegram delivers over at most %d connections.", info.MaxConnections))
	}
	switch n := info.PendingUpdateCount; {
	case n >= pendingMost:
		found = append(found, fault("look at the last error, at /readyz and at telegram_inbox_lag", "%d updates wait at Telegram.", n))
	case n >= pendingWorth:
		found = append(found, warning("look again in a minute; if it grows, look at /readyz", "%d updates wait at Telegram.", n))
	}
	if at := time.Unix(int64(info.LastErrorDate), 0); info.LastErrorMessage != "" && t.Now().Sub(at) < errorRecent {
		mend := "look at the proxy's and the server's log of that moment"
		if strings.Contains(info.LastErrorMessage, "401") {
			mend = "the secret that Telegram sends is not this WEBHOOK_SECRET: " + mendByWebhook
		}
		found = append(found, warning(mend, "A delivery failed %s ago: %s.", t.Now().Sub(at).Round(time.Second), info.LastErrorMessage))
	}
	if len(found) == 0 {
		found = append(found, well("Telegram delivers to %s; %d updates wait.", info.URL, info.PendingUpdateCount))
	}
	return found
}

// lacking are those of the wanted that are not there. No list is Telegram's own, which
// holds all but a few that we want none of.
func lacking(wanted, there []string) (missing []string) {
	if len(there) == 0 {
		return nil
	}
	for _, kind := range wanted {
		if !slices.Contains(there, kind) {
			missing = append(missing, kind)
		}
	}
	return missing
}

func (t Telegram) commands(ctx context.Context) []Finding {
	shown, err := bot.ShownCommands(ctx, t.Client)
	switch {
	case err != nil:
		return nil
	case len(shown) == 0:
		return []Finding{warning(mendByWebhook, "The bot's menu lists no commands.")}
	case !slices.Equal(shown, t.Commands):
		return []Finding{warning(mendByWebhook+"; servers do it by themselves within ten minutes", "The bot's menu lists other commands than this release has.")}
	}
	return []Finding{well("The bot's menu lists its %d commands.", len(shown))}
}

func (t Telegram) menu(ctx context.Context) []Finding {
	app, err := bot.ShownApp(ctx, t.Client)
	if err != nil {
		return nil
	}
	switch served := t.App(ctx); {
	case served == "" && app == "":
		return []Finding{well("The menu button lists the commands: no Mini App can be opened at this PUBLIC_URL.")}
	case app != served:
		return []Finding{warning(mendByWebhook+"; servers do it by themselves within ten minutes", "The menu button opens %s, and the Mini App is at %s.", orNothing(app), orNothing(served))}
	}
	return []Finding{well("The menu button opens the Mini App.")}
}

func orNothing(address string) string {
	if address == "" {
		return "nothing"
	}
	return address
}
