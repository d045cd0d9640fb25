package till

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
)

// StartGift begins a payload of /start; a gift's code follows.
const StartGift = "gift_"

const (
	buttonGift = "gift:" // takes the gift of the code behind it

	// beforeLink keeps a link apart from the words, whichever way those are written.
	beforeLink = "\n\n"
)

// Gift makes a gift of an amount of dollars, or without one tells how and lists those
// that nobody has taken. It is named after its update, so that a redelivery shows the
// same link and takes nothing more.
func (r *Room) Gift(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if strings.TrimSpace(q.Args) == "" {
		return r.giftsOpen(ctx, q, account.ID)
	}
	nano, ok := parseDollars(q.Args, billing.GiftLeast, billing.GiftMost)
	if !ok {
		return r.Say(ctx, q, q.Voice.Say("gift.amount", "least", hall.Dollars(billing.GiftLeast), "most", hall.Dollars(billing.GiftMost)))
	}
	gift, err := r.Gifts.Give(ctx, billing.Wish{AccountID: account.ID, AmountNano: nano, Name: "tg-" + strconv.FormatInt(q.Update, 10)})
	var poor *billing.PoorError
	var bound *billing.GiftBoundError
	switch {
	case errors.As(err, &poor):
		return r.sayTopUp(ctx, q, q.Voice.Say("gift.poor", "balance", hall.Dollars(poor.Available)))
	case errors.As(err, &bound):
		return r.sayTopUp(ctx, q, q.Voice.Say("gift.bound", "left", hall.Dollars(bound.Most)))
	case errors.Is(err, billing.ErrGiftLimit):
		return r.Say(ctx, q, q.Voice.Say("gift.limit", "most", billing.GiftsOpen))
	case errors.Is(err, billing.ErrAccountInactive):
		return r.Say(ctx, q, q.Voice.Say("account.closed"))
	case err != nil:
		return fmt.Errorf("give: %w", err)
	}
	return r.showGift(ctx, q, gift)
}

// parseDollars reads an amount of dollars between two in nano-USD: plain digits with or
// without a point and a dollar sign, so that nobody gives what they did not mean.
func parseDollars(text string, least, most int64) (nano int64, ok bool) {
	text = strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(text), "$"), "$")
	nano, err := billing.ParseUSD(text)
	return nano, err == nil && nano >= least && nano <= most
}

func (r *Room) showGift(ctx context.Context, q hall.Request, gift billing.Gift) error {
	link := r.StartLink(StartGift + gift.Code)
	keyboard := r.linkButtons(q, link)
	keyboard.InlineKeyboard = append(keyboard.InlineKeyboard, []models.InlineKeyboardButton{
		{Text: q.Voice.Say("gift.back"), CallbackData: buttonGift + gift.Code}})
	text := q.Voice.Say("gift.made", "amount", hall.Dollars(gift.AmountNano), "day", q.Voice.Day(gift.Expires.In(q.Settings.Location())))
	_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text + beforeLink + link, Keyboard: keyboard})
	return err
}

// linkButtons share a link with somebody, and copy it.
func (r *Room) linkButtons(q hall.Request, link string) *models.InlineKeyboardMarkup {
	return &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
		{Text: q.Voice.Say("link.share"), URL: "https://t.me/share/url?url=" + link},
		{Text: q.Voice.Say("link.copy"), CopyText: &models.CopyTextButton{Text: link}},
	}}}
}

// giftsOpen tells how to give, and lists what nobody has taken with buttons to take it back.
func (r *Room) giftsOpen(ctx context.Context, q hall.Request, account int64) error {
	gifts, err := r.Gifts.Open(ctx, account)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString(q.Voice.Say("gift.how"))
	var rows [][]models.InlineKeyboardButton
	if len(gifts) > 0 {
		text.WriteString(q.Voice.Say("gift.open"))
	}
	for _, gift := range gifts {
		day := q.Voice.Day(gift.Expires.In(q.Settings.Location()))
		text.WriteString(q.Voice.Say("gift.line", "amount", hall.Dollars(gift.AmountNano), "day", day) + "\n" + r.StartLink(StartGift+gift.Code))
		rows = append(rows, []models.InlineKeyboardButton{{
			Text: q.Voice.Say("gift.back_amount", "amount", hall.Dollars(gift.AmountNano)), CallbackData: buttonGift + gift.Code}})
	}
	m := bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text.String()}
	if len(rows) > 0 {
		m.Keyboard = &models.InlineKeyboardMarkup{InlineKeyboard: rows}
	}
	_, err = r.Sender.Send(ctx, m)
	return err
}

// TakeGift gives the gift of a link to whom the request is from, or back to its giver.
func (r *Room) TakeGift(ctx context.Context, q hall.Request, code string) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if account.Status != billing.StatusActive {
		return r.Say(ctx, q, q.Voice.Say("account.closed"))
	}
	gift, err := r.Gifts.Take(ctx, code, account.ID)
	switch {
	case errors.Is(err, billing.ErrGiftPending):
		_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: q.Voice.Say("gift.pending"),
			Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
				{Text: q.Voice.Say("gift.again"), CallbackData: buttonGift + code}}}}})
		return err
	case errors.Is(err, billing.ErrGiftUnknown):
		return r.Say(ctx, q, q.Voice.Say("gift.unknown"))
	case errors.Is(err, billing.ErrGiftTaken):
		return r.Say(ctx, q, q.Voice.Say("gift.taken"))
	case errors.Is(err, billing.ErrGiftGone):
		return r.Say(ctx, q, q.Voice.Say("gift.gone"))
	case err != nil:
		return fmt.Errorf("take a gift: %w", err)
	}
	balance, err := r.Accounts.Balance(ctx, account.ID)
	if err != nil {
		return fmt.Errorf("balance: %w", err)
	}
	key := "gift.got"
	if gift.AccountID == account.ID {
		key = "gift.own_back"
	} else {
		r.tell(ctx, billing.GiftNotice(gift.ID))
	}
	return r.Say(ctx, q, q.Voice.Say(key, "amount", hall.Dollars(gift.AmountNano), "balance", hall.Dollars(balance.Available)))
}

// pressGift is the button under a gift.
func (r *Room) pressGift(ctx context.Context, p hall.Press) error {
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	return r.TakeGift(ctx, p.Request, p.Data)
}

// sayTopUp says something that more money would change.
func (r *Room) sayTopUp(ctx context.Context, q hall.Request, text string) error {
	_, err := r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text, Keyboard: topUpButton(q.Voice)})
	return err
}
