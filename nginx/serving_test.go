package nginx_test

import (
	"encoding/json"
	"net/http"
	"os"
	"sync/atomic"
	"testing"

	"github.com/gofiber/fiber/v2"
	"github.com/gofiber/fiber/v2/middleware/adaptor"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/webapp"
)

const (
	site  = "../webapp/testdata/site"
	table = "../webapp/testdata/serving.json"
	frame = "http://127.0.0.1:1" // a site that may show the Mini App
)

// serving is a row of the table that the program is held to as well.
type serving struct {
	Path, Accept, Type, Cache, Encoding, File string
	Status                                    int
}

func servingTable(t *testing.T) (rows []serving) {
	t.Helper()
	text, err := os.ReadFile(table)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &rows); err != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows
}

// program answers for the Mini App as the program does, once it is told its address.
type program struct{ handler atomic.Value }

func (p *program) at(t *testing.T, origin string) {
	t.Helper()
	static, err := webapp.NewStatic(webapp.StaticOptions{Files: os.DirFS(site), Origin: origin, Frames: []string{frame}, Bot: "kikuai_bot"})
	if err != nil {
		t.Fatal(err)
	}
	app := fiber.New(fiber.Config{DisableStartupMessage: true})
	for _, path := range []string{"/webapp", "/webapp/*"} {
		app.Get(path, static.Handle)
	}
	p.handler.Store(adaptor.FiberApp(app))
}

func (p *program) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.handler.Load().(http.HandlerFunc)(w, r)
}

// newProgram is a rig with the program's own serving behind the front.
func newProgram(t *testing.T, o testenv.NginxOptions) *rig {
	t.Helper()
	p := &program{}
	o.Variables = map[string]string{"FRONT_FRAMES": frame}
	r := newRig(t, o, p.ServeHTTP)
	p.at(t, r.front.URL())
	return r
}

// TestServing: what the program's table says of the Mini App's files holds for the front,
// which takes them from disk, and so do all the headers that the program sends with them.
func TestServing(t *testing.T) {
	r := newProgram(t, testenv.NginxOptions{Webroot: site})
	for _, row := range servingTable(t) {
		a := r.do("GET", row.Path, "", "Accept-Encoding", row.Accept)
		got := serving{Path: row.Path, Accept: row.Accept, File: row.File, Status: a.status, Type: a.header.Get("Content-Type"),
			Cache: a.header.Get("Cache-Control"), Encoding: a.header.Get("Content-Encoding")}
		if got != row {
			t.Errorf("answered %+v, want %+v", got, row)
			continue
		}
		a.once(t, row.Path)
		if a.here() != (row.Status == http.StatusOK) {
			t.Errorf("%s %d: from the front is %v", row.Path, row.Status, a.here())
		}
		want, err := send(http.DefaultClient, r.behind.URL, "GET", row.Path, "", "Accept-Encoding", row.Accept)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"Content-Type", "Cache-Control", "Content-Encoding", "Content-Security-Policy", "X-Content-Type-Options", "Referrer-Policy", "X-Frame-Options"} {
			if a.header.Get(name) != want.header.Get(name) {
				t.Errorf("%s: %s is %q, and the program's %q", row.Path, name, a.header.Get(name), want.header.Get(name))
			}
		}
		if a.body != want.body {
			t.Errorf("%s: another body than the program's: %d and %d bytes", row.Path, len(a.body), len(want.body))
		}
		if row.Status == http.StatusOK {
			r.again(row, a)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

// again: HEAD says what GET does. Who has a file is not sent it again; who has a page is,
// since nginx' tags cannot tell two builds of it apart.
func (r *rig) again(row serving, a answer) {
	r.t.Helper()
	head := r.do("HEAD", row.Path, "", "Accept-Encoding", row.Accept)
	if head.body != "" || head.header.Get("Content-Length") != a.header.Get("Content-Length") || head.header.Get("ETag") != a.header.Get("ETag") {
		r.t.Errorf("%s: HEAD %v", row.Path, head.header)
	}
	tag := a.header.Get("ETag")
	if row.Cache == "no-cache" {
		same := r.do("GET", row.Path, "", "Accept-Encoding", row.Accept, "If-Modified-Since", a.header.Get("Last-Modified"))
		if tag != "" || same.status != http.StatusOK || same.body != a.body {
			r.t.Errorf("%s: a page is kept: %q, %d", row.Path, tag, same.status)
		}
		return
	}
	for _, have := range []string{tag, "W/" + tag, `"other", ` + tag} {
		same := r.do("GET", row.Path, "", "Accept-Encoding", row.Accept, "If-None-Match", have)
		if same.status != http.StatusNotModified || same.header.Get("Cache-Control") != row.Cache || same.header.Get("ETag") != tag {
			r.t.Errorf("%s with %s: %d %v", row.Path, have, same.status, same.header)
		}
		same.once(r.t, row.Path)
	}
}

// TestServingWithout: what is not on disk is the program's to answer, in its own words.
func TestServingWithout(t *testing.T) {
	r := newProgram(t, testenv.NginxOptions{})
	for _, row := range servingTable(t) {
		a := r.do("GET", row.Path, "", "Accept-Encoding", row.Accept)
		a.once(t, row.Path)
		if a.here() || a.status != row.Status || a.header.Get("Cache-Control") != row.Cache || a.header.Get("Content-Encoding") != row.Encoding || a.header.Get("Content-Type") != row.Type {
			t.Errorf("%s: %d %v", row.Path, a.status, a.header)
		}
	}
	if a := r.do("GET", "/webapp/bot.json", ""); a.body != "{\"username\":\"kikuai_bot\"}\n" || a.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("bot.json: %d %q %v", a.status, a.body, a.header)
	}
	a := r.do("GET", "/webapp", "")
	if a.status != http.StatusPermanentRedirect || a.header.Get("Location") != "/webapp/" || a.header.Get("Cache-Control") != "no-cache" {
		t.Errorf("/webapp: %d %v", a.status, a.header)
	}
}

// TestServingVaries: a cache between must not give one client's encoding to another.
func TestServingVaries(t *testing.T) {
	r := newRig(t, testenv.NginxOptions{Webroot: site}, nil)
	tags := map[string]bool{}
	for _, accept := range []string{"br", "gzip", ""} {
		a := r.do("GET", "/webapp/assets/index-Dq1x0yZz.css", "", "Accept-Encoding", accept)
		if a.header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: varies by %q", accept, a.header.Get("Vary"))
		}
		tags[a.header.Get("ETag")] = true
	}
	if len(tags) != 3 {
		t.Errorf("tags are %v", tags)
	}
	for _, method := range []string{"POST", "DELETE"} {
		if a := r.do(method, "/webapp/favicon.svg", ""); a.status != http.StatusMethodNotAllowed || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v", method, a.status, a.header)
		}
	}
}
