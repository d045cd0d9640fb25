package gateway

import (
	"crypto/rand"
	"encoding/hex"

	"github.com/gofiber/fiber/v2"
)

// route is one line of the table.
type route struct {
	method  string
	path    string
	shape   shape // of its errors
	handler fiber.Handler
}

func (s *Server) table() []route {
	return []route{
		{"POST", "/v1/chat/completions", shapeOpenAI, s.completions},
		{"GET", "/v1/models", shapeOpenAI, s.models},
		{"GET", "/v1/models/+", shapeOpenAI, s.model}, // ids may hold slashes
		{"GET", "/api/v1/balance", shapePlain, s.balance},
		{"POST", "/api/v1/payment/topup", shapePlain, s.topUp},
		{"POST", "/api/v1/payment/webhook/stripe", shapePlain, s.stripe},
		{"GET", PaymentDonePath, shapePlain, s.paymentDone},
		{"GET", PaymentCanceledPath, shapePlain, s.paymentCanceled},
		{"POST", "/webhook", shapePlain, s.webhook},
		{"GET", "/health", shapePlain, s.health},
		{"GET", "/readyz", shapePlain, s.ready},
	}
}

func (s *Server) routes() {
	for _, r := range s.table() {
		if r.handler != nil {
			s.app.Add(r.method, r.path, s.handle(r))
		}
	}
}

const (
	headerRequestID = "X-Request-Id"
	maxRequestID    = 64
)

// nameRequest puts the request's id on its answer: the client's own, if it is
// presentable, else a new one.
func nameRequest(c *fiber.Ctx) {
	if own := c.Request().Header.Peek(headerRequestID); presentableID(own) {
		c.Response().Header.SetBytesV(headerRequestID, own)
		return
	}
	var id [16]byte
	var text [32]byte
	_, _ = rand.Read(id[:]) // never fails: the runtime aborts first
	hex.Encode(text[:], id[:])
	c.Response().Header.SetBytesV(headerRequestID, text[:])
}

// requestID is what nameRequest has put on the answer.
func requestID(c *fiber.Ctx) string {
	return string(c.Response().Header.Peek(headerRequestID))
}

func presentableID(id []byte) bool {
	if len(id) == 0 || len(id) > maxRequestID {
		return false
	}
	for _, b := range id {
		if (b < '0' || b > '9') && (b < 'A' || b > 'Z') && (b < 'a' || b > 'z') && b != '-' && b != '_' && b != '.' {
			return false
		}
	}
	return true
}
