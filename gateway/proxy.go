package gateway

import (
	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

// proxy answers POST /api/v1/proxy/llm: a chat completion, which may name the provider
// that is to be asked.
func (s *Server) proxy(c *fiber.Ctx) error {
	key, err := s.present(c)
	if err != nil {
		return err
	}
	var provider string
	request, err := s.read(c, func(_ *fiber.Ctx, body []byte) (r *llm.Request, err error) {
		r, provider, err = llm.ParseSimple(body)
		return r, err
	}, s.bodyLimit)
	if err != nil {
		return s.afterVisit(c, key, err)
	}
	return s.pay(c, key, request, provider)
}
