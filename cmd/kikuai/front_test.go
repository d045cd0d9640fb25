package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/llmsim"
	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	telegramsAddress = "127.0.0.1" // the simulator's
	strangersAddress = "127.0.0.66"
)

// TestE2EFront is the program behind the production front, as its clients see it: streams,
// sockets, the Mini App, updates, who asks, what is not for them, and restarts of either.
func TestE2EFront(t *testing.T) {
	t.Parallel()
	buildMiniApp(t)
	s, front := newFrontedSite(t, binary, testenv.NginxOptions{Webroot: miniAppFolder + "/dist", Telegram: []string{telegramsAddress}})
	s.env["AUTH_FAILURES_PER_MINUTE"] = "5"
	serve := s.serve()
	s.arrange("webhook", "set")
	seen := s.through(front, front.ClientFrom("127.0.0.9"))
	key := s.key(personID, "5")
	s.frontUpdates(seen)
	s.frontStream(seen, key)
	s.frontLive(seen, key)
	s.frontMiniApp(seen)
	s.frontWho(front, key)
	s.frontPrivate(front, key)
	s.frontRestarts(front, serve, key)
	s.reconciled()
}

// frontUpdates: a message that Telegram delivers through the front is answered.
func (s *site) frontUpdates(seen *site) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	person := s.telegram.User(personID, "Ada").ID
	if _, err := s.telegram.StartBot(person, ""); err != nil {
		s.t.Fatal(err)
	}
	if _, err := s.telegram.WaitSent(ctx, person, said(`Hello, Ada!`)); err != nil {
		s.t.Fatalf("an update through the front: %v", err)
	}
	if status, body := seen.send(http.MethodPost, "/webhook", "", `{"update_id":1}`); status != http.StatusForbidden {
		s.t.Errorf("a stranger's update: %d %s", status, body)
	}
}

// frontStream: a token is with the client before the provider has the next one, and a
// client that leaves has left it for the provider.
func (s *site) frontStream(seen *site, key string) {
	s.t.Helper()
	s.model.Assign("sim-tokens-100", llmsim.Script{Tokens: 10, End: llmsim.EndStall, After: 5})
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, seen.url+"/v1/chat/completions",
		strings.NewReader(`{"model":"exact","max_tokens":50,"stream":true,"messages":[{"role":"user","content":"count"}]}`))
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	request.Header.Set("Accept-Encoding", "gzip, br")
	response, err := seen.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.Header.Get("Content-Encoding") != "" || len(response.Header.Values("X-Request-Id")) != 1 || len(response.Header.Values("Content-Security-Policy")) != 1 {
		s.t.Errorf("the stream's header: %v", response.Header)
	}
	for lines := bufio.NewReader(response.Body); ; { // the provider falls silent after it
		line, err := lines.ReadString('\n')
		if err != nil {
			s.t.Fatalf("the fifth token does not come: %v", err)
		}
		if strings.Contains(line, `"content":" five"`) {
			break
		}
	}
	cancel()
	s.until(30*time.Second, "told that the client has gone", func() bool {
		requests := s.model.Requests()
		return requests[len(requests)-1].Cancelled
	})
	s.until(30*time.Second, "settled", func() bool {
		_, held := s.balance(key)
		return held == 0
	})
	s.model.Assign("sim-tokens-100", llmsim.Script{Tokens: 100})
}

// frontLive: the live socket tells of a call at once.
func (s *site) frontLive(seen *site, key string) {
	s.t.Helper()
	l := seen.hearLive("wss"+strings.TrimPrefix(seen.url, "https"), key, "")
	l.until("the balance", func(e liveEvent) bool { return e.Type == "balance" })
	if status, body := seen.chat(key, "exact", "hello", 200); status != http.StatusOK {
		s.t.Fatalf("a call: %d %s", status, body)
	}
	l.until("the call", func(e liveEvent) bool { return e.Type == "usage" && e.Data.Cost == 100_000 })
}

// frontMiniApp: each file that was built is what the program would have sent, with the same
// headers.
func (s *site) frontMiniApp(seen *site) {
	s.t.Helper()
	paths := []string{"bot.json", "", "activity", "assets/none-12345678.js"}
	dist := filepath.Join(miniAppFolder, "dist")
	err := filepath.WalkDir(dist, func(path string, entry fs.DirEntry, err error) error {
		if name := strings.TrimPrefix(path, dist+"/"); err == nil && !entry.IsDir() && !strings.HasPrefix(entry.Name(), ".") {
			paths = append(paths, name)
		}
		return err
	})
	if err != nil || len(paths) < 10 {
		s.t.Fatalf("%d files, %v", len(paths), err)
	}
	for _, path := range paths {
		for _, accept := range []string{"br, gzip", "gzip", ""} {
			from, direct := seen.file("/webapp/"+path, accept), s.file("/webapp/"+path, accept)
			if from != direct {
				s.t.Errorf("%s for %q: %+v, and directly %+v", path, accept, from, direct)
			}
		}
	}
}

// served is a file of the Mini App as it is answered.
type served struct {
	status                                                              int
	kind, cache, encoding, policy, nosniff, referrer, vary, frame, body string
}

