package gateway

import (
	"context"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

// transactionAnswer is a movement as it is answered; what does not apply is null.
type transactionAnswer struct {
	ID         int64     `json:"id"`
	Type       string    `json:"type"`
	At         time.Time `json:"at"`
	AmountNano int64     `json:"amount_nano_usd"`
	AmountUSD  string    `json:"amount_usd"`
	WrittenOff int64     `json:"written_off_nano_usd"`
	Method     *string   `json:"method"`
	Model      *string   `json:"model"`
	KeyID      *int64    `json:"key_id"`
}

type transactionsAnswer struct {
	Transactions []transactionAnswer `json:"transactions"`
	NextCursor   *string             `json:"next_cursor"`
}

// transactions answers GET /api/v1/transactions.
func (s *Server) transactions(c *fiber.Ctx) error {
	v, err := s.owner(c)
	if err != nil {
		return err
	}
	most, err := readLimit(c)
	if err != nil {
		return err
	}
	calls, err := readFlag(c, "calls", true)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	answer, err := s.transactionsPage(ctx, v.AccountID, most, calls, query(c, "cursor"))
	if err != nil {
		return err
	}
	return c.JSON(answer)
}

// transactionsPage is a page of an account's transactions. errNoCursor.
func (s *Server) transactionsPage(ctx context.Context, account int64, most int, calls bool, cursor string) (answer transactionsAnswer, err error) {
	answer.Transactions = []transactionAnswer{}
	question := "transactions " + strconv.FormatBool(calls)
	position, err := s.openCursor(cursor, account, question)
	if err != nil {
		return answer, err
	}
	q := billing.MovementQuery{AccountID: account, Most: most + 1, NoCalls: !calls}
	if position != "" {
		if q.Before, err = strconv.ParseInt(position, 10, 64); err != nil {
			return answer, errNoCursor // ours, but of another form
		}
	}
	page, err := s.account.Movements.Movements(ctx, q)
	if err != nil {
		return answer, err
	}
	if len(page) > most {
		page = page[:most]
		answer.NextCursor = s.cursorOf(account, question, number(page[most-1].Seq))
	}
	for _, m := range page {
		answer.Transactions = append(answer.Transactions, transactionJSON(m))
	}
	return answer, nil
}

func transactionJSON(m billing.Movement) transactionAnswer {
	t := transactionAnswer{ID: m.ID, Type: m.Type, At: m.At.UTC(), AmountNano: m.Nano, AmountUSD: billing.FormatUSD(m.Nano),
		WrittenOff: m.WrittenOff, Method: optional(m.Method), Model: optional(m.Model)}
	if m.Type == billing.MovedByCall && m.Model != "" {
		t.KeyID = &m.KeyID
	}
	return t
}
