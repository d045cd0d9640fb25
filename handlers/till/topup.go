package till

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/handlers/texts"
)

// Buttons of a top-up.
const (
	buttonTopUp   = "topup"    // the amounts
	buttonAmount  = "topup:"   // one of them, or a word
	amountOther   = "other"    // … asks for another
	amountMonthly = "monthly"  // … shows the monthly ones
	buttonMonthly = "monthly:" // a monthly amount
)

// amounts are the Stars that buttons offer.
func amounts() []int64 { return []int64{50, 100, 250, 500, 1000, 2500} }

const amountsInRow = 2

// TopUp offers amounts, or with one makes the invoice at once.
func (r *Room) TopUp(ctx context.Context, q hall.Request) error {
	account, err := r.Account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if q.Args == "" {
		return r.OfferAmounts(ctx, q, account)
	}
	stars, ok := parseStars(q.Args)
	if !ok {
		return r.Say(ctx, q, q.Voice.Say("topup.amount", "least", texts.Plain(billing.StarsLeast), "most", texts.Plain(billing.StarsMost)))
	}
	return r.invoice(ctx, q, account, stars)
}

// parseStars reads an amount: plain digits and nothing else, so that nobody pays what
// they did not mean.
func parseStars(text string) (stars int64, ok bool) {
	text = strings.TrimSpace(text)
	if text == "" || len(text) > len("10000") || strings.Trim(text, "0123456789") != "" {
		return 0, false
	}
	stars, err := strconv.ParseInt(text, 10, 64)
	return stars, err == nil && stars >= billing.StarsLeast && stars <= billing.StarsMost
}

// OfferAmounts shows the amounts to choose from, and how the monthly top-up stands.
func (r *Room) OfferAmounts(ctx context.Context, q hall.Request, account billing.Account) error {
	if account.Status != billing.StatusActive {
		return r.Say(ctx, q, q.Voice.Say("account.closed"))
	}
	rows, err := r.amountRows(q.Voice, account.ID, buttonAmount, false)
	if err != nil {
		return err
	}
	text := q.Voice.Say("topup.choose", "balance", hall.Dollars(account.Available))
	monthly, row, err := r.monthlyState(ctx, q, account.ID)
	if err != nil {
		return err
	}
	rows = append(rows, []models.InlineKeyboardButton{{Text: q.Voice.Say("topup.another"), CallbackData: buttonAmount + amountOther}}, row)
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.Chat.ID, ThreadID: q.Thread, Text: text + monthly,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: rows}})
	return err
}

// amountRows are buttons for the amounts.
func (r *Room) amountRows(voice texts.Voice, account int64, prefix string, monthly bool) (rows [][]models.InlineKeyboardButton, err error) {
	for i, stars := range amounts() {
		offer, err := r.Payments.Offer(account, stars, monthly)
		if err != nil {
			return nil, fmt.Errorf("offer %d Stars: %w", stars, err)
		}
		if i%amountsInRow == 0 {
			rows = append(rows, nil)
		}
		last := &rows[len(rows)-1]
		*last = append(*last, models.InlineKeyboardButton{
			Text:         starSign + texts.Plain(stars) + " → " + voice.Dollars(offer.CreditNano),
			CallbackData: prefix + strconv.FormatInt(stars, 10),
		})
	}
	return rows, nil
}

// invoice sends an invoice into the chat.
func (r *Room) invoice(ctx context.Context, q hall.Request, account billing.Account, stars int64) error {
	if account.Status != billing.StatusActive {
		return r.Say(ctx, q, q.Voice.Say("account.closed"))
	}
	if may, err := r.AdmitTopUp(ctx, q, account.ID); err != nil || !may {
		return err
	}
	invoice, err := r.invoiceOf(q.Voice, account.ID, stars, false)
	if err != nil {
		return err
	}
	invoice.ChatID, invoice.ThreadID = q.Chat.ID, q.Thread
	_, err = r.Sender.SendInvoice(ctx, invoice)
	return err
}

