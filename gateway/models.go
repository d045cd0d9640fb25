package gateway

import (
	"net/url"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

// modelObject is a model as OpenAI's protocol lists it.
type modelObject struct {
	ID      string `json:"id"`
	Object  string `json:"object"`
	Created int64  `json:"created"`
	OwnedBy string `json:"owned_by"`
}

func (s *Server) object(m *llm.Model) modelObject {
	return modelObject{ID: m.ID, Object: "model", Created: s.born, OwnedBy: m.Owner()}
}

// models answers GET /v1/models.
func (s *Server) models(c *fiber.Ctx) error {
	if _, err := s.visit(c); err != nil {
		return err
	}
	list := make([]modelObject, 0, len(s.meter.catalogue.Models()))
	for _, m := range s.meter.catalogue.Models() {
		list = append(list, s.object(m))
	}
	return c.JSON(struct {
		Object string        `json:"object"`
		Data   []modelObject `json:"data"`
	}{"list", list})
}

// model answers GET /v1/models/:id.
func (s *Server) model(c *fiber.Ctx) error {
	if _, err := s.visit(c); err != nil {
		return err
	}
	id, err := url.PathUnescape(c.Params("+"))
	if err != nil {
		return llm.ErrModelUnknown
	}
	m, err := s.meter.catalogue.Model(id)
	if err != nil {
		return err
	}
	return c.JSON(s.object(m))
}
