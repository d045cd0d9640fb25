package till

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/bot"
	"github.com/kikuai/kikuai/handlers/hall"
	"github.com/kikuai/kikuai/internal/failpoint"
)

// JobStars is the name under which the reconciliation of Stars keeps where it stopped.
const JobStars = "stars"

const (
	starsPage    = 100               // transactions of one look, as many as Telegram gives
	starsPages   = 200               // looks of one run
	starsSettled = time.Minute       // what is younger may be told by its update yet
	invoicePaid  = "invoice_payment" // type of transaction
)

// What became of a transaction, as the metric tells it.
const (
	starKnown    = "known"    // the books have it
	starCredited = "credited" // a payment that was missed
	starDebited  = "debited"  // a refund that was missed
	starOther    = "other"    // no payment of an invoice
	starRefused  = "refused"  // cannot be booked: somebody must look
)

// starsPlace is how far into Telegram's list of transactions the books are compared.
type starsPlace struct {
	Bot    int64  `json:"bot"`
	Offset int    `json:"offset"`
	Last   string `json:"last"` // id of the transaction before offset
}

// ReconcileStars compares Telegram's list of transactions with the books, from where it
// stopped: a payment that they do not have is credited, a refund taken off.
func (r *Room) ReconcileStars(ctx context.Context) error {
	at := starsPlace{Bot: r.BotID}
	var kept starsPlace
	if err := r.Jobs.Load(ctx, JobStars, &kept); err != nil {
		return err
	}
	if kept.Bot == at.Bot {
		at = kept
	}
	for range starsPages {
		more, err := r.compareStars(ctx, &at)
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// compareStars compares one page and keeps the place. It reads again what it read last:
// where that is another, the list is not the one it knew, and the beginning is due.
func (r *Room) compareStars(ctx context.Context, at *starsPlace) (more bool, err error) {
	overlap := min(at.Offset, 1)
	page, err := r.Sender.StarTransactions(ctx, at.Offset-overlap, starsPage)
	if err != nil {
		return false, fmt.Errorf("list Star transactions: %w", err)
	}
	if overlap == 1 && (len(page) == 0 || page[0].ID != at.Last) {
		r.Log.WarnContext(ctx, "Telegram's list of Star transactions is not the one known: compared from its beginning")
		*at = starsPlace{Bot: at.Bot}
		return true, r.Jobs.Save(ctx, JobStars, at)
	}
	fresh := page[overlap:]
	before := *at
	for _, t := range fresh {
		if time.Since(time.Unix(int64(t.Date), 0)) < starsSettled {
			break
		}
		result, err := r.compareStar(ctx, t)
		if err != nil {
			return false, err
		}
		r.compared.WithLabelValues(result).Inc()
		at.Offset, at.Last = at.Offset+1, t.ID
	}
	if *at == before {
		return false, nil
	}
	failpoint.Here("stars.compared")
	return at.Offset-before.Offset == len(fresh) && len(page) == starsPage, r.Jobs.Save(ctx, JobStars, at)
}

// compareStar sees that the books have one transaction.
func (r *Room) compareStar(ctx context.Context, t models.StarTransaction) (result string, err error) {
	switch {
	case isInvoice(t.Source):
		result, err = r.compareCharge(ctx, t, t.Source.User)
	case isInvoice(t.Receiver):
		result, err = r.compareRefund(ctx, t, t.Receiver.User)
	default:
		return starOther, nil
	}
	if errors.Is(err, billing.ErrAmount) || errors.Is(err, billing.ErrCharge) {
		r.Log.ErrorContext(ctx, "a Star transaction cannot be booked", "charge", t.ID, "amount", t.Amount, "error", err)
		return starRefused, nil
	}
	return result, err
}

func isInvoice(p *models.TransactionPartner) bool {
	return p != nil && p.User != nil && p.User.TransactionType == invoicePaid
}

func (r *Room) compareCharge(ctx context.Context, t models.StarTransaction, from *models.TransactionPartnerUser) (string, error) {
	charge := billing.Charge{
		ID: t.ID, Provider: billing.ProviderStars, Amount: int64(t.Amount), Currency: billing.CurrencyStars,
		TelegramID: from.User.ID, Payload: from.InvoicePayload, Found: true,
	}
	if from.SubscriptionPeriod > 0 {
		charge.Until = time.Unix(int64(t.Date), 0).Add(time.Duration(from.SubscriptionPeriod) * time.Second)
	}
	receipt, err := r.Payments.Paid(ctx, charge)
	if err != nil || receipt.Replayed {
		return starKnown, err
	}
	r.tell(ctx, receipt.Notice)
	return starCredited, nil
}

func (r *Room) compareRefund(ctx context.Context, t models.StarTransaction, to *models.TransactionPartnerUser) (string, error) {
	payment, err := r.Payments.Find(ctx, t.ID)
	if errors.Is(err, billing.ErrChargeUnknown) { // its payment stands earlier in the list, unless that was cut
		if _, err = r.compareCharge(ctx, t, to); err == nil {
			payment, err = r.Payments.Find(ctx, t.ID)
		}
	}
	if err != nil || !payment.RefundedAt.IsZero() {
		return starKnown, err
	}
	if _, err := r.Payments.Refunded(ctx, t.ID); err != nil {
		return "", err
	}
	r.Log.WarnContext(ctx, "a refund that no update told of was taken off", "account_id", payment.AccountID, "charge", t.ID)
	r.tell(ctx, "refunded:"+t.ID)
	return starDebited, nil
}

// StarRefunds gives Stars back through Telegram. It implements [billing.Refunder].
type StarRefunds struct {
	Sender *bot.Sender
	Payer  int64 // who paid, where the books have forgotten them; 0: the account's owner
}

// Refund implements [billing.Refunder].
func (s StarRefunds) Refund(ctx context.Context, p billing.Payment) error {
	payer := p.TelegramID
	if payer == 0 {
		payer = s.Payer
	}
	if payer == 0 {
		return fmt.Errorf("%w: who paid it has left, and Telegram wants their id", billing.ErrRefundRefused)
	}
	err := s.Sender.RefundStars(ctx, payer, p.ChargeID)
	if hall.Refused(err) {
		return fmt.Errorf("%w: %w", billing.ErrRefundRefused, err)
	}
	return err
}

// FinishRefunds goes on with refunds of Stars that were begun and not ended.
func (r *Room) FinishRefunds(ctx context.Context) error {
	return r.Payments.FinishRefunds(ctx, billing.ProviderStars, StarRefunds{Sender: r.Sender})
}