func (r *Room) invoiceOf(voice texts.Voice, account, stars int64, monthly bool) (bot.Invoice, error) {
	offer, err := r.Payments.Offer(account, stars, monthly)
	if err != nil {
		return bot.Invoice{}, fmt.Errorf("offer %d Stars: %w", stars, err)
	}
	worth := voice.Dollars(offer.CreditNano)
	invoice := bot.Invoice{Title: voice.Say("invoice.title", "worth", worth), Description: voice.Say("invoice.text", "worth", worth),
		Label: worth, Payload: offer.Payload, Stars: stars, Start: hall.StartTopUp, Monthly: monthly}
	if monthly {
		invoice.Title, invoice.Description = voice.Say("invoice.monthly_title", "worth", worth), voice.Say("invoice.monthly_text", "worth", worth)
	}
	return invoice, nil
}

// InvoiceLink returns a link at which the account's owner can pay so many Stars, once
// or each month. billing.ErrAmount.
func (r *Room) InvoiceLink(ctx context.Context, accountID, stars int64, monthly bool) (string, error) {
	return r.invoiceLink(ctx, r.VoiceOf(ctx, accountID), accountID, stars, monthly)
}

func (r *Room) invoiceLink(ctx context.Context, voice texts.Voice, account, stars int64, monthly bool) (string, error) {
	invoice, err := r.invoiceOf(voice, account, stars, monthly)
	if err != nil {
		return "", err
	}
	return r.Sender.InvoiceLink(ctx, invoice)
}

// pressTopUp answers the buttons of a top-up.
func (r *Room) pressTopUp(ctx context.Context, p hall.Press) error {
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	account, err := r.Account(ctx, p.Request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	switch p.Data {
	case "":
		return r.OfferAmounts(ctx, p.Request, account)
	case amountOther:
		_, err := r.Sender.Send(ctx, bot.Message{ChatID: p.Chat.ID, ThreadID: p.Thread, AskReply: p.Voice.Say("topup.placeholder"),
			Text: p.Voice.Say("topup.ask", "least", texts.Plain(billing.StarsLeast), "most", texts.Plain(billing.StarsMost))})
		return err
	case amountMonthly:
		return r.offerMonthly(ctx, p, account)
	}
	stars, ok := parseStars(p.Data)
	if !ok {
		return r.OfferAmounts(ctx, p.Request, account) // a button of long ago
	}
	return r.invoice(ctx, p.Request, account, stars)
}

// IsAmountReply tells whether a message answers the question for an amount.
func (r *Room) IsAmountReply(m *models.Message) bool {
	asked := m.ReplyToMessage
	return asked != nil && asked.From != nil && asked.From.IsBot &&
		r.Texts.Is(asked.Text, "topup.ask", "least", texts.Plain(billing.StarsLeast), "most", texts.Plain(billing.StarsMost))
}

// offerMonthly shows the monthly amounts.
func (r *Room) offerMonthly(ctx context.Context, p hall.Press, account billing.Account) error {
	if s, found, err := r.Payments.Subscription(ctx, account.ID); err != nil {
		return err
	} else if found && s.Running() && s.PaidUntil.After(time.Now()) {
		return r.Say(ctx, p.Request, p.Voice.Say("monthly.runs"))
	}
	rows, err := r.amountRows(p.Voice, account.ID, buttonMonthly, true)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: p.Chat.ID, ThreadID: p.Thread, Text: p.Voice.Say("monthly.choose"),
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: rows}})
	return err
}

// pressMonthly makes the link to a subscription.
func (r *Room) pressMonthly(ctx context.Context, p hall.Press) error {
	if err := r.Sender.AnswerCallback(ctx, p.Query.ID, ""); err != nil {
		return err
	}
	account, err := r.Account(ctx, p.Request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	stars, ok := parseStars(p.Data)
	if !ok || account.Status != billing.StatusActive {
		return r.OfferAmounts(ctx, p.Request, account)
	}
	if may, err := r.AdmitTopUp(ctx, p.Request, account.ID); err != nil || !may {
		return err
	}
	link, err := r.invoiceLink(ctx, p.Voice, account.ID, stars, true)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: p.Chat.ID, ThreadID: p.Thread, Text: p.Voice.Say("monthly.link", "stars", texts.Plain(stars)),
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: p.Voice.Say("monthly.subscribe", "stars", texts.Plain(stars)), URL: link},
		}}}})
	return err
}
