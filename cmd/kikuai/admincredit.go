package main

import (
	"fmt"
	"unicode/utf8"

	"github.com/kikuai/kikuai/billing"
)

// creditKeyPrefix keeps an operator's idempotency keys apart from the program's own.
const (
	creditKeyPrefix = "admin:"
	maxCreditKey    = 200 - len(creditKeyPrefix) // characters
)

type adminCredit struct {
	telegramUser   `embed:""`
	asJSON         `embed:""`
	USD            string `required:"" name:"usd" placeholder:"1.50" help:"Amount in dollars, with at most nine decimals."`
	IdempotencyKey string `required:"" placeholder:"K" help:"The same key credits once, however often the command runs."`
	Note           string `help:"Kept with the transaction."`
}

func (c adminCredit) Run(t *terminal) error {
	amount, err := billing.ParseUSD(c.USD)
	if err != nil {
		return fmt.Errorf("--usd: %w", err)
	}
	if amount < 1 || amount > billing.MaxCredit {
		return fmt.Errorf("--usd is from %s to %s", billing.FormatUSD(1), billing.FormatUSD(billing.MaxCredit))
	}
	if !utf8.ValidString(c.IdempotencyKey) || c.IdempotencyKey == "" || utf8.RuneCountInString(c.IdempotencyKey) > maxCreditKey {
		return fmt.Errorf("--idempotency-key has 1 to %d characters", maxCreditKey)
	}
	return t.inOffice(func(o *office) error {
		account, _, err := o.Accounts.Register(t.ctx, c.TelegramID, operator())
		if err != nil {
			return err
		}
		credit := billing.Credit{
			AccountID: account.ID, AmountNano: amount, Kind: billing.CreditAdjustment,
			IdempotencyKey: creditKeyPrefix + c.IdempotencyKey, By: operator(),
		}
		if c.Note != "" {
			credit.Memo = map[string]string{"note": c.Note}
		}
		result, err := o.Accounts.Credit(t.ctx, credit)
		if err != nil {
			return err
		}
		account, current, err := o.account(t.ctx, c.TelegramID)
		if err != nil {
			return err
		}
		answer := struct {
			accountAnswer
			TransactionID int64 `json:"transaction_id"`
			CreditNanoUSD int64 `json:"credit_nano_usd"`
			Replayed      bool  `json:"replayed"`
		}{accountJSON(account, current), result.TransactionID, amount, result.Replayed}
		what := "credited"
		if result.Replayed {
			what = "credited before, unchanged"
		}
		return c.print(t.out, answer,
			[2]string{"account", decimal(answer.AccountID)},
			[2]string{what, "$" + billing.FormatUSD(amount)},
			[2]string{"transaction", decimal(result.TransactionID)},
			[2]string{"available", "$" + billing.FormatUSD(answer.AvailableNanoUSD)})
	})
}
