package gateway

import (
	"github.com/gofiber/fiber/v2"
)

// Where a customer comes out of a card provider's pages.
const (
	PaymentDonePath     = "/payment/done"
	PaymentCanceledPath = "/payment/canceled"
)

// paymentDone answers GET /payment/done. It promises nothing: anybody may open it, and
// only the provider's event says that a payment was made.
func (s *Server) paymentDone(c *fiber.Ctx) error {
	return page(c, "Thank you",
		"As soon as the payment is confirmed, your balance shows it and the bot tells you. You may close this page.")
}

// paymentCanceled answers GET /payment/canceled.
func (s *Server) paymentCanceled(c *fiber.Ctx) error {
	return page(c, "Nothing was paid", "You turned back before paying. You may close this page, or go back and pay after all.")
}

// page answers with a page of one sentence, which needs nothing from anywhere.
func page(c *fiber.Ctx, title, sentence string) error {
	header := &c.Response().Header
	header.SetContentType("text/html; charset=utf-8")
	header.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	header.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	return c.SendString(`<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
		`<title>` + title + `</title><style>:root{color-scheme:light dark}body{font:1.1rem/1.5 system-ui,sans-serif;` +
		`max-width:32rem;margin:20vh auto;padding:0 1.5rem}</style><h1>` + title + `</h1><p>` + sentence + `</p></html>`)
}
