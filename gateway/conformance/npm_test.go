package conformance_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
)

const (
	npmDir  = "clients"
	nodeIn  = 2 * time.Minute
	npmIn   = 5 * time.Minute
	missing = "node and npm are needed: apt-get install nodejs npm"
)

// seen is what ledger.mjs prints.
type seen struct {
	Costs []string
	Texts struct {
		Whole                  []string
		Streamed, Torn, Helper string
	}
	Header, RequestID, Object, Finish, Length, Model string
	Unasked                                          any
	Models                                           []string
	Errors                                           map[string]string
}

func TestOpenAINPM(t *testing.T) {
	install(t)
	s := open(t)
	id, key := s.account(dollar, 0)
	_, poor := s.account(1, 0)
	_, limited := s.account(0, 1)
	got := s.script(key, poor, limited)

	var said int64
	for _, cost := range got.Costs {
		said += nano(t, cost)
	}
	if len(got.Costs) != 3 || nano(t, got.Header) != nano(t, got.Costs[0]) || got.RequestID == "" || got.Object != "chat.completion" || got.Unasked != nil {
		t.Errorf("saw %+v", got)
	}
	// Torn frames, streams and whole answers carry the same words.
	if text := got.Texts; len(text.Whole) != 2 || text.Streamed != text.Whole[0] || text.Torn != text.Streamed || !strings.Contains(text.Streamed, "„größer“ 漢字 🙂") {
		t.Errorf("texts %+v", text)
	}
	if got.Finish != "stop" || got.Length != "length" || got.Model != "sim-fast" || !slices.Contains(got.Models, "sim-torn") {
		t.Errorf("saw %+v", got)
	}
	want := map[string]string{
		"badKey":         "AuthenticationError 401 invalid_api_key",
		"unknownModel":   "NotFoundError 404 model_not_found",
		"badRequest":     "BadRequestError 400 invalid_request",
		"refused":        "BadRequestError 400 -",
		"noBalance":      "APIError 402 insufficient_balance",
		"limited":        "RateLimitError 429 rate_limit_exceeded",
		"providerBusy":   "RateLimitError 429 provider_rate_limited",
		"providerBroken": "InternalServerError 502 provider_error",
		"insideStream":   "APIError - provider_error",
	}
	if diff := cmp.Diff(want, got.Errors); diff != "" {
		t.Errorf("errors (-want +got):\n%s", diff)
	}
	var torn int64
	testenv.Until(s.t, "the ledger has the torn stream", func() bool {
		s.must(s.pool.QueryRow(t.Context(), `select coalesce(sum(captured_nano), 0)::bigint from usage where account_id = $1 and model = 'sim-torn'`, id).Scan(&torn))
		return torn > 0
	})
	// Five calls: three that told their cost, one that was not asked, one cut short.
	s.wantLedger(id, dollar, said+torn, 5, 1)
}

// install brings the client, as locked, where it is not there yet.
func install(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Fatal(missing)
		}
	}
	if _, err := os.Stat(filepath.Join(npmDir, "node_modules", "ai", "package.json")); err == nil {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), npmIn)
	defer cancel()
	ci := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund")
	ci.Dir = npmDir
	if out, err := ci.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v\n%s", err, out)
	}
}

func (s *site) script(key, poor, limited string) seen {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), nodeIn)
	defer cancel()
	script := exec.CommandContext(ctx, "node", "ledger.mjs")
	script.Dir = npmDir
	script.Env = append(os.Environ(), "BASE_URL="+s.url, "API_KEY="+key, "POOR_KEY="+poor, "LIMITED_KEY="+limited)
	var stderr strings.Builder
	script.Stderr = &stderr
	out, err := script.Output()
	if err != nil {
		s.t.Fatalf("ledger.mjs: %v\n%s", err, stderr.String())
	}
	var got seen
	s.must(json.Unmarshal(out, &got))
	return got
}
