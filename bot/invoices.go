package bot

import (
	"context"
	"time"

	tg "github.com/go-telegram/bot"
	"github.com/go-telegram/bot/models"
)

// What Telegram takes.
const (
	invoiceTitleMax = 32  // UTF-16 units
	invoiceTextMax  = 255 // UTF-16 units
	refusalMax      = 255 // UTF-16 units of an answer to a pre-checkout; more than that nobody reads
	transactionsMax = 100 // of one answer
	month           = 30 * 24 * time.Hour
	currencyStars   = "XTR"
)

// checkoutTry is how long one try at an answer may take while the payer waits.
const checkoutTry = 2 * time.Second

// Invoice asks for Telegram Stars.
type Invoice struct {
	ChatID      int64 // where it is sent; unused for links
	ThreadID    int
	Title       string
	Description string
	Label       string // of the one price
	Payload     string // comes back with the payment; at most 128 bytes
	Stars       int64
	Start       string // what /start is given by who follows a forwarded copy, which cannot be paid then
	Monthly     bool   // a link to a subscription
}

func (i *Invoice) price() []models.LabeledPrice {
	return []models.LabeledPrice{{Label: i.Label, Amount: int(i.Stars)}}
}

// SendInvoice sends an invoice with a button to pay it and returns the message's id.
func (s *Sender) SendInvoice(ctx context.Context, i Invoice) (id int, err error) {
	params := &tg.SendInvoiceParams{
		ChatID: i.ChatID, MessageThreadID: i.ThreadID, Title: clipUnits(i.Title, invoiceTitleMax),
		Description: clipUnits(i.Description, invoiceTextMax), Payload: i.Payload, Currency: currencyStars,
		Prices: i.price(), StartParameter: i.Start,
	}
	err = s.inTurn(ctx, i.ChatID, func() error {
		return s.persist(ctx, i.ChatID, "sendInvoice", func(ctx context.Context) error {
			sent, err := s.client.SendInvoice(ctx, params)
			if err == nil {
				id = sent.ID
			}
			return err
		})
	})
	return id, err
}

// InvoiceLink returns a link at which the invoice can be paid.
func (s *Sender) InvoiceLink(ctx context.Context, i Invoice) (link string, err error) {
	params := &tg.CreateInvoiceLinkParams{
		Title: clipUnits(i.Title, invoiceTitleMax), Description: clipUnits(i.Description, invoiceTextMax),
		Payload: i.Payload, Currency: currencyStars, Prices: i.price(),
	}
	if i.Monthly {
		params.SubscriptionPeriod = int(month.Seconds())
	}
	const noChat = 0
	err = s.persist(ctx, noChat, "createInvoiceLink", func(ctx context.Context) error {
		link, err = s.client.CreateInvoiceLink(ctx, params)
		return err
	})
	return link, err
}

// AnswerPreCheckout lets a payment through, or refuses it with words for the payer. A
// query that Telegram has given up already is no error.
func (s *Sender) AnswerPreCheckout(ctx context.Context, queryID, refusal string) error {
	const noChat = 0
	params := &tg.AnswerPreCheckoutQueryParams{
		PreCheckoutQueryID: queryID, OK: refusal == "", ErrorMessage: clipUnits(refusal, refusalMax),
	}
	return s.persist(ctx, noChat, methodCheckout, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, checkoutTry)
		defer cancel()
		_, err := s.client.AnswerPreCheckoutQuery(ctx, params)
		if refusedFor(err, "query is too old") || refusedFor(err, "query ID is invalid") {
			return nil
		}
		return err
	})
}

// RefundStars gives a payment back to who paid it. One that was given back before is no
// error.
func (s *Sender) RefundStars(ctx context.Context, userID int64, chargeID string) error {
	const noChat = 0
	return s.persist(ctx, noChat, "refundStarPayment", func(ctx context.Context) error {
		_, err := s.client.RefundStarPayment(ctx, &tg.RefundStarPaymentParams{UserID: userID, TelegramPaymentChargeID: chargeID})
		if refusedFor(err, "CHARGE_ALREADY_REFUNDED") {
			return nil
		}
		return err
	})
}

// StarTransactions returns at most limit of the bot's transactions, oldest first, after
// leaving out the first offset ones.
func (s *Sender) StarTransactions(ctx context.Context, offset, limit int) (list []models.StarTransaction, err error) {
	const noChat = 0
	err = s.persist(ctx, noChat, "getStarTransactions", func(ctx context.Context) error {
		page, err := s.client.GetStarTransactions(ctx, &tg.GetStarTransactionsParams{Offset: offset, Limit: min(limit, transactionsMax)})
		if err == nil {
			list = page.Transactions
		}
		return err
	})
	return list, err
}

// CancelSubscription keeps a person's subscription from being renewed, or, with
// canceled false, lets it be renewed again after that. chargeID is its first payment's.
func (s *Sender) CancelSubscription(ctx context.Context, userID int64, chargeID string, canceled bool) error {
	const noChat = 0
	return s.persist(ctx, noChat, "editUserStarSubscription", func(ctx context.Context) error {
		_, err := s.client.EditUserStarSubscription(ctx, &tg.EditUserStarSubscriptionParams{
			UserID: userID, TelegramPaymentChargeID: chargeID, IsCanceled: canceled,
		})
		return err
	})
}
