package conformance_test

import (
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/billing"
	"github.com/kikuai/kikuai/internal/llmsim"
)

// outcome is what came of a case one way: a value, or an error.
type outcome struct {
	Value  any    `json:"value"`
	Error  string `json:"error,omitempty"` // its class
	Status any    `json:"status,omitempty"`
	Said   string `json:"said,omitempty"`
}

// both are the outcomes of a case directly and through the gateway.
type both struct{ Direct, Through outcome }

// way is how a client reaches a model.
type way struct {
	OpenAI    string `json:"openai"`    // with /v1
	Anthropic string `json:"anthropic"` // without
	Key       string `json:"key"`
}

// conformance is what the scripts of the clients are told.
type conformance struct {
	Direct  way    `json:"direct"`
	Through way    `json:"through"`
	Control string `json:"control"` // takes a list of scripts for the provider's next answers
	Poor    string `json:"poor"`    // a key without balance
	Limited string `json:"limited"` // a key for one call a second
	Prefix  string `json:"prefix"`  // of the client's own models
}

// TestClients runs every client's cases directly against the provider and through
// the gateway, and holds the two against each other.
func TestClients(t *testing.T) {
	install(t)
	s := open(t)
	account, key := s.account(100*dollar, 0)
	_, poor := s.account(1, 0)
	told := conformance{
		Direct:  way{OpenAI: s.provider, Anthropic: s.sim.URL(), Key: simKey},
		Through: way{OpenAI: s.url, Anthropic: strings.TrimSuffix(s.url, "/v1"), Key: key},
		Poor:    poor, Limited: s.key(account, billing.Limits{RefillMilli: 1000, Burst: 1}),
	}
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var scripts []llmsim.Script
		if err := json.NewDecoder(r.Body).Decode(&scripts); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.sim.Enqueue(scripts...)
	}))
	defer control.Close()
	told.Control = control.URL

	ran := map[string]map[string]bool{}
	for name, script := range map[string]string{"openai-npm": "openai.mjs", "anthropic-npm": "anthropic.mjs", "langchain": "langchain.mjs", "vercel": "vercel.mjs"} {
		told.Prefix = name
		t.Run(name, func(t *testing.T) { ran[name] = hold(t, s.node(t, script, told)) })
	}
	for name, cases := range map[string]func(context.Context, *goClient) map[string]any{"openai-go": openAIGoCases, "anthropic-go": anthropicGoCases} {
		told.Prefix = name
		t.Run(name, func(t *testing.T) {
			c := &goClient{t: t, told: told, enqueue: s.sim.Enqueue}
			ran[name] = hold(t, c.run(cases(t.Context(), c)))
		})
	}
	if !t.Failed() {
		checkTable(t, ran)
	}
	balance, err := s.desk.Accounts.Balance(t.Context(), account)
	s.must(err)
	if balance.Held != 0 || balance.Available <= 0 || balance.Available >= 100*dollar {
		t.Errorf("left %+v", balance)
	}
}

// node runs a client's script.
func (s *site) node(t *testing.T, script string, told conformance) map[string]both {
	t.Helper()
	env, err := json.Marshal(told)
	s.must(err)
	ctx, cancel := context.WithTimeout(t.Context(), nodeIn)
	defer cancel()
	node := exec.CommandContext(ctx, "node", script)
	node.Dir = npmDir
	node.Env = append(os.Environ(), "CONFORMANCE="+string(env), "LANGCHAIN_TRACING_V2=false")
	var stderr strings.Builder
	node.Stderr = &stderr
	out, err := node.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, stderr.String())
	}
	var seen map[string]both
	s.must(json.Unmarshal(out, &seen))
	return seen
}

// hold compares the two outcomes of every case, and tells which cases agree.
func hold(t *testing.T, seen map[string]both) map[string]bool {
	t.Helper()
	agree := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(seen)) {
		direct, through := seen[name].Direct, seen[name].Through
		if direct.Error != "" || through.Error != "" {
			t.Errorf("%s: direct %s %v %s; through %s %v %s", name, direct.Error, direct.Status, direct.Said, through.Error, through.Status, through.Said)
			continue
		}
		if diff := cmp.Diff(peers(direct.Value), peers(through.Value)); diff != "" {
			t.Errorf("%s (-direct +through):\n%s", name, diff)
			continue
		}
		agree[name] = true
	}
	if len(agree) == 0 {
		t.Error("no case agrees")
	}
	return agree
}

// peers leaves out of a value what is each answer's own: of ids and times only
// their kind stays. The cost goes, which the provider does not tell, and with it the
// limit that a response repeats, which is the gateway's where the caller stated none.
func peers(value any) any {
	switch v := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, field := range v {
			switch key {
			case "cost", "max_output_tokens":
			case "id", "call_id", "tool_call_id", "item_id", "_request_id":
				out[key] = field != nil && field != ""
			case "created", "created_at", "completed_at", "expires_at":
				out[key] = field != nil
			default:
				out[key] = peers(field)
			}
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = peers(v[i])
		}
		return out
	}
	return value
}
