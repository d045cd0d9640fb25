package gateway

import (
	"errors"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

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
	want := s.answers.want(c, key.Account, request)
	if s.meter.offers[request.Model] != nil { // a model that is gone answers nobody
		if body, age, found := s.answers.find(s.base, &want); found {
			return s.repeat(c, key, request, body, age)
		}
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
	header := &c.Response().Header
	if want.state != "" {
		header.Set(headerCache, want.state)
	}
	if request.Stream {
		return s.forward(c, live, &tape{recall: want, request: request})
	}
	body, receipt := live.Answer(nil)
	s.answers.keepAnswer(want, request, body, receipt)
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
func (s *Server) forward(c *fiber.Ctx, live *Live, t *tape) error {
	streamHeaders(&c.Response().Header)
	c.Response().ImmediateHeaderFlush = true
	c.Response().SetBodyStream(s.startStream(live, requestID(c), t), -1)
	return nil
}

func streamHeaders(header *fasthttp.ResponseHeader) {
	header.SetContentType("text/event-stream; charset=utf-8")
	header.Set(fiber.HeaderCacheControl, "no-cache")
	header.Set("X-Accel-Buffering", "no")
}
