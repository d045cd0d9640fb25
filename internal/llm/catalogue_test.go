package llm

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestDefaultCatalogue(t *testing.T) {
	c, err := LoadCatalogue(DefaultCatalogue, env("OPENAI_API_KEY", "sk-test"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model("gpt-4o-mini")
	if err != nil {
		t.Fatal(err)
	}
	d := m.Pick()
	out := d.outbound(OpChat, false, nil)
	if out.target.String() != "https://api.openai.com/v1/chat/completions" || out.header.Get("Authorization") != "Bearer sk-test" {
		t.Errorf("deployment %s goes to %s", d.Name(), out.target)
	}
	if got := d.Provider.lengthField(""); got != FieldMaxCompletionTokens {
		t.Errorf("OpenAI is sent %s", got)
	}
	if _, err := c.Model("claude-haiku"); !errors.Is(err, ErrModelUnknown) {
		t.Errorf("a model whose provider has no key: %v", err)
	}
	without, err := LoadCatalogue(DefaultCatalogue, env())
	if err != nil || len(without.Models()) != 0 {
		t.Errorf("without keys: %d models, %v", len(without.Models()), err)
	}
}

// contract is the form that others write catalogues in.
const contract = `
providers:
  - {name: openai, protocol: openai, base_url: https://api.openai.com/v1, api_key_env: OPENAI_API_KEY}
  - {name: anthropic, protocol: anthropic, base_url: https://api.anthropic.com, api_key_env: ANTHROPIC_API_KEY}
  - {name: home, protocol: openai, base_url: http://127.0.0.1:11434/v1, local: true}
models:
  - id: gpt-4o-mini
    prices: {input: "0.15", cached_input: "0.075", output: "0.60"}
    context: 128000
    max_output: 16384
    deployments: [{provider: openai, model: gpt-4o-mini, weight: 1}]
    fallbacks: [free]
  - id: free
    prices: {input: "0", output: "0"}
    context: 8192
    max_output: 8192
    deployments: [{provider: home, model: llama3}, {provider: openai, model: x, weight: 3}]
`

func TestCatalogueContract(t *testing.T) {
	c, err := LoadCatalogue([]byte(contract), env())
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Models()) != 1 || c.Models()[0].ID != "free" || c.Models()[0].Owner() != "home" {
		t.Fatalf("models %+v", c.Models())
	}
	d := c.Models()[0].Pick()
	if d.Name() != "home/llama3" || d.outbound(OpChat, false, nil).header.Get("Authorization") != "" || d.Provider.lengthField("") != FieldMaxTokens {
		t.Errorf("deployment %+v", d)
	}
	c, err = LoadCatalogue([]byte(contract), env("OPENAI_API_KEY", "k"))
	if err != nil {
		t.Fatal(err)
	}
	m, _ := c.Model("free")
	count := map[string]int{}
	for range 4000 {
		count[m.Pick().Name()]++
	}
	if home := count["home/llama3"]; home < 800 || home > 1200 {
		t.Errorf("weights 1 and 3 chose %v", count)
	}
}

func TestCatalogueFaults(t *testing.T) {
	_, err := LoadCatalogue([]byte(`
providers:
  - {name: a, protocol: openai, base_url: http://example.com/v1, api_key_env: A}
  - {name: a, protocol: smoke, base_url: ftp://x, local: true}
  - {name: "B%s", protocol: openai, base_url: "https://u:p@h/v1?q", max_tokens_field: n}
models:
  - id: m
    prices: {input: "-1", cached_input: "0.1.2", thoughts: "1"}
    context: 0
    max_output: 5
    deployments: [{provider: nobody, model: "", weight: 0}]
    fallbacks: [m, ghost]
  - id: m
    prices: {input: 1e-3, output: ".5"}
    context: 10
    max_output: 20
  - id: "no spaces"
    prices: {input: "1", output: null}
    context: 10
    max_output: 10
    deployments: [{provider: a, model: x}]
`), env())
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"base_url must be https", "the name is taken", "protocol must be", "http or https URL", `"B%s"`, "name must be",
		"neither user, query", "max_tokens_field must be", "api_key_env is missing",
		`price output is missing`, `price input must be a decimal of USD, not "-1"`, `cached_input must be`,
		`unknown price "thoughts"`, "context must be", "max_output must be", `unknown provider "nobody"`, "model must have", "weight must be",
		`fallback "m"`, `fallback "ghost"`, "the id is taken", `not "1e-3"`, `not ".5"`, "1 to 64 deployments, not 0", `id "no spaces" must be`, `price output must be`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("not reported: %s", want)
		}
	}
	if t.Failed() {
		t.Log(err)
	}
	for _, text := range []string{"", "providers: []\nmodels: []", "surprise: 1", "providers: 7", "\t:"} {
		if _, err := LoadCatalogue([]byte(text), env()); err == nil {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestProviderKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte("sk-from-file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := LoadCatalogue([]byte(contract), env("OPENAI_API_KEY_FILE", path))
	if err != nil {
		t.Fatal(err)
	}
	m, err := c.Model("gpt-4o-mini")
	if err != nil || m.Pick().outbound(OpChat, true, nil).header.Get("Authorization") != "Bearer sk-from-file" {
		t.Fatalf("key from a file: %v", err)
	}
	for _, e := range []func(string) string{
		env("OPENAI_API_KEY", "secret words"),
		env("OPENAI_API_KEY", "secret\r\nX: y"),
		env("OPENAI_API_KEY", "secret", "OPENAI_API_KEY_FILE", path),
		env("OPENAI_API_KEY_FILE", path+"-missing"),
	} {
		_, err := LoadCatalogue([]byte(contract), e)
		if err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "OPENAI_API_KEY") {
			t.Errorf("error %v", err)
		}
	}
}
