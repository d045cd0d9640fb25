package llm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxListed is how much of a provider's list of models is read, so that its connection
// can serve again.
const maxListed = 1 << 20 // bytes

// Check asks a provider for its models, as calls to it are made and over the same
// connections, which it keeps warm. An error means that the provider is not well: it was
// not reached, or failed. One that refuses, or knows no such list, is well.
func (c *Client) Check(ctx context.Context, p *Provider) error {
	status, err := c.Ask(ctx, p)
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("check the provider: it answered %d", status)
	}
	return err
}

// Ask asks a provider for its models, which costs nothing, and returns the status of its
// answer: 401 or 403 where it refuses our key.
func (c *Client) Ask(ctx context.Context, p *Provider) (status int, err error) {
	limit := c.timeoutsOf(p)
	ctx, cancel := context.WithTimeoutCause(ctx, limit.Connect+handshakeIn, ErrNoAnswer)
	defer cancel()
	target := *p.base
	target.Path += p.modelsPath()
	target.RawPath = ""
	request := (&http.Request{
		Method: http.MethodGet, URL: &target, Host: target.Host, Header: p.ways[OpChat].whole,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	response, err := c.transport(p).RoundTrip(request)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return 0, fmt.Errorf("check the provider: %w", err)
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, maxListed))
	switch {
	case response.StatusCode >= http.StatusInternalServerError: // which says enough
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return 0, fmt.Errorf("check the provider: %w", context.Cause(ctx))
	case err != nil:
		return 0, fmt.Errorf("check the provider: %w", err)
	}
	return response.StatusCode, nil
}

// modelsPath is where the provider lists its models.
func (p *Provider) modelsPath() string {
	if p.Protocol == ProtocolAnthropic {
		return "/v1/models"
	}
	return "/models"
}
