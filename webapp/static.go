package webapp

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/gofiber/fiber/v2"
)

const (
	// Prefix is where the Mini App is served.
	Prefix = "/webapp/"

	indexFile = "index.html"
	botFile   = "bot.json" // whose Mini App it is
	assetsDir = "assets/"

	cacheNever  = "no-store"
	cacheCheck  = "no-cache" // kept, and asked for each time
	cacheDay    = "public, max-age=86400"
	cacheAlways = "public, max-age=2592000, immutable" // its name changes when it does

	gzipFrom = 1 << 10 // bytes of a text that is compressed here, if it was not when it was built
)

// hashed is the name of a file that has a sum of its content in it.
var hashed = regexp.MustCompile(`-[A-Za-z0-9_-]{8,}\.[a-z0-9.]+$`)

// types are the content types of what a Mini App is made of. What is not among them is
// nothing that a browser should make something of.
var types = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8",
	".json": "application/json", ".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp", ".ico": "image/x-icon",
	".woff2": "font/woff2", ".txt": "text/plain; charset=utf-8", ".webmanifest": "application/manifest+json",
}

// StaticOptions are what Static needs.
type StaticOptions struct {
	Files  fs.FS    // as they were built, with their .br and .gz beside them
	Origin string   // that the Mini App is served from; "": it is not known
	Frames []string // origins that may show it in a frame, beside Telegram's
	Bot    string   // the name of its bot, for who opens it elsewhere; "": it is not told
}

// Static serves the files of the Mini App from memory.
type Static struct {
	files  map[string]*file // by name; nil: it was not built
	policy string
}

// file is one of them, in all its encodings.
type file struct {
	contentType string
	cache       string
	tag         string // of the ETag, without quotes
	bodies      map[string][]byte
}

// Encodings of a file, the best first.
const (
	encodingBrotli = "br"
	encodingGzip   = "gzip"
	encodingNone   = ""
)

// NewStatic reads the files.
func NewStatic(o StaticOptions) (*Static, error) {
	s := &Static{policy: policy(o.Origin, o.Frames)}
	if _, err := fs.Stat(o.Files, indexFile); errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	s.files = map[string]*file{}
	err := fs.WalkDir(o.Files, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(path.Base(name), ".") || compressed(name) {
			return err
		}
		s.files[name], err = readFile(o.Files, name)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read the Mini App: %w", err)
	}
	if o.Bot != "" {
		s.files[botFile] = newFile(botFile, fmt.Appendf(nil, "{\"username\":%q}\n", o.Bot), cacheCheck)
	}
	return s, nil
}

func compressed(name string) bool {
	return strings.HasSuffix(name, ".br") || strings.HasSuffix(name, ".gz")
}

func readFile(files fs.FS, name string) (*file, error) {
	body, err := fs.ReadFile(files, name)
	if err != nil {
		return nil, err
	}
	f := newFile(name, body, cacheOf(name))
	for encoding, extension := range map[string]string{encodingBrotli: ".br", encodingGzip: ".gz"} {
		body, err := fs.ReadFile(files, name+extension)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		f.bodies[encoding] = body
	}
	if f.bodies[encodingGzip] == nil && len(body) >= gzipFrom && (strings.HasPrefix(f.contentType, "text/") || path.Ext(name) == ".svg" || path.Ext(name) == ".json") {
		f.bodies[encodingGzip], err = gzipped(body)
	}
	return f, err
}

// newFile is a file of that content, not compressed.
func newFile(name string, body []byte, cache string) *file {
	sum := sha256.Sum256(body)
	f := &file{
		contentType: types[path.Ext(name)], cache: cache,
		tag: base64.RawURLEncoding.EncodeToString(sum[:12]), bodies: map[string][]byte{encodingNone: body},
	}
	if f.contentType == "" {
		f.contentType = fiber.MIMEOctetStream
	}
	return f
}

