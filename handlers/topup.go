package handlers

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
)

// Buttons of a top-up.
const (
	buttonTopUp   = "topup"    // the amounts
	buttonAmount  = "topup:"   // one of them, or a word
	amountOther   = "other"    // … asks for another
	amountMonthly = "monthly"  // … shows the monthly ones
	buttonMonthly = "monthly:" // a monthly amount
	startTopUp    = "topup"    // payload of /start
)

// amounts are the Stars that buttons offer.
func amounts() []int64 { return []int64{50, 100, 250, 500, 1000, 2500} }

const amountsInRow = 2

// topUp offers amounts, or with one makes the invoice at once.
func (r *Router) topUp(ctx context.Context, q request) error {
	account, err := r.account(ctx, q)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	if q.args == "" {
		return r.offerAmounts(ctx, q, account)
	}
	stars, ok := parseStars(q.args)
	if !ok {
		return r.say(ctx, q, fmt.Sprintf(textAmount, billing.StarsLeast, billing.StarsMost))
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

func (r *Router) offerAmounts(ctx context.Context, q request, account billing.Account) error {
	if account.Status != billing.StatusActive {
		return r.say(ctx, q, textClosed)
	}
	rows, err := r.amountRows(account.ID, buttonAmount, false)
	if err != nil {
		return err
	}
	text := fmt.Sprintf(textTopUp, dollars(account.Available))
	monthly, row, err := r.monthlyState(ctx, account.ID)
	if err != nil {
		return err
	}
	rows = append(rows, []models.InlineKeyboardButton{{Text: "Another amount", CallbackData: buttonAmount + amountOther}}, row)
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: q.chat.ID, ThreadID: q.thread, Text: text + monthly,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: rows}})
	return err
}

// amountRows are buttons for the amounts.
func (r *Router) amountRows(account int64, prefix string, monthly bool) (rows [][]models.InlineKeyboardButton, err error) {
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
			Text:         fmt.Sprintf("⭐ %d → %s", stars, dollars(offer.CreditNano)),
			CallbackData: prefix + strconv.FormatInt(stars, 10),
		})
	}
	return rows, nil
}

// invoice sends an invoice into the chat.
func (r *Router) invoice(ctx context.Context, q request, account billing.Account, stars int64) error {
	if account.Status != billing.StatusActive {
		return r.say(ctx, q, textClosed)
	}
	if may, err := r.admitTopUp(ctx, q, account.ID); err != nil || !may {
		return err
	}
	invoice, err := r.invoiceOf(account.ID, stars, false)
	if err != nil {
		return err
	}
	invoice.ChatID, invoice.ThreadID = q.chat.ID, q.thread
	_, err = r.Sender.SendInvoice(ctx, invoice)
	return err
}

func (r *Router) invoiceOf(account, stars int64, monthly bool) (bot.Invoice, error) {
	offer, err := r.Payments.Offer(account, stars, monthly)
	if err != nil {
		return bot.Invoice{}, fmt.Errorf("offer %d Stars: %w", stars, err)
	}
	worth := dollars(offer.CreditNano)
	invoice := bot.Invoice{Title: fmt.Sprintf(textInvoiceTitle, worth), Description: fmt.Sprintf(textInvoice, worth),
		Label: worth, Payload: offer.Payload, Stars: stars, Start: startTopUp, Monthly: monthly}
	if monthly {
		invoice.Title, invoice.Description = fmt.Sprintf(textMonthlyTitle, worth), fmt.Sprintf(textMonthly, worth)
	}
	return invoice, nil
}

// InvoiceLink returns a link at which the account's owner can pay so many Stars, once
// or each month. billing.ErrAmount.
func (r *Router) InvoiceLink(ctx context.Context, accountID, stars int64, monthly bool) (string, error) {
	invoice, err := r.invoiceOf(accountID, stars, monthly)
	if err != nil {
		return "", err
	}
	return r.Sender.InvoiceLink(ctx, invoice)
}

// pressTopUp answers the buttons of a top-up.
func (r *Router) pressTopUp(ctx context.Context, p pressed) error {
	if err := r.Sender.AnswerCallback(ctx, p.query.ID, ""); err != nil {
		return err
	}
	account, err := r.account(ctx, p.request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	switch p.data {
	case "":
		return r.offerAmounts(ctx, p.request, account)
	case amountOther:
		_, err := r.Sender.Send(ctx, bot.Message{ChatID: p.chat.ID, ThreadID: p.thread, AskReply: textAskPlaceholder,
			Text: fmt.Sprintf(textAskAmount, billing.StarsLeast, billing.StarsMost)})
		return err
	case amountMonthly:
		return r.offerMonthly(ctx, p, account)
	}
	stars, ok := parseStars(p.data)
	if !ok {
		return r.offerAmounts(ctx, p.request, account) // a button of long ago
	}
	return r.invoice(ctx, p.request, account, stars)
}

// isAmountReply tells whether a message answers the question for an amount.
func isAmountReply(m *models.Message) bool {
	asked := m.ReplyToMessage
	return asked != nil && asked.From != nil && asked.From.IsBot &&
		asked.Text == fmt.Sprintf(textAskAmount, billing.StarsLeast, billing.StarsMost)
}

// offerMonthly shows the monthly amounts.
func (r *Router) offerMonthly(ctx context.Context, p pressed, account billing.Account) error {
	if s, found, err := r.Payments.Subscription(ctx, account.ID); err != nil {
		return err
	} else if found && s.Running() && s.PaidUntil.After(time.Now()) {
		return r.say(ctx, p.request, textMonthlyRuns)
	}
	rows, err := r.amountRows(account.ID, buttonMonthly, true)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: p.chat.ID, ThreadID: p.thread, Text: textChooseMonthly,
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: rows}})
	return err
}

// pressMonthly makes the link to a subscription.
func (r *Router) pressMonthly(ctx context.Context, p pressed) error {
	if err := r.Sender.AnswerCallback(ctx, p.query.ID, ""); err != nil {
		return err
	}
	account, err := r.account(ctx, p.request)
	if err != nil {
		return fmt.Errorf("account: %w", err)
	}
	stars, ok := parseStars(p.data)
	if !ok || account.Status != billing.StatusActive {
		return r.offerAmounts(ctx, p.request, account)
	}
	if may, err := r.admitTopUp(ctx, p.request, account.ID); err != nil || !may {
		return err
	}
	link, err := r.InvoiceLink(ctx, account.ID, stars, true)
	if err != nil {
		return err
	}
	_, err = r.Sender.Send(ctx, bot.Message{ChatID: p.chat.ID, ThreadID: p.thread, Text: fmt.Sprintf(textMonthlyLink, stars),
		Keyboard: &models.InlineKeyboardMarkup{InlineKeyboard: [][]models.InlineKeyboardButton{{
			{Text: fmt.Sprintf("Subscribe for ⭐ %d a month", stars), URL: link},
		}}}})
	return err
}
