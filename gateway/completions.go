package gateway

import (
	"errors"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const headerCost = "X-Cost-USD"

// completions answers POST /v1/chat/completions.
func (s *Server) completions(c *fiber.Ctx) error {
	key, err := s.present(c)
	if err != nil {
		return err
	}
	request, err := s.read(c)
	if err != nil {
		return s.afterVisit(c, key, err)
	}
	live, err := s.meter.Open(s.base, Call{Key: &key, Source: billing.SourceAPI, Request: request})
	if err != nil {
		var refused *CallError
		if !errors.As(err, &refused) {
			return s.afterVisit(c, key, err)
		}
		return s.known(c, key, err)
	}
	_ = s.known(c, key, nil)
	setLimitHeaders(c, live.Decision)
	if request.Stream {
		return s.forward(c, live)
	}
	body, receipt := live.Answer(nil)
	header := &c.Response().Header
	header.SetContentType(fiber.MIMEApplicationJSON)
	header.Set(headerCost, billing.FormatUSD(receipt.CostNano))
	c.Response().SetBodyRaw(body)
	return nil
}

// read reads the request's body, as it is and no larger than allowed.
func (s *Server) read(c *fiber.Ctx) (*llm.Request, error) {
	body, err := rawBody(c, s.bodyLimit)
	if err != nil {
		return nil, err
	}
	return llm.ParseRequest(body)
}

// forward answers with the events of a streamed call as they come.
func (s *Server) forward(c *fiber.Ctx, live *Live) error {
	header := &c.Response().Header
	header.SetContentType("text/event-stream; charset=utf-8")
	header.Set(fiber.HeaderCacheControl, "no-cache")
	header.Set("X-Accel-Buffering", "no")
	c.Response().ImmediateHeaderFlush = true
	c.Response().SetBodyStream(s.startStream(live, requestID(c)), -1)
	return nil
}