func gzipped(body []byte) ([]byte, error) {
	var text bytes.Buffer
	w, err := gzip.NewWriterLevel(&text, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(body); err == nil {
		err = w.Close()
	}
	return text.Bytes(), err
}

// cacheOf is how long a file may be kept.
func cacheOf(name string) string {
	switch {
	case strings.HasSuffix(name, ".html"):
		return cacheCheck
	case strings.HasPrefix(name, assetsDir) && hashed.MatchString(name):
		return cacheAlways
	}
	return cacheDay
}

// policy is the Content-Security-Policy: nothing but the Mini App's own files, no code in
// its pages, and nobody's frame but Telegram's.
func policy(origin string, frames []string) string {
	connect := "'self'"
	if u, err := url.Parse(origin); err == nil && u.Host != "" { // to some browsers 'self' is no WebSocket
		connect += " " + strings.Replace(u.Scheme, "http", "ws", 1) + "://" + u.Host
	}
	ancestors := append([]string{"https://web.telegram.org", "https://*.web.telegram.org", "https://webk.telegram.org", "https://webz.telegram.org", "https://weba.telegram.org"}, frames...)
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src " + connect +
		"; base-uri 'none'; form-action 'none'; frame-ancestors " + strings.Join(ancestors, " ")
}

// Handle answers GET and HEAD below Prefix.
func (s *Static) Handle(c *fiber.Ctx) error {
	header := &c.Response().Header
	header.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	header.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	header.Set(fiber.HeaderContentSecurityPolicy, s.policy)
	if c.Path()+"/" == Prefix {
		header.Set(fiber.HeaderCacheControl, cacheCheck)
		return c.Redirect(Prefix, fiber.StatusPermanentRedirect)
	}
	if s.files == nil {
		return s.unbuilt(c)
	}
	f := s.find(strings.TrimPrefix(c.Path(), Prefix))
	if f == nil {
		header.Set(fiber.HeaderCacheControl, cacheNever)
		header.SetContentType(types[".txt"])
		return c.Status(fiber.StatusNotFound).SendString("There is nothing at this address.\n")
	}
	encoding := f.encoding(c.Get(fiber.HeaderAcceptEncoding))
	tag := `"` + f.tag + suffix(encoding) + `"`
	header.Set(fiber.HeaderCacheControl, f.cache)
	header.Set(fiber.HeaderETag, tag)
	if len(f.bodies) > 1 {
		header.Set(fiber.HeaderVary, fiber.HeaderAcceptEncoding)
	}
	if matches(c.Get(fiber.HeaderIfNoneMatch), tag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	header.SetContentType(f.contentType)
	if encoding != encodingNone {
		header.Set(fiber.HeaderContentEncoding, encoding)
	}
	c.Response().SetBodyRaw(f.bodies[encoding])
	return nil
}

// find is the file of that name, or of a page of the Mini App, which are all made by one.
func (s *Static) find(name string) *file {
	if f := s.files[name]; f != nil {
		return f
	}
	if path.Ext(name) == "" && !strings.HasPrefix(name, assetsDir) {
		return s.files[indexFile]
	}
	return nil
}

// encoding is the best that a client accepts.
func (f *file) encoding(accept string) string {
	for _, encoding := range []string{encodingBrotli, encodingGzip} {
		if f.bodies[encoding] != nil && accepts(accept, encoding) {
			return encoding
		}
	}
	return encodingNone
}

// accepts reads an Accept-Encoding header.
func accepts(header, encoding string) bool {
	for part := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(part, ";")
		if !strings.EqualFold(strings.TrimSpace(name), encoding) {
			continue
		}
		q, found := strings.CutPrefix(strings.ToLower(strings.TrimSpace(weight)), "q=")
		return !found || strings.Trim(q, "0.") != ""
	}
	return false
}

// suffix tells the tag of one encoding from another's.
func suffix(encoding string) string {
	if encoding == encodingNone {
		return ""
	}
	return "-" + encoding
}

// matches says whether a client has what the tag is of, by the weak comparison.
func matches(header, tag string) bool {
	for part := range strings.SplitSeq(header, ",") {
		if part = strings.TrimSpace(part); part == "*" || strings.TrimPrefix(part, "W/") == tag {
			return true
		}
	}
	return false
}

const unbuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The Mini App is not built</title></head><body>
<h1>The Mini App is not built</h1>
<p>This program was built without it. Install Node 20 or newer, then run <code>make build</code>. All else works.</p>
</body></html>
`

// unbuilt answers where there is no Mini App in the program.
func (s *Static) unbuilt(c *fiber.Ctx) error {
	header := &c.Response().Header
	header.Set(fiber.HeaderCacheControl, cacheNever)
	header.SetContentType(types[".html"])
	return c.Status(fiber.StatusServiceUnavailable).SendString(unbuilt)
}
