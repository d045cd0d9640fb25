package till

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-telegram/bot/models"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/failpoint"
)

// Paid credits a payment and sends its receipt. The update is done once the credit is
// durable: a receipt that cannot be sent now is sent later.
func (r *Room) Paid(ctx context.Context, m *models.Message) error {
	p := m.SuccessfulPayment
	payer := m.Chat.ID
	if m.From != nil && !m.From.IsBot {
		payer = m.From.ID
	}
	charge := billing.Charge{
		ID: p.TelegramPaymentChargeID, Provider: billing.ProviderStars, Amount: int64(p.TotalAmount), Currency: p.Currency,
		TelegramID: payer, Payload: p.InvoicePayload, First: p.IsFirstRecurring,
	}
	if p.SubscriptionExpirationDate > 0 {
		charge.Until = time.Unix(int64(p.SubscriptionExpirationDate), 0)
	}
	receipt, err := r.Payments.Paid(ctx, charge)
	if err != nil {
		return err
	}
	failpoint.Here("handlers.paid")
	r.tell(ctx, receipt.Notice)
	return nil
}

// Refunded takes the credit of a payment that was given back off the account. It may
// be told before the payment itself.
func (r *Room) Refunded(ctx context.Context, m *models.Message) error {
	p := m.RefundedPayment
	payment, err := r.Payments.Refunded(ctx, p.TelegramPaymentChargeID)
	if errors.Is(err, billing.ErrChargeUnknown) {
		_, err = r.Payments.Paid(ctx, billing.Charge{
			ID: p.TelegramPaymentChargeID, Provider: billing.ProviderStars, Amount: int64(p.TotalAmount), Currency: p.Currency,
			TelegramID: m.Chat.ID, Payload: p.InvoicePayload, Found: true,
		})
		if err != nil {
			return fmt.Errorf("payment of a refund: %w", err)
		}
		payment, err = r.Payments.Refunded(ctx, p.TelegramPaymentChargeID)
	}
	if err != nil {
		return err
	}
	failpoint.Here("handlers.refunded")
	r.tell(ctx, "refunded:"+payment.ChargeID)
	return nil
}
