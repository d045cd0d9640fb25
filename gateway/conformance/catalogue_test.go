package conformance_test

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/kikuai/kikuai/internal/llmsim"
)

// Models that fail are each client's own, so that no client's failures close a
// deployment to the others.
func clientPrefixes() []string {
	return []string{"openai-npm", "anthropic-npm", "langchain", "vercel", "openai-go", "anthropic-go"}
}

// catalogueFor names what the tests ask for: models of a provider that speaks
// OpenAI's protocol, and models called claude-… of one that speaks Anthropic's. Both
// are the simulator, which answers to either in either protocol, under the same names.
func catalogueFor(sim *llmsim.Server) string {
	var b strings.Builder
	fmt.Fprintf(&b, `
providers:
  - {name: sim, protocol: openai, base_url: %q, local: true, responses: true, health: false, api_key_env: SIM_KEY}
  - {name: claude, protocol: anthropic, base_url: %q, local: true, health: false, api_key_env: SIM_KEY}
models:
  - {id: sim-vectors, operations: [embeddings], prices: {input: "0.02", output: "0"}, context: 8192, deployments: [{provider: sim, model: sim-vectors}]}
  - {id: gpt-image-sim, operations: [images], prices: {input: "5", output: "40"}, max_output: 6240, deployments: [{provider: sim, model: gpt-image-sim}]}
  - {id: sim-speech, operations: [speech], prices: {million_characters: "15"}, deployments: [{provider: sim, model: sim-speech}]}
  - {id: sim-transcribe, operations: [transcriptions], prices: {input: "2.5", input_audio: "6", output: "10"}, context: 16000, max_output: 2000, deployments: [{provider: sim, model: sim-transcribe}]}
  - {id: sim-whisper, operations: [transcriptions], prices: {minute: "0.006"}, deployments: [{provider: sim, model: sim-whisper}]}
`, sim.URL()+"/v1", sim.URL())
	chat := func(name, provider string) {
		fmt.Fprintf(&b, "  - {id: %s, prices: {input: \"0.15\", cached_input: \"0.075\", cache_write: \"0.2\", cache_write_1h: \"0.3\", output: \"0.60\", input_audio: \"1\", output_audio: \"2\"}, "+
			"context: 200000, max_output: 128000, image_tokens: 1640, deployments: [{provider: %s, model: %s}]}\n", name, provider, name)
	}
	for _, name := range []string{"fast", "torn", "torn-runes", "crlf", "tokens-9", "reveals", "reasoning", "refusal", "429", "error-400", "error-500", "error-stream"} {
		chat("sim-"+name, "sim")
		script, _ := llmsim.ScriptFor("sim-" + name)
		sim.Assign("claude-"+name, script)
		chat("claude-"+name, "claude")
	}
	chat("claude-nine", "claude")
	sim.Assign("claude-nine", llmsim.Script{Tokens: 9})
	sim.Assign("claude-unknown", llmsim.Script{Status: http.StatusNotFound})
	for _, client := range clientPrefixes() {
		for name, script := range map[string]llmsim.Script{
			"busy": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}}, "broken": {Status: http.StatusInternalServerError},
			"chat-broken": {Status: http.StatusInternalServerError}, "responses-broken": {Status: http.StatusInternalServerError}, "claude-anthropic-broken": {Status: http.StatusInternalServerError},
			"fails": {End: llmsim.EndError, After: 5}, "flaky": {}, "claude-busy": {Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"1"}}},
			"claude-broken": {Status: http.StatusInternalServerError}, "claude-fails": {End: llmsim.EndError, After: 5}, "claude-flaky": {},
		} {
			sim.Assign(client+"-"+name, script)
			provider := "sim"
			if strings.HasPrefix(name, "claude-") {
				provider = "claude"
			}
			chat(client+"-"+name, provider)
		}
	}
	return b.String()
}
