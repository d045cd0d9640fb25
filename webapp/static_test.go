package webapp

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/gofiber/fiber/v2"
)

// serving is a row of the table that the program and the proxy before it are held to.
type serving struct {
	Path, Accept, Type, Cache, Encoding, File string
	Status                                    int
}

func servingTable(t *testing.T) (rows []serving) {
	t.Helper()
	text, err := os.ReadFile("testdata/serving.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows
}

// staticApp serves files as the gateway does.
func staticApp(t *testing.T, o StaticOptions) *fiber.App {
	t.Helper()
	s, err := NewStatic(o)
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New()
	for _, path := range []string{"/webapp", "/webapp/*"} {
		app.Get(path, s.Handle) // and HEAD
	}
	return app
}

func fetch(t *testing.T, app *fiber.App, method, path string, headers ...string) (*http.Response, []byte) {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := app.Test(request, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, body
}

// Every row of the table holds, to HEAD as well; and who has a file is not sent it again.
func TestServing(t *testing.T) {
	files := os.DirFS("testdata/site")
	app := staticApp(t, StaticOptions{Files: files})
	for _, row := range servingTable(t) {
		response, body := fetch(t, app, "GET", row.Path, "Accept-Encoding", row.Accept)
		got := serving{Path: row.Path, Accept: row.Accept, File: row.File, Status: response.StatusCode, Type: response.Header.Get("Content-Type"),
			Cache: response.Header.Get("Cache-Control"), Encoding: response.Header.Get("Content-Encoding")}
		if got != row {
			t.Errorf("answered %+v, want %+v", got, row)
			continue
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "X-Frame-Options": ""} {
			if got := response.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q", row.Path, name, got)
			}
		}
		if response.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: no policy", row.Path)
		}
		tag := response.Header.Get("ETag")
		if row.Status != 200 {
			if tag != "" {
				t.Errorf("%s: what is not there has a tag", row.Path)
			}
			continue
		}
		name := row.File + map[string]string{"br": ".br", "gzip": ".gz"}[row.Encoding]
		if want, err := fs.ReadFile(files, name); err != nil || string(want) != string(body) {
			t.Errorf("%s: %d bytes, want %s: %v", row.Path, len(body), name, err)
		}
		head, none := fetch(t, app, "HEAD", row.Path, "Accept-Encoding", row.Accept)
		if len(none) != 0 || head.Header.Get("ETag") != tag || head.ContentLength != int64(len(body)) {
			t.Errorf("%s: HEAD %v", row.Path, head.Header)
		}
		for _, have := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			again, none := fetch(t, app, "GET", row.Path, "Accept-Encoding", row.Accept, "If-None-Match", have)
			if again.StatusCode != http.StatusNotModified || len(none) != 0 || again.Header.Get("Cache-Control") != row.Cache || again.Header.Get("ETag") != tag {
				t.Errorf("%s with %s: %d %v", row.Path, have, again.StatusCode, again.Header)
			}
		}
	}
}

// A tag is of one encoding: what a cache has of another is not taken for it.
func TestTagsDiffer(t *testing.T) {
	app := staticApp(t, StaticOptions{Files: os.DirFS("testdata/site")})
	tags := map[string]bool{}
	for _, accept := range []string{"br", "gzip", ""} {
		response, _ := fetch(t, app, "GET", "/webapp/", "Accept-Encoding", accept)
		tags[response.Header.Get("ETag")] = true
		if response.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: varies by %q", accept, response.Header.Get("Vary"))
		}
	}
	if len(tags) != 3 {
		t.Errorf("tags are %v", tags)
	}
}

// Nothing but the Mini App's own files runs in its pages, and nobody but Telegram frames
// them, unless it is named.
func TestPolicy(t *testing.T) {
	app := staticApp(t, StaticOptions{Files: os.DirFS("testdata/site"), Origin: "https://kikuai.example", Frames: []string{"http://127.0.0.1:8081"}})
	response, _ := fetch(t, app, "GET", "/webapp/")
	policy := response.Header.Get("Content-Security-Policy")
	for _, want := range []string{
		"default-src 'none'", "script-src 'self';", "style-src 'self';", "connect-src 'self' wss://kikuai.example;",
		"frame-ancestors https://web.telegram.org ", " http://127.0.0.1:8081", "base-uri 'none'", "form-action 'none'",
	} {
		if !strings.Contains(policy, want) {
			t.Errorf("no %q in %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") || strings.HasSuffix(policy, "*") {
		t.Errorf("the policy is %s", policy)
	}
}

// A text that was not compressed when it was built is compressed once here, and a built
// one is taken as it is.
func TestCompressedHere(t *testing.T) {
	long := strings.Repeat("all the same ", 1000)
	app := staticApp(t, StaticOptions{Files: fstest.MapFS{
		"index.html": {Data: []byte(long)}, "short.js": {Data: []byte("1")}, "image.png": {Data: []byte(long)},
	}})
	response, body := fetch(t, app, "GET", "/webapp/", "Accept-Encoding", "br, gzip")
	if response.Header.Get("Content-Encoding") != "gzip" || len(body) > len(long)/10 {
		t.Fatalf("%v, %d bytes", response.Header, len(body))
	}
	reader, err := gzip.NewReader(strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(reader); err != nil || string(text) != long {
		t.Errorf("%d bytes, %v", len(text), err)
	}
	for _, path := range []string{"/webapp/short.js", "/webapp/image.png"} {
		if response, _ := fetch(t, app, "GET", path, "Accept-Encoding", "br, gzip"); response.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s was compressed", path)
		}
	}
}

// A program that was built without the Mini App says so, and what mends it.
func TestUnbuilt(t *testing.T) {
	app := staticApp(t, StaticOptions{Files: fstest.MapFS{".gitkeep": {}}})
	response, body := fetch(t, app, "GET", "/webapp/")
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Cache-Control") != "no-store" || !strings.Contains(string(body), "make build") {
		t.Errorf("%d %v %s", response.StatusCode, response.Header, body)
	}
	if response, _ := fetch(t, app, "GET", "/webapp"); response.StatusCode != http.StatusPermanentRedirect || response.Header.Get("Location") != "/webapp/" {
		t.Errorf("%d %v", response.StatusCode, response.Header)
	}
	if _, err := fs.Stat(Dist(), ".gitkeep"); err != nil {
		t.Errorf("the program has no place for the Mini App: %v", err)
	}
}

// Who opens the Mini App outside of Telegram is told where it belongs.
func TestStaticNamesTheBot(t *testing.T) {
	site := os.DirFS("testdata/site")
	response, body := fetch(t, staticApp(t, StaticOptions{Files: site, Bot: "kikuai_bot"}), http.MethodGet, "/webapp/bot.json")
	if response.StatusCode != http.StatusOK || string(body) != "{\"username\":\"kikuai_bot\"}\n" ||
		response.Header.Get("Content-Type") != "application/json" || response.Header.Get("Cache-Control") != cacheCheck {
		t.Errorf("%d %q %v", response.StatusCode, body, response.Header)
	}
	if response, _ := fetch(t, staticApp(t, StaticOptions{Files: site}), http.MethodGet, "/webapp/bot.json"); response.StatusCode != http.StatusNotFound {
		t.Errorf("a bot without a name is told: %d", response.StatusCode)
	}
}
