package gateway

import (
	"context"
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
)

type organisationAnswer struct {
	ID       int64             `json:"id"`
	Name     string            `json:"name"`
	Status   string            `json:"status"`
	Limits   keyLimits         `json:"limits"`
	Budget   keyBudget         `json:"budget"`
	Spent    organisationSpent `json:"spent"`
	Accounts int64             `json:"accounts"`
}

type organisationSpent struct {
	DayUSD    string `json:"day_usd"`
	DayNano   int64  `json:"day_nano_usd"`
	MonthUSD  string `json:"month_usd"`
	MonthNano int64  `json:"month_nano_usd"`
}

// organisation answers GET /api/v1/organisation. Of the other accounts it tells their
// number and what all spent together, which is what the shared budget is about.
func (s *Server) organisation(c *fiber.Ctx) error {
	v, err := s.owner(c)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(s.base, accountIn)
	defer cancel()
	answer, err := s.organisationOf(ctx, v.AccountID)
	if err != nil {
		return err
	}
	return c.JSON(struct {
		Organisation *organisationAnswer `json:"organisation"`
	}{answer})
}

// organisationOf is the organisation that an account belongs to, as it is told; nil: none.
func (s *Server) organisationOf(ctx context.Context, account int64) (*organisationAnswer, error) {
	o, err := s.account.Organisations.Of(ctx, account)
	switch {
	case errors.Is(err, billing.ErrNoMember):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return &organisationAnswer{ID: o.ID, Name: o.Name, Status: o.Status, Limits: limitsJSON(o.Limits), Accounts: o.Accounts,
		Budget: keyBudget{DayUSD: dollars(o.Budget.DayNano), MonthUSD: dollars(o.Budget.MonthNano)},
		Spent: organisationSpent{DayUSD: billing.FormatUSD(o.Spent.DayNano), DayNano: o.Spent.DayNano,
			MonthUSD: billing.FormatUSD(o.Spent.MonthNano), MonthNano: o.Spent.MonthNano}}, nil
}
