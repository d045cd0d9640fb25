package gateway

import (
	"strconv"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

const (
	currency    = "USD"
	balanceMost = 192 // bytes of a balance as JSON, with numbers as long as they get
)

// balance answers GET /api/v1/balance.
func (s *Server) balance(c *fiber.Ctx) error {
	c.Response().Header.Set(fiber.HeaderCacheControl, noStore)
	v, err := s.visit(c)
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(balanceOf(v).append(make([]byte, 0, balanceMost)))
	return nil
}

type balanceAnswer struct {
	AccountID     int64  `json:"account_id"`
	AvailableNano int64  `json:"available_nano_usd"`
	HeldNano      int64  `json:"held_nano_usd"`
	AvailableUSD  string `json:"available_usd"`
	Currency      string `json:"currency"`
}

func balanceOf(v Visit) balanceAnswer {
	return balanceAnswer{v.AccountID, v.Available, v.Held, billing.FormatUSD(v.Available), currency}
}

// append writes the balance as json.Marshal does, without looking at its type each time:
// this is what is asked most.
func (b balanceAnswer) append(text []byte) []byte {
	text = strconv.AppendInt(append(text, `{"account_id":`...), b.AccountID, 10)
	text = strconv.AppendInt(append(text, `,"available_nano_usd":`...), b.AvailableNano, 10)
	text = strconv.AppendInt(append(text, `,"held_nano_usd":`...), b.HeldNano, 10)
	text = append(append(text, `,"available_usd":"`...), b.AvailableUSD...) // digits, a point, a sign
	return append(append(append(text, `","currency":"`...), b.Currency...), `"}`...)
}
