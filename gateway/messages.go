package gateway

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llm"
)

const (
	headerBeta    = "Anthropic-Beta"
	headerProfile = "Anthropic-User-Profile-Id"
	countTokensIn = 30 * time.Second // for providers to count a prompt's tokens
)

var errCountSlow = &llm.UpstreamError{Fault: llm.FaultTimeout, Err: llm.ErrTooLong}

func messagesHeaders(c *fiber.Ctx) llm.MessagesHeaders {
	header := &c.Request().Header
	return llm.MessagesHeaders{
		Version: string(header.Peek(headerVersion)),
		Beta:    string(bytes.Join(header.PeekAll(headerBeta), []byte(","))),
		Profile: string(header.Peek(headerProfile)),
	}
}

func parseMessages(c *fiber.Ctx, body []byte) (*llm.Request, error) {
	return llm.ParseMessages(body, messagesHeaders(c))
}

func parseCountTokens(c *fiber.Ctx, body []byte) (*llm.Request, error) {
	return llm.ParseCountTokens(body, messagesHeaders(c))
}

// countTokens answers POST /v1/messages/count_tokens: it counts as a request, and costs
// nothing.
func (s *Server) countTokens(c *fiber.Ctx) error {
	key, err := s.present(c)
	if err != nil {
		return err
	}
	request, err := s.read(c, parseCountTokens, s.bodyLimit)
	if err != nil {
		return s.afterVisit(c, key, err)
	}
	v, err := s.visitWith(c, key, request.Model)
	if err != nil {
		return err
	}
	if !v.Active {
		return billing.ErrAccountInactive
	}
	body, err := s.meter.countTokens(s.base, request)
	if err != nil {
		return err
	}
	c.Response().Header.SetContentType(fiber.MIMEApplicationJSON)
	c.Response().SetBodyRaw(body)
	return nil
}

// countTokens asks the model's providers in turn where they count, and else counts here.
func (m *Meter) countTokens(ctx context.Context, r *llm.Request) ([]byte, error) {
	o := m.offers[r.Model]
	if o == nil || !o.Offers(r.Operation.Offer()) {
		return nil, llm.ErrModelUnknown
	}
	if err := m.flight.begin(); err != nil {
		return nil, err
	}
	defer m.flight.end()
	ctx, cancel := context.WithTimeoutCause(ctx, countTokensIn, errCountSlow)
	defer cancel()
	var worst error
	for _, d := range o.Deployments() {
		body, counted, err := m.client.CountTokens(ctx, r, d)
		switch {
		case err != nil && !elsewhere(err):
			return nil, err
		case err != nil:
			worst = worse(worst, err)
		case counted:
			return body, nil
		}
	}
	if worst != nil {
		return nil, worst
	}
	return fmt.Appendf(nil, `{"input_tokens":%d}`, m.counter.Prompt(r, o.Model)), nil
}
