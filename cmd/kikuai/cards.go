package main

import (
	"strings"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/gateway"
	"github.com/kikuai/kikuai/internal/config"
)

// stripeOptions is how card payments are taken; nil: they are not.
func stripeOptions(c *config.Config) *billing.StripeOptions {
	if !c.StripeSecretKey.IsSet() {
		return nil
	}
	return &billing.StripeOptions{
		SecretKey: c.StripeSecretKey.Reveal(), WebhookSecret: c.StripeWebhookSecret.Reveal(), APIURL: c.StripeAPIURL,
		DoneURL: publicURL(c) + gateway.PaymentDonePath, CanceledURL: publicURL(c) + gateway.PaymentCanceledPath,
	}
}

// publicURL is where others reach the public listener.
func publicURL(c *config.Config) string {
	if c.PublicURL != "" {
		return c.PublicURL
	}
	addr := c.ListenAddr
	if strings.HasPrefix(addr, ":") {
		addr = "localhost" + addr
	}
	return "http://" + addr
}