func (s *site) file(path, accept string) served {
	s.t.Helper()
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	request.Header.Set("Accept-Encoding", accept)
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	h := response.Header
	for name, values := range h {
		if len(values) > 1 {
			s.t.Errorf("%s: %s is %q", path, name, values)
		}
	}
	return served{response.StatusCode, h.Get("Content-Type"), h.Get("Cache-Control"), h.Get("Content-Encoding"), h.Get("Content-Security-Policy"),
		h.Get("X-Content-Type-Options"), h.Get("Referrer-Policy"), "", h.Get("X-Frame-Options"), string(body)}
}

// frontWho: a key's networks and the guard against guessed keys go by the address that the
// front has seen, whatever a client tells.
func (s *site) frontWho(front *testenv.NginxHandle, key string) {
	s.t.Helper()
	lies := []string{"X-Real-IP", "127.0.0.20", "X-Forwarded-For", "127.0.0.20", "Forwarded", "for=127.0.0.20"}
	at := func(address string) *site { return s.through(front, front.ClientFrom(address)) }
	var made struct{ Key string }
	body := at("127.0.0.9").wantCall(http.StatusCreated, "", http.MethodPost, "/api/v1/keys", key, `{"name":"office","allowed_ips":["127.0.0.20/32"]}`)
	if err := json.Unmarshal([]byte(body), &made); err != nil {
		s.t.Fatal(err)
	}
	at("127.0.0.20").wantCall(http.StatusOK, "", http.MethodPost, chatPath, made.Key, chatOf("exact"))
	at("127.0.0.21").wantCall(http.StatusForbidden, "key_address_not_allowed", http.MethodPost, chatPath, made.Key, chatOf("exact"), lies...)

	guesser := at("127.0.0.22")
	s.until(time.Minute, "a guesser is told to wait", func() bool {
		status, _, _ := guesser.call(http.MethodGet, "/api/v1/balance", "kk_nonsense", "", "X-Real-IP", fmt.Sprintf("127.0.3.%d", time.Now().UnixNano()%250))
		return status == http.StatusTooManyRequests
	})
	at("127.0.0.23").wantCall(http.StatusUnauthorized, "invalid_api_key", http.MethodGet, "/api/v1/balance", "kk_nonsense", "")
}

var requestIDs = regexp.MustCompile(`"request_id":"[^"]*"`)

// frontPrivate: what is for the inside, and updates of strangers, cannot be had by another
// spelling that the front and the program might read differently; and where both of them
// can tell an error, they say the same.
func (s *site) frontPrivate(front *testenv.NginxHandle, key string) {
	s.t.Helper()
	stranger := s.through(front, front.ClientFrom(strangersAddress))
	for _, name := range []string{"metrics", "readyz", "webhook", "performance/health", "debug/pprof/"} {
		for _, form := range []string{"/%s", "//%s", "/%s/", "/.//%s", "/v1/../%s", "/v1/%%2e%%2e/%s", "/v1/..%%2f%s", "/api/%%2e%%2e%%2f%s", "/health/..;/%s", "/v1/..%%5c%s", "/webapp/..%%2f%s", "/%s%%00"} {
			path := fmt.Sprintf(form, name)
			request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, stranger.url, strings.NewReader(`{"update_id":77}`))
			if err != nil {
				s.t.Fatal(err)
			}
			request.URL.Opaque = "//" + request.URL.Host + path
			request.Header.Set("X-Telegram-Bot-Api-Secret-Token", simSecret)
			request.Header.Set("X-Api-Key", "kk_nonsense")
			status, body := stranger.do(request)
			if status < 400 || status >= 500 {
				s.t.Errorf("%s: %d %s", path, status, body)
			}
		}
	}
	for _, c := range []struct{ method, path, body string }{
		{http.MethodGet, "/nothing", ""},
		{http.MethodPost, "/v1/chat/completions", strings.Repeat("x", 28<<20)},
		{http.MethodPost, "/v1/messages", strings.Repeat("x", 28<<20)},
	} {
		status, text := stranger.send(c.method, c.path, key, c.body)
		want, wantText := s.send(c.method, c.path, key, c.body)
		if text, wantText = requestIDs.ReplaceAllString(text, ""), requestIDs.ReplaceAllString(wantText, ""); status != want || text != wantText {
			s.t.Errorf("%s: the front says %d %s, the program %d %s", c.path, status, text, want, wantText)
		}
	}
}

// frontRestarts: whichever of the two is restarted first, the other finds it again.
func (s *site) frontRestarts(front *testenv.NginxHandle, serve *process, key string) {
	s.t.Helper()
	seen := s.through(front, front.Client())
	serve.stop()
	if status, body := seen.chat(key, "exact", "hello", 200); status != http.StatusServiceUnavailable || !strings.Contains(body, `"code":"service_unavailable"`) {
		s.t.Errorf("without a server: %d %s", status, body)
	}
	if status, _ := seen.get("/webapp/", ""); status != http.StatusOK {
		s.t.Errorf("the Mini App's page, which is on disk, without a server: %d", status)
	}
	s.serve()
	s.until(30*time.Second, "served again", func() bool {
		status, _ := seen.chat(key, "exact", "hello", 200)
		return status == http.StatusOK
	})
	front.Kill()
	front.Start()
	if status, body := seen.chat(key, "exact", "hello", 200); status != http.StatusOK {
		s.t.Errorf("after the front's restart: %d %s", status, body)
	}
}
