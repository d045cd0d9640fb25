package gateway

import (
	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

const currency = "USD"

// balance answers GET /api/v1/balance.
func (s *Server) balance(c *fiber.Ctx) error {
	v, err := s.visit(c)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		AccountID     int64  `json:"account_id"`
		AvailableNano int64  `json:"available_nano_usd"`
		HeldNano      int64  `json:"held_nano_usd"`
		AvailableUSD  string `json:"available_usd"`
		Currency      string `json:"currency"`
	}{v.AccountID, v.Available, v.Held, billing.FormatUSD(v.Available), currency})
}
