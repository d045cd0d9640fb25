package gateway

import (
	"encoding/json"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

// productAnswer is a model with its prices; what is not known is null.
type productAnswer struct {
	ID         string            `json:"id"`
	Operations []string          `json:"operations"`
	Provider   string            `json:"provider"`
	Prices     map[string]string `json:"prices"`
	Above      *pricesAbove      `json:"above"`
	Context    *int64            `json:"context"`
	MaxOutput  *int64            `json:"max_output"`
	Sees       bool              `json:"sees"`
}

type pricesAbove struct {
	Tokens int64             `json:"tokens"`
	Prices map[string]string `json:"prices"`
}

// topUpWays are the ways to pay; null: not here.
type topUpWays struct {
	Stars *starWay `json:"stars"`
	Card  *cardWay `json:"card"`
}

type starWay struct {
	Least   int64 `json:"least"`
	Most    int64 `json:"most"`
	PerStar int64 `json:"nano_usd_per_star"`
}

type cardWay struct {
	Least string `json:"least_usd"`
	Most  string `json:"most_usd"`
}

type productsAnswer struct {
	Models       []productAnswer `json:"models"`
	DefaultModel *string         `json:"default_model"`
	TopUp        topUpWays       `json:"top_up"`
}

// products answers GET /api/v1/products: the models that the key is for, and ways to pay.
func (s *Server) products(c *fiber.Ctx) error {
	v, err := s.visit(c)
	if err != nil {
		return err
	}
	text, err := json.Marshal(s.offer(v.models))
	if err != nil {
		return err
	}
	// What another key of the same browser may ask is another list: it is asked again each
	// time, and told only if it differs.
	c.Response().Header.Set(fiber.HeaderCacheControl, "private, no-cache")
	return tagged(c, fiber.MIMEApplicationJSON, text, tagOf(text))
}

// offer is what somebody with a key for some models is offered.
func (s *Server) offer(allowed modelList) productsAnswer {
	answer := productsAnswer{Models: []productAnswer{}}
	for _, m := range s.allowed(allowed) {
		answer.Models = append(answer.Models, productJSON(m))
		if m.ID == s.account.ChatModel {
			answer.DefaultModel = &m.ID
		}
	}
	if s.checkouts == nil {
		return answer
	}
	if s.invoices != nil && s.account.StarNano > 0 {
		answer.TopUp.Stars = &starWay{billing.StarsLeast, billing.StarsMost, s.account.StarNano}
	}
	if s.checkouts.TakesCards() {
		answer.TopUp.Card = &cardWay{billing.FormatUSD(billing.CardLeast * nanoPerCent), billing.FormatUSD(billing.CardMost * nanoPerCent)}
	}
	return answer
}

func productJSON(m *llm.Model) productAnswer {
	p := productAnswer{ID: m.ID, Operations: m.Operations, Provider: m.Owner(), Prices: m.Prices,
		Context: above0(m.Context), MaxOutput: above0(m.MaxOutput), Sees: m.Sees}
	if m.Above > 0 {
		p.Above = &pricesAbove{m.Above, m.AbovePrices}
	}
	return p
}
