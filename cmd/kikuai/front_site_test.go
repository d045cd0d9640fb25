package main

import (
	"net/http"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/telegramsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

// newFrontedSite is newSiteOf behind the production front: PUBLIC_URL is the front's, and
// Telegram delivers through it. The site itself still speaks to its server directly; what
// speaks through the front is site.through. More servers (site.another) are taken in by
// front.Reload.
func newFrontedSite(t *testing.T, built func() (string, error), o testenv.NginxOptions) (*site, *testenv.NginxHandle) {
	t.Helper()
	o.Upstreams = []string{freeAddr(t)} // until there is a server
	front := testenv.Nginx(t, o)
	s := newSiteOf(t, built, func(o *telegramsim.Options) { o.Trust = front.TLS().RootCAs })
	s.env["PUBLIC_URL"] = front.URL()
	simulated := s.telegram.URL()
	frames := simulated + " " + strings.Replace(simulated, "127.0.0.1", "localhost", 1) // as the program allows outside production
	front.Reload(func(o *testenv.NginxOptions) {
		o.Upstreams = []string{s.address()}
		o.Variables = map[string]string{"FRONT_FRAMES": frames}
	})
	return s, front
}

// address is where the site's server listens.
func (s *site) address() string { return strings.TrimPrefix(s.url, "http://") }

// through is the site as a client of the front sees it.
func (s *site) through(front *testenv.NginxHandle, client *http.Client) *site {
	seen := *s
	seen.url, seen.client = front.URL(), client
	return &seen
}
