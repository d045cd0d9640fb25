package gateway

import (
	"fmt"
	"slices"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

const (
	modelPageSize = 20 // models, where the client does not say how many
	modelPageMost = 1000
)

// modelInfo is a model as Anthropic's protocol lists it.
type modelInfo struct {
	Type        string `json:"type"`
	ID          string `json:"id"`
	DisplayName string `json:"display_name"`
	CreatedAt   string `json:"created_at"`
}

// modelInfos is a page of the list. FirstID and LastID are null where it is empty.
type modelInfos struct {
	Data    []modelInfo `json:"data"`
	HasMore bool        `json:"has_more"`
	FirstID *string     `json:"first_id"`
	LastID  *string     `json:"last_id"`
}

func (s *Server) info(m *llm.Model) modelInfo {
	return modelInfo{Type: "model", ID: m.ID, DisplayName: m.ID, CreatedAt: time.Unix(s.born, 0).UTC().Format(time.RFC3339)}
}

// modelPage answers GET /v1/models for clients of Anthropic's, who ask for pages: limit
// models after the one with after_id, or before the one with before_id, of those that the
// key is for.
func (s *Server) modelPage(c *fiber.Ctx, allowed modelList) error {
	limit := c.QueryInt("limit", modelPageSize)
	if limit < 1 || limit > modelPageMost {
		return &llm.RequestError{Param: "limit", Message: fmt.Sprintf("limit: Input should be from 1 to %d", modelPageMost)}
	}
	models := s.allowed(allowed)
	first, end, err := pageOf(models, limit, c.Query("after_id"), c.Query("before_id"))
	if err != nil {
		return err
	}
	p := modelInfos{Data: make([]modelInfo, 0, end-first), HasMore: end < len(models)}
	if c.Query("before_id") != "" {
		p.HasMore = first > 0
	}
	for _, m := range models[first:end] {
		p.Data = append(p.Data, s.info(m))
	}
	if len(p.Data) > 0 {
		p.FirstID, p.LastID = &p.Data[0].ID, &p.Data[len(p.Data)-1].ID
	}
	return c.JSON(p)
}

// pageOf finds which of the models are asked for: from first to the one before end.
func pageOf(models []*llm.Model, limit int, after, before string) (first, end int, err error) {
	at := func(param, id string) (int, error) {
		i := slices.IndexFunc(models, func(m *llm.Model) bool { return m.ID == id })
		if i < 0 {
			return 0, &llm.RequestError{Param: param, Message: param + ": there is no such model in the list"}
		}
		return i, nil
	}
	switch {
	case after != "" && before != "":
		return 0, 0, &llm.RequestError{Param: "before_id", Message: "Only one of after_id and before_id may be given."}
	case after != "":
		if first, err = at("after_id", after); err != nil {
			return 0, 0, err
		}
		first++
	case before != "":
		if end, err = at("before_id", before); err != nil {
			return 0, 0, err
		}
		return max(0, end-limit), end, nil
	}
	return first, min(first+limit, len(models)), nil
}
