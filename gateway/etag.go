package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

const (
	squeezeLeast = 1 << 10 // bytes of an answer
	brotliLevel  = 4       // as quick as gzip, and smaller
	gzipLevel    = 6
	brotliName   = "br"
	gzipName     = "gzip"
)

// tagOf is the entity tag of a content. It is weak: what is sent may be compressed.
func tagOf(content []byte) string {
	sum := sha256.Sum256(content)
	return `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
}

// tagged answers with a content, or with 304 where the client has it.
func tagged(c *fiber.Ctx, kind string, content []byte, tag string) error {
	header := &c.Response().Header
	header.Set(fiber.HeaderETag, tag)
	header.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	if hasTag(string(c.Request().Header.Peek(fiber.HeaderIfNoneMatch)), tag) {
		c.Status(fiber.StatusNotModified)
		return nil
	}
	header.SetContentType(kind)
	c.Response().SetBodyRaw(content)
	return nil
}

// hasTag compares as If-None-Match asks for: weakly, with any of a list.
func hasTag(list, tag string) bool {
	tag = strings.TrimPrefix(tag, "W/")
	for entry := range strings.SplitSeq(list, ",") {
		if entry = strings.TrimSpace(entry); entry == "*" || strings.TrimPrefix(entry, "W/") == tag {
			return true
		}
	}
	return false
}

// squeeze compresses an answer that is worth it in a way that its client understands. What
// is streamed goes out as it comes.
func squeeze(c *fiber.Ctx) {
	response := c.Response()
	if response.IsBodyStream() || len(response.Header.ContentEncoding()) > 0 {
		return
	}
	body := response.Body()
	if len(body) < squeezeLeast {
		return
	}
	response.Header.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	var small []byte
	way := encodingFor(string(c.Request().Header.Peek(fiber.HeaderAcceptEncoding)))
	switch way {
	case brotliName:
		small = fasthttp.AppendBrotliBytesLevel(nil, body, brotliLevel)
	case gzipName:
		small = fasthttp.AppendGzipBytesLevel(nil, body, gzipLevel)
	default:
		return
	}
	if len(small) >= len(body) {
		return
	}
	response.Header.SetContentEncoding(way)
	response.SetBodyRaw(small)
}

// encodingFor chooses from what a client accepts; "": nothing of ours. A weight of zero is
// a refusal; which of two it likes better is not asked.
func encodingFor(accepts string) (way string) {
	for entry := range strings.SplitSeq(accepts, ",") {
		name, weight, _ := strings.Cut(entry, ";")
		weight = strings.ReplaceAll(weight, " ", "")
		if strings.HasPrefix(weight, "q=0") && strings.Trim(weight[3:], ".0") == "" {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case brotliName:
			return brotliName
		case gzipName:
			way = gzipName
		}
	}
	return way
}
