package gateway

import (
	"github.com/gofiber/fiber/v2"

	"github.com/kikuai/kikuai/internal/llm"
)

func parseResponses(_ *fiber.Ctx, body []byte) (*llm.Request, error) { return llm.ParseResponses(body) }

func parseEmbeddings(_ *fiber.Ctx, body []byte) (*llm.Request, error) {
	return llm.ParseEmbeddings(body)
}

func parseImages(_ *fiber.Ctx, body []byte) (*llm.Request, error) { return llm.ParseImages(body) }

func parseSpeech(_ *fiber.Ctx, body []byte) (*llm.Request, error) { return llm.ParseSpeech(body) }

func parseTranscription(c *fiber.Ctx, body []byte) (*llm.Request, error) {
	return llm.ParseTranscription(body, string(c.Request().Header.ContentType()))
}
