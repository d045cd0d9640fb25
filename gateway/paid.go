package gateway

import (
	"errors"
	"strconv"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	headerCost       = "X-Cost-USD"
	headerDeployment = "X-Deployment" // who answers
	headerModel      = "X-Model"      // of the catalogue: the one asked for, or a fallback
	headerAttempts   = "X-Attempts"   // at deployments, this one's included
)

// parser reads the request of one operation. body is the request's own memory: what
// outlives the call is copied. [*llm.RequestError].
type parser func(c *fiber.Ctx, body []byte) (*llm.Request, error)

func parseChat(_ *fiber.Ctx, body []byte) (*llm.Request, error) { return llm.ParseChat(body) }

// paid is the route of an operation that costs money, streamed or not, in any protocol.
func (s *Server) paid(parse parser) fiber.Handler { return s.paidWithin(s.bodyLimit, parse) }

// paidWithin is paid for bodies of at most so many bytes.
func (s *Server) paidWithin(limit int, parse parser) fiber.Handler {
	return func(c *fiber.Ctx) error {
		key, err := s.present(c)
		if err != nil {
			return err
		}
		request, err := s.read(c, parse, limit)
		if err != nil {
			s.trail(c).asks(key.Account, nil, false)
			return s.afterVisit(c, key, err)
		}
		return s.pay(c, key, request, "")
	}
}

// pay makes a key's call and answers with what came of it. Where the client names a
// provider, an answer that was kept, of whichever it was, will not do.
func (s *Server) pay(c *fiber.Ctx, key billing.PresentedKey, request *llm.Request, provider string) error {
	offered := s.meter.offers[request.Model] != nil
	s.trail(c).asks(key.Account, request, offered)
	var want recall
	if provider == "" {
		want = s.answers.want(c, key.Account, request)
	}
	if offered { // a model that is gone answers nobody
		if body, age, found := s.answers.find(s.base, &want); found {
			return s.repeat(c, key, request, body, age)
		}
	}
	live, err := s.meter.Open(s.callContext(c), Call{Key: &key, Source: sourceOf(key), Request: request, Provider: provider})
	if err != nil {
		var refused *CallError
		if !errors.As(err, &refused) {
			return s.afterVisit(c, key, err)
		}
		return s.known(key, err)
	}
	_ = s.known(key, nil)
	s.setLimitHeaders(c, live.Decision)
	header := &c.Response().Header
	if want.state != "" {
		header.Set(headerCache, want.state)
	}
	setServed(header, live)
	if !live.Whole() {
		return s.forward(c, live, &tape{recall: want, request: request, trail: s.trail(c).pass()})
	}
	body, contentType, receipt, err := live.Answer()
	if err != nil {
		return err
	}
	s.trail(c).came(live, receipt)
	if live.asIs() { // who asks again wants the model that was asked for
		s.answers.keepAnswer(want, request, body, receipt)
	}
	header.SetContentType(contentType)
	header.Set(headerCost, billing.FormatUSD(receipt.CostNano))
	c.Response().SetBodyRaw(body)
	return nil
}

// read reads the request's body, as it is and no larger than allowed.
func (s *Server) read(c *fiber.Ctx, parse parser, limit int) (*llm.Request, error) {
	body, err := rawBody(c, limit)
	if err != nil {
		return nil, err
	}
	return parse(c, body)
}

// setServed says who answers. A streamed answer's headers are sent when the provider has
// accepted the call, or of a hedged call a few seconds later at the latest: they say what
// is known then. When an attempt fails after that and before its first event, another may
// answer in its place, unseen by the client.
func setServed(header *fasthttp.ResponseHeader, live *Live) {
	deployment, model, attempts := live.Served()
	if deployment != "" {
		header.Set(headerDeployment, deployment)
	}
	header.Set(headerModel, model)
	header.Set(headerAttempts, strconv.Itoa(attempts))
}

// forward answers with the events of a streamed call as they come.
func (s *Server) forward(c *fiber.Ctx, live *Live, t *tape) error {
	streamHeaders(&c.Response().Header)
	if live.request.Sound {
		c.Response().Header.SetContentType(live.last().stream.ContentType)
	}
	c.Response().ImmediateHeaderFlush = true
	c.Response().SetBodyStream(s.startStream(live, c.Context().Conn(), requestID(c), t), -1)
	return nil
}

func streamHeaders(header *fasthttp.ResponseHeader) {
	header.SetContentType("text/event-stream; charset=utf-8")
	header.Set(fiber.HeaderCacheControl, "no-cache")
	header.Set("X-Accel-Buffering", "no")
}
