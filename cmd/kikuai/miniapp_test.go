package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/telegramsim"
)

const (
	miniAppFolder = "../../webapp/ui"
	miniAppWalkIn = 4 * time.Minute
)

// TestE2EMiniApp walks the Mini App in a headless browser against a server, in a frame of
// another site, as webapp/ui/e2e/walk.mjs tells: every screen, every action, and axe.
func TestE2EMiniApp(t *testing.T) {
	t.Parallel()
	newMiniAppSite(t).walk(miniAppWalkIn, "walk.mjs")
}

// miniAppSite is a site with a person who has money, a key and some calls, and may pay.
type miniAppSite struct {
	*site

	apiKey string
	till   string // a POST there with an invoice's link pays it
}

func newMiniAppSite(t *testing.T) *miniAppSite {
	buildMiniApp(t)
	s := newSite(t)
	s.serve()
	s.arrange("webhook", "set")
	s.telegram.AddUser(telegramsim.User{ID: personID, FirstName: "A+B 50%", LanguageCode: "en"})
	if err := s.telegram.SetStars(personID, 10_000); err != nil {
		t.Fatal(err)
	}
	key := s.key(personID, "2.00")
	for i := range 6 {
		if status, text := s.chat(key, []string{"echo", "exact"}[i%2], "hello", 200); status != http.StatusOK {
			t.Fatalf("a call is answered %d: %s", status, text)
		}
	}
	s.until(startIn, "in the ledger", func() bool {
		status, body := s.get("/api/v1/usage", key)
		return status == http.StatusOK && strings.Contains(body, `"calls":6`)
	})
	till := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		link, _ := io.ReadAll(io.LimitReader(r.Body, 1<<10))
		if _, err := s.telegram.Pay(r.Context(), telegramsim.Purchase{User: personID, Link: string(link)}); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
		}
	}))
	t.Cleanup(till.Close)
	return &miniAppSite{site: s, apiKey: key, till: till.URL}
}

// walk takes one of the walks in webapp/ui/e2e, with more of an environment, and returns what
// it prints; the test fails where the walk does.
func (s *miniAppSite) walk(within time.Duration, script string, environ ...string) []byte {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), within)
	defer cancel()
	walk := exec.CommandContext(ctx, "node", "e2e/"+script)
	walk.Dir, walk.WaitDelay = miniAppFolder, 5*time.Second
	walk.Env = append(append(os.Environ(), "APP_URL="+s.url, "API_KEY="+s.apiKey, "PAY_URL="+s.till, "SHOTS="+os.Getenv("KIKUAI_SHOTS"),
		"INIT_DATA="+signedInitData(personID, time.Now()), "OLD_INIT_DATA="+signedInitData(personID, time.Now().Add(-61*time.Minute))), environ...)
	out, err := walk.Output()
	if err != nil {
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			out = append(out, ended.Stderr...)
		}
		s.t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return out
}

// signedInitData is what Telegram says of a person to the bot's Mini App at a moment.
func signedInitData(person int, at time.Time) string {
	fields := map[string]string{
		"user":      fmt.Sprintf(`{"id":%d,"first_name":"A+B 50%%","language_code":"en"}`, person),
		"auth_date": strconv.FormatInt(at.Unix(), 10), "signature": "third-party",
	}
	sum := func(key []byte, text string) []byte {
		h := hmac.New(sha256.New, key)
		_, _ = h.Write([]byte(text))
		return h.Sum(nil)
	}
	var lines []string
	query := url.Values{}
	for name, value := range fields {
		lines = append(lines, name+"="+value)
		query.Set(name, value)
	}
	slices.Sort(lines)
	query.Set("hash", hex.EncodeToString(sum(sum([]byte("WebAppData"), simToken), strings.Join(lines, "\n"))))
	return query.Encode()
}

// buildMiniApp builds it where its sources are newer than what was built. It must stand
// before the binary is built, which embeds it.
func buildMiniApp(t *testing.T) {
	t.Helper()
	if out, err := exec.Command("../../.ci/webapp").CombinedOutput(); err != nil {
		t.Fatalf("build the Mini App: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(miniAppFolder, "dist", "index.html")); err != nil {
		t.Fatalf("the Mini App is not built: %v", err)
	}
}
