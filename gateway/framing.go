package gateway

import (
	"bytes"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// strict keeps from the handler what the HTTP server below lets pass although another
// server, a proxy before this one above all, may see another request in it: who can make
// two servers disagree about where a request ends can put one into somebody else's
// connection. Such a request is answered 400, and its connection closed.
func (s *Server) strict(next fasthttp.RequestHandler) fasthttp.RequestHandler {
	return func(c *fasthttp.RequestCtx) {
		if unambiguous(&c.Request.Header) {
			next(c)
			return
		}
		ctx := s.app.AcquireCtx(c)
		defer s.app.ReleaseCtx(ctx)
		c.SetConnectionClose()
		_ = s.unrouted(ctx, fiber.ErrBadRequest) // it answers, whatever comes
	}
}

var (
	versions = [...][]byte{[]byte("HTTP/1.1"), []byte("HTTP/1.0")}
	methods  = [...][]byte{[]byte("GET"), []byte("POST"), []byte("HEAD"), []byte("PUT"), []byte("PATCH"), []byte("DELETE"),
		[]byte("OPTIONS"), []byte("CONNECT"), []byte("TRACE")}

	fieldLength   = []byte("content-length")
	fieldEncoding = []byte("transfer-encoding")
	chunked       = []byte("chunked")
)

// unambiguous says whether a request's header can be read in but one way: every line of
// it ends in CRLF and none is folded, its length is told in one way, and by no transfer
// encoding but chunked. The HTTP server has refused repeated lengths and encodings,
// spaces before colons, and characters that may not stand in a header.
func unambiguous(h *fasthttp.RequestHeader) bool {
	if !among(versions[:], h.Protocol()) || !among(methods[:], h.Method()) {
		return false
	}
	length, encoding := false, false
	for rest := h.RawHeaders(); len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return false
		}
		line := rest[:end-1]
		rest = rest[end+1:]
		if len(line) == 0 {
			continue
		}
		switch line[0] {
		case ' ', '\t':
			return false
		case 'c', 'C', 't', 'T':
			name, value, _ := bytes.Cut(line, []byte(":"))
			switch {
			case bytes.EqualFold(name, fieldLength):
				length = true
			case bytes.EqualFold(name, fieldEncoding):
				encoding = true
				if !bytes.EqualFold(bytes.Trim(value, " \t"), chunked) {
					return false
				}
			}
		}
	}
	return !length || !encoding
}

func among(known [][]byte, value []byte) bool {
	for _, k := range known {
		if bytes.Equal(k, value) {
			return true
		}
	}
	return false
}
