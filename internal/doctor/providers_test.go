package doctor

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/llm"
)

// TestProviders asks servers that answer in all ways there are.
func TestProviders(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.Header.Get("Authorization") != "Bearer the-key" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		var status int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d/models", &status)
		w.WriteHeader(status)
	}))
	defer server.Close()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	var text strings.Builder
	text.WriteString("providers:\n")
	statuses := []int{200, 401, 403, 404, 429, 503}
	for _, status := range statuses {
		fmt.Fprintf(&text, "  - {name: p%d, protocol: openai, base_url: %s/%d, api_key_env: K, local: true}\n", status, server.URL, status)
	}
	fmt.Fprintf(&text, "  - {name: gone, protocol: openai, base_url: %s, api_key_env: K, local: true}\n", gone.URL)
	text.WriteString("  - {name: idle, protocol: openai, base_url: https://idle.example, api_key_env: NONE}\nmodels:\n  - id: m\n    prices: {input: \"1\", output: \"1\"}\n    context: 1000\n    max_output: 100\n    deployments:\n      - {provider: gone, model: x}\n      - {provider: idle, model: x}\n")
	for _, status := range statuses {
		fmt.Fprintf(&text, "      - {provider: p%d, model: x}\n", status)
	}
	load := func(key string) *llm.Catalogue {
		t.Helper()
		catalogue, err := llm.LoadCatalogue([]byte(text.String()), func(name string) string { return map[string]string{"K": key}[name] })
		if err != nil {
			t.Fatal(err)
		}
		return catalogue
	}
	client := llm.NewClient(llm.ClientOptions{})
	defer client.Close()
	p := Providers{Catalogue: load("the-key"), Client: client, ChatModel: "m"}
	checks := p.Checks()
	if len(checks) != 1+1+len(statuses) {
		t.Errorf("%d checks: a provider without a key is asked, or another is not", len(checks))
	}
	for name, want := range map[string]string{
		"catalogue": "ok: 1 models can be reached by 7 providers", "provider.p200": "ok: takes our key", "provider.p401": "fault: refuses our key (401)",
		"provider.p403": "fault: refuses our key (403)", "provider.p404": "ok: no list of models", "provider.p429": "warning: we ask too much",
		"provider.p503": "warning: answers 503", "provider.gone": "warning: does not answer",
	} {
		expect(t, checks, name, want)
	}
	p.ChatModel = "other"
	expect(t, p.Checks(), "catalogue", "fault: CHAT_MODEL is other")
	none, err := llm.LoadCatalogue(llm.DefaultCatalogue, func(string) string { return "" })
	if err != nil {
		t.Fatal(err)
	}
	expect(t, Providers{Catalogue: none, Client: client, ChatModel: "m"}.Checks(), "catalogue", "fault: No model can be reached")
}

func TestCards(t *testing.T) {
	t.Parallel()
	status := http.StatusOK
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != "/v1/events" || r.Header.Get("Authorization") != "Bearer rk_test" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		w.WriteHeader(status)
	}))
	web := NewWebClient(nil)
	defer web.CloseIdleConnections()
	checks := Cards{Key: "rk_test", API: server.URL, Client: web}.Checks()
	for code, want := range map[int]string{200: "ok: takes our key", 401: "fault: refuses our key", 403: "fault: read events", 500: "warning: answers 500"} {
		status = code
		expect(t, checks, "cards", want)
	}
	server.Close()
	expect(t, checks, "cards", "warning: does not answer")
}
