package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/cache"
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

// listSpace keeps public lists, as they are answered.
type listSpace interface {
	Fetch(ctx context.Context, key string, load func(context.Context) ([]byte, error)) ([]byte, error)
}

// NewListSpace is the space of the catalogue's public lists.
func NewListSpace(c *cache.Cache) *cache.Space[[]byte] {
	return cache.NewSpace[[]byte](c, cache.SpaceOptions{Name: "catalogue", TTL: time.Hour, L1TTL: time.Hour})
}

// NewSpentSpace is the space of what usage came to, as /graphql answers it.
func NewSpentSpace(c *cache.Cache) *cache.Space[[]byte] {
	return cache.NewSpace[[]byte](c, cache.SpaceOptions{Name: "spent", TTL: time.Minute})
}

// NewQuerySpace is the space of queries that are known by their hashes.
func NewQuerySpace(c *cache.Cache) *cache.Space[[]byte] {
	return cache.NewSpace[[]byte](c, cache.SpaceOptions{Name: "queries", TTL: 24 * time.Hour, L1TTL: time.Hour})
}

// models answers GET /v1/models.
func (s *Server) models(c *fiber.Ctx) error {
	v, err := s.visit(c)
	if err != nil {
		return err
	}
	if shapeSpoken(c, shapeOpenAI) == shapeAnthropic {
		return s.modelPage(c, v.models)
	}
	if v.models != "" { // a list of the key's own
		return c.JSON(s.modelsFor(v.models))
	}
	list, err := s.modelList(s.base)
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(list)
	return nil
}

// WarmModels sees that the list of models is there before anybody asks for it.
func (s *Server) WarmModels(ctx context.Context) error {
	_, err := s.modelList(ctx)
	return err
}

// modelList is the list of models as it is answered. Instances whose catalogues differ,
// as they do while a new one is rolled out, have lists of their own.
func (s *Server) modelList(ctx context.Context) ([]byte, error) {
	if s.lists == nil {
		return s.writeModels(ctx)
	}
	return s.lists.Fetch(ctx, s.listKey, s.writeModels)
}

// listKey names the list of a catalogue's models: what stands in it.
func listKey(c *llm.Catalogue) string {
	digest := sha256.New()
	for _, m := range c.Models() {
		fmt.Fprintf(digest, "%q %q\n", m.ID, m.Owner())
	}
	return "models:" + hex.EncodeToString(digest.Sum(nil))
}

func (s *Server) writeModels(context.Context) ([]byte, error) {
	return json.Marshal(s.modelsFor(""))
}

// modelObjects is a list of models in OpenAI's protocol.
type modelObjects struct {
	Object string        `json:"object"`
	Data   []modelObject `json:"data"`
}

// modelsFor lists the models that a key is for.
func (s *Server) modelsFor(allowed modelList) modelObjects {
	models := s.allowed(allowed)
	list := make([]modelObject, 0, len(models))
	for _, m := range models {
		list = append(list, s.object(m))
	}
	return modelObjects{"list", list}
}

// allowed are the models that a key is for.
func (s *Server) allowed(by modelList) (models []*llm.Model) {
	for _, m := range s.meter.catalogue.Models() {
		if by.allows(m.ID) {
			models = append(models, m)
		}
	}
	return models
}

// model answers GET /v1/models/:id.
func (s *Server) model(c *fiber.Ctx) error {
	v, err := s.visit(c)
	if err != nil {
		return err
	}
	id, err := url.PathUnescape(c.Params("+"))
	if err != nil {
		return llm.ErrModelUnknown
	}
	m, err := s.meter.catalogue.Model(id)
	if err == nil && !v.models.allows(m.ID) {
		err = llm.ErrModelUnknown // it is not in the key's list
	}
	if err != nil {
		return err
	}
	if shapeSpoken(c, shapeOpenAI) == shapeAnthropic {
		return c.JSON(s.info(m))
	}
	return c.JSON(s.object(m))
}
