package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"math/rand/v2"

	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

// route is one line of the table.
type route struct {
	method  string
	path    string
	shape   shape // of its errors, see shapeSpoken
	handler fiber.Handler
}

func (s *Server) table() []route {
	return append(s.accountTable(), []route{
		{"POST", "/v1/chat/completions", shapeOpenAI, s.paid(parseChat)},
		{"POST", "/v1/messages", shapeAnthropic, s.paid(parseMessages)},
		{"POST", "/v1/messages/count_tokens", shapeAnthropic, s.countTokens},
		{"POST", "/v1/responses", shapeOpenAI, s.paid(parseResponses)},
		{"POST", "/v1/embeddings", shapeOpenAI, s.paid(parseEmbeddings)},
		{"POST", "/v1/images/generations", shapeOpenAI, s.paid(parseImages)},
		{"POST", "/v1/audio/transcriptions", shapeOpenAI, s.paidWithin(llm.MaxForm, parseTranscription)},
		{"POST", "/v1/audio/speech", shapeOpenAI, s.paid(parseSpeech)},
		{"GET", "/v1/models", shapeOpenAI, s.models},
		{"GET", "/v1/models/+", shapeOpenAI, s.model}, // ids may hold slashes
		{"POST", "/api/v1/session", shapePlain, s.beginSession},
		{"GET", "/api/v1/live", shapePlain, s.openSocket},
		{"GET", "/api/v1/balance", shapePlain, s.balance},
		{"GET", "/api/v1/keys", shapePlain, s.listKeys},
		{"POST", "/api/v1/keys", shapePlain, s.makeKey},
		{"PATCH", "/api/v1/keys/:id", shapePlain, s.changeKey},
		{"DELETE", "/api/v1/keys/:id", shapePlain, s.revokeKey},
		{"POST", "/api/v1/proxy/llm", shapePlain, s.proxy},
		{"POST", "/api/v1/proxy/batch", shapePlain, s.batch},
		{"POST", "/api/v1/payment/topup", shapePlain, s.topUp},
		{"POST", "/api/v1/payment/webhook/stripe", shapePlain, s.stripe},
		{"GET", PaymentDonePath, shapePlain, s.paymentDone},
		{"GET", PaymentCanceledPath, shapePlain, s.paymentCanceled},
		{"GET", "/webapp", shapePlain, s.miniApp},
		{"GET", "/webapp/*", shapePlain, s.miniApp},
		{"HEAD", "/webapp/*", shapePlain, s.miniApp},
		{"POST", "/webhook", shapePlain, s.webhook},
		{"GET", "/health", shapePlain, s.health},
		{"HEAD", "/health", shapePlain, s.health},
		{"GET", "/readyz", shapePlain, s.ready},
		{"HEAD", "/readyz", shapePlain, s.ready},
		{"GET", "/api/docs", shapePlain, s.documents.page.serve},
		{"GET", "/api/openapi.yaml", shapePlain, s.documents.yaml.serve},
		{"GET", "/api/openapi.json", shapePlain, s.documents.json.serve},
	}...)
}

// accountTable are the routes that need AccountOptions.
func (s *Server) accountTable() []route {
	if s.account == nil || s.keyBook == nil {
		return nil
	}
	return []route{
		{"GET", "/api/v1/usage", shapePlain, s.usage},
		{"GET", "/api/v1/usage/calls", shapePlain, s.usageCalls},
		{"GET", "/api/v1/usage/export", shapePlain, s.exportUsage},
		{"POST", "/api/v1/usage/export/chat", shapePlain, s.sendUsage},
		{"GET", "/api/v1/transactions", shapePlain, s.transactions},
		{"GET", "/api/v1/products", shapePlain, s.products},
		{"GET", "/api/v1/settings", shapePlain, s.settings},
		{"PATCH", "/api/v1/settings", shapePlain, s.changeSettings},
		{"GET", "/api/v1/organisation", shapePlain, s.organisation},
		{"POST", "/graphql", shapePlain, s.graphQL},
		{"GET", "/graphql/schema", shapePlain, s.graphSDL},
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
func nameRequest(c *fiber.Ctx, sh shape) {
	header := &c.Response().Header
	if own := c.Request().Header.Peek(headerRequestID); presentableID(own) {
		header.SetBytesV(headerRequestID, own)
	} else {
		var id [16]byte
		var text [32]byte
		binary.BigEndian.PutUint64(id[:], rand.Uint64()) // it is no secret
		binary.BigEndian.PutUint64(id[8:], rand.Uint64())
		hex.Encode(text[:], id[:])
		header.SetBytesV(headerRequestID, text[:])
	}
	if sh == shapeAnthropic {
		header.SetBytesV(headerAnthropic, header.Peek(headerRequestID))
	}
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
