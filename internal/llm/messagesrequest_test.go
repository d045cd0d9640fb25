package llm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// said is a body of messages with one more member.
func said(member string) string {
	return `{"model":"m","max_tokens":50,` + hello + `,` + member + `}`
}

// block is a body whose one message has a content block.
func block(json string) string {
	return `{"model":"m","max_tokens":50,"messages":[{"role":"user","content":[` + json + `]}]}`
}

func claudeDeployment(t testing.TB, model string) *Deployment {
	t.Helper()
	c, err := LoadCatalogue(fmt.Appendf(nil, `
providers: [{name: p, protocol: anthropic, local: true, base_url: "http://127.0.0.1:1", api_key_env: X}]
models: [{id: m, prices: {input: "1", output: "1"}, context: 100000, max_output: 100, deployments: [{provider: p, model: %s}]}]`, model), env("X", "sk-ant"))
	if err != nil {
		t.Fatal(err)
	}
	return c.Models()[0].Pick()
}

func TestMessagesRefusals(t *testing.T) {
	const search = `{"type":"web_search_20250305","name":"web_search"}`
	for body, want := range map[string]string{
		`{`:                           "",
		`{"model":"m",` + hello + `}`: "max_tokens",
		`{"model":"m","max_tokens":null,` + hello + `}`:                                   "max_tokens",
		`{"model":"m","max_tokens":50}`:                                                   "messages",
		`{"model":"m","max_tokens":50,"messages":[]}`:                                     "messages",
		`{"model":"m","max_tokens":50,"messages":[7]}`:                                    "messages[0]",
		`{"model":"m","max_tokens":50,"messages":[{"content":"x"}]}`:                      "messages[0].role",
		said(`"max_tokens":60`):                                                           "max_tokens",
		said(`"Max_Tokens":60`):                                                           "max_tokens",
		said(`"stream":1`):                                                                "stream",
		said(`"service_tier":"priority"`):                                                 "service_tier",
		said(`"speed":"fast"`):                                                            "speed",
		said(`"inference_geo":"us"`):                                                      "inference_geo",
		said(`"thread":{"type":"create"}`):                                                "thread",
		said(`"fallbacks":"default"`):                                                     "fallbacks",
		said(`"compaction":{"type":"summarize"}`):                                         "compaction",
		said(`"billing_policy":{"type":"billing_policy"}`):                                "billing_policy",
		said(`"fallback_credit_token":"t"`):                                               "fallback_credit_token",
		block(`{"type":"container_upload","file_id":"f"}`):                                "messages[0].content[0].type",
		block(`{"type":"tool_addition","tool":{"type":"mcp_tool_reference","name":"n"}}`): "messages[0].content[0].tool.type",
		block(`{"type":"tool_addition","tool":{"type":"tool_definition","definition":` + search + `}}`):                                                      "messages[0].content[0].tool.definition.type",
		block(`{"type":"tool_addition","tool":{"type":"tool_reference","type":"tool_definition","definition":` + search + `}}`):                              "messages[0].content[0].tool.type",
		block(`{"type":"compaction","content":"c","tool_changes":[{"type":"tool_addition","tool":{"type":"tool_definition","definition":` + search + `}}]}`): "messages[0].content[0].tool_changes[0].tool.definition.type",
		said(`"container":"c"`):                                                                                        "container",
		said(`"mcp_servers":[{"url":"https://x"}]`):                                                                    "mcp_servers",
		said(`"tools":{}`):                                                                                             "tools",
		said(`"tools":[{"name":"a"},` + search + `]`):                                                                  "tools[1].type",
		said(`"tools":[{"type":"custom","type":"web_search_20250305"}]`):                                               "tools[0].type",
		said(`"tools":[],"tools":[` + search + `]`):                                                                    "tools",
		said(`"tools":[{"type":"computer"}]`):                                                                          "tools[0].type",
		said(`"context_management":{"edits":[{},{"type":"compact_2026"}]}`):                                            "context_management.edits[1]",
		said(`"context_management":{"edits":[],"edits":[{"type":"compact_2026"}]}`):                                    "context_management.edits",
		said(`"context_management":{"edits":[{"type":"clear_thinking","type":"compact_2026"}]}`):                       "context_management.edits[0].type",
		said(`"user_profile_id":"p"`):                                                                                  "user_profile_id",
		block(`{"type":"document","source":{"type":"file","file_id":"f"}}`):                                            "messages[0].content[0].source.type",
		block(`{"type":"text","text":"a"},{"type":"image","type":"text","source":{}}`):                                 "messages[0].content[1].type",
		block(`{"type":"image","source":{"type":"url"},"source":{"type":"base64","data":"x"}}`):                        "messages[0].content[0].source",
		block(`{"type":"image","source":{"type":"base64","type":"text","data":"x"}}`):                                  "messages[0].content[0].source.type",
		block(`{"type":"image","source":{"type":"base64","data":"x","data":"y"}}`):                                     "messages[0].content[0].source.data",
		block(`{"type":"tool_result","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}`):         "messages[0].content[0].content[0].source.type",
		block(`{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"file"}}]}}`): "messages[0].content[0].source.content[0].source.type",
	} {
		_, err := ParseMessages([]byte(body), MessagesHeaders{})
		var refused *RequestError
		if !errors.As(err, &refused) {
			t.Errorf("%s: %v", body, err)
			continue
		}
		if refused.Param != want || refused.Message == "" {
			t.Errorf("%s: param %q (%s), want %q", body, refused.Param, refused.Message, want)
		}
	}
	for _, beta := range []string{"context-1m-2025-08-07", "a, context-1m-x", "a\r\nb", "a,,b", strings.Repeat("a", maxBeta+1)} {
		if _, err := ParseMessages([]byte(said(`"x":1`)), MessagesHeaders{Beta: beta}); err == nil {
			t.Errorf("accepted %q", beta)
		}
	}
}

func TestMessagesReading(t *testing.T) {
	r, err := ParseMessages([]byte(said(`"stream":true,"cache_max_age":7,"service_tier":"auto","mcp_servers":[],"speed":null,"tools":[{"name":"a","input_schema":{}},{"type":"bash_20250124","name":"bash"}]`)),
		MessagesHeaders{Version: "yesterday", Beta: "one"})
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "m" || !r.Stream || r.MaxOutput != 50 || r.MaxField != FieldMaxTokens || r.N != 1 || r.CacheMaxAge != 7 {
		t.Errorf("%+v", r)
	}
	out, _, err := r.For(claudeDeployment(t, `"up \"one\""`), 40, nil)
	if err != nil {
		t.Fatal(err)
	}
	if out.target.String() != "http://127.0.0.1:1/v1/messages" || out.header.Get("X-Api-Key") != "sk-ant" || out.header.Get("Authorization") != "" ||
		out.header.Get("Anthropic-Version") != anthropicVersion || out.header.Get("Anthropic-Beta") != "one" || out.header.Get("Accept") != "text/event-stream" {
		t.Errorf("%s %v", out.target, out.header)
	}
	if d := claudeDeployment(t, "m"); d.Provider.ways[OpMessages].whole.Get("Anthropic-Beta") != "" {
		t.Error("one client's header is everybody's")
	}
	if _, err := ParseCountTokens([]byte(`{"model":"m",`+hello+`}`), MessagesHeaders{}); err != nil {
		t.Errorf("counting needs no max_tokens: %v", err)
	}
}

func TestMessagesPatch(t *testing.T) {
	d := claudeDeployment(t, `"up \"one\""`)
	for body, want := range map[string]string{
		said(`"zeta":1e400`): `{"model":"up \"one\"","max_tokens":50,` + hello + `,"zeta":1e400}`,
		` {"cache_max_age":5 , "messages":[{"role":"user","content":"hi"}], "max_tokens" : 70,"model":"m"}`: ` { "messages":[{"role":"user","content":"hi"}], "max_tokens" : 50,"model":"up \"one\""}`,
		`{"model":"m","max_tokens":50,` + hello + ` , "cache_max_age":null }`:                               `{"model":"up \"one\"","max_tokens":50,` + hello + `  }`,
	} {
		r, err := ParseMessages([]byte(body), MessagesHeaders{})
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		out, _, err := r.For(d, 50, nil)
		if err != nil || string(out.Body) != want || !gjson.ValidBytes(out.Body) {
			t.Errorf("%s:\n got %s\nwant %s, %v", body, out.Body, want, err)
		}
	}
}

func TestMessagesBound(t *testing.T) {
	m := &Model{Context: 100_000, ImageTokens: 700}
	read := func(body string) *Request {
		t.Helper()
		r, err := ParseMessages([]byte(body), MessagesHeaders{})
		if err != nil {
			t.Fatalf("%.100s: %v", body, err)
		}
		return r
	}
	bound := func(body string) int64 { return read(body).PromptBound(m) }
	picture := strings.Repeat("A", 1<<20)
	plain := bound(said(`"x":1`))
	for name, q := range map[string]struct {
		body        string
		least, most int64
	}{
		"a system prompt":        {said(`"system":"` + strings.Repeat("a", 1000) + `"`), plain + 1000, plain + 1010},
		"a system of blocks":     {said(`"system":[{"type":"text","text":"` + strings.Repeat("a", 1000) + `"}]`), plain + 1000, plain + 1100},
		"tools":                  {said(`"tools":[{"name":"look"}]`), plain + toolsOverhead, plain + toolsOverhead + 50},
		"the provider's tool":    {said(`"tools":[{"type":"bash_20250124","name":"bash"}]`), plain + toolsOverhead + toolInstructions, plain + toolsOverhead + toolInstructions + 100},
		"a set of tools":         {said(`"tools":[{"type":"browser_toolset_20260801"}]`), plain + toolsOverhead + toolsetTools*toolInstructions, plain + toolsOverhead + toolsetTools*toolInstructions + 100},
		"a tool brought in":      {block(`{"type":"tool_addition","tool":{"type":"tool_definition","definition":{"type":"bash_20250124","name":"bash"}}}`), plain + toolInstructions, plain + toolInstructions + 200},
		"a tool taken out":       {block(`{"type":"tool_removal","tool":{"type":"tool_reference","name":"bash"}}`), plain, plain + 100},
		"a picture":              {block(`{"type":"image","source":{"type":"base64","media_type":"image/png","data":"` + picture + `"}}`), 700, 1100},
		"a picture elsewhere":    {block(`{"type":"image","source":{"type":"url","url":"https://x/y.png"}}`), 700, 1100},
		"a picture of a tool":    {block(`{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","data":"` + picture + `"}}]}`), 700, 1200},
		"a picture in a page":    {block(`{"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"base64","data":"` + picture + `"}}]}}`), 700, 1200},
		"a text":                 {block(`{"type":"document","source":{"type":"text","media_type":"text/plain","data":"` + strings.Repeat("a", 5000) + `"}}`), 5000, 5300},
		"a PDF":                  {block(`{"type":"document","source":{"type":"base64","data":"AA"}}`), m.Context, m.Context},
		"a PDF elsewhere":        {block(`{"type":"document","source":{"type":"url","url":"https://x"}}`), m.Context, m.Context},
		"a picture in arguments": {block(`{"type":"tool_use","id":"t","name":"n","input":{"type":"image","source":{"type":"base64","data":"` + picture + `"}}}`), m.Context, m.Context},
		"what is not known":      {block(`{"type":"web_fetch_tool_result","content":{}}`), m.Context, m.Context},
		"a call and thoughts":    {block(`{"type":"thinking","thinking":"a"},{"type":"tool_use","name":"n","input":{}},{"type":"text","text":"a"}`), plain, plain + 200},
		"a picture's own text":   {block(`{"type":"image","text":"` + picture + `","source":{"type":"base64","data":"x"}}`), m.Context, m.Context},
	} {
		if got := bound(q.body); got < q.least || got > q.most {
			t.Errorf("%s: %d, want %d to %d", name, got, q.least, q.most)
		}
	}
	var c Counter
	words := strings.Repeat("one two three ", 100)
	r := read(said(`"system":"` + words + `","tools":[{"name":"look","description":"` + words + `"}]`))
	if got := c.Prompt(r, m); got < 600 || got > 700 {
		t.Errorf("estimated %d tokens", got)
	}
	if lacks := read(said(`"x":1`)).Lacks; !lacks.HourWrite || !lacks.ImageIn || !lacks.AudioIn {
		t.Errorf("%+v", lacks)
	}
	for _, body := range []string{said(`"cache_control":{"type":"ephemeral","ttl":"1h"}`), said(`"cache_control":{"t\u0074l":"1h"}`)} {
		if read(body).Lacks.HourWrite {
			t.Errorf("%s keeps nothing for an hour", body)
		}
	}
	if read(block(`{"type":"image","source":{"type":"url","url":"https://x"}}`)).Lacks.ImageIn {
		t.Error("a picture is none")
	}
}

func TestMessagesRepeatable(t *testing.T) {
	for member, want := range map[string]bool{
		`"temperature":0`:                        true,
		`"temperature":0,"tools":[]`:             true,
		`"temperature":1`:                        false,
		`"x":1`:                                  false,
		`"temperature":0,"temperature":1`:        false,
		`"temperature":0,"Temperature":0`:        false,
		`"temperature":0,"tools":[{"name":"a"}]`: false,
	} {
		r, err := ParseMessages([]byte(said(member)), MessagesHeaders{})
		if err != nil {
			t.Fatal(err)
		}
		if r.Repeatable() != want {
			t.Errorf("%s is repeatable: %v", member, !want)
		}
	}
	digest := func(parse func([]byte) (*Request, error)) [32]byte {
		r, err := parse([]byte(said(`"x":1`)))
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest()
	}
	with := func(h MessagesHeaders) func([]byte) (*Request, error) {
		return func(body []byte) (*Request, error) { return ParseMessages(body, h) }
	}
	plain := digest(with(MessagesHeaders{}))
	if plain != digest(with(MessagesHeaders{Version: "no date"})) || plain == digest(with(MessagesHeaders{Version: "2024-01-01"})) || plain == digest(with(MessagesHeaders{Beta: "a"})) || plain == digest(ParseChat) {
		t.Error("requests with other answers have the same digest, or the same ones have two")
	}
}

// TestThread: requests of one conversation share a number, those of others do not.
func TestThread(t *testing.T) {
	chat := func(messages, more string) uint64 {
		r, err := ParseChat([]byte(`{"model":"m","messages":[` + messages + `]` + more + `}`))
		if err != nil {
			t.Fatal(err)
		}
		return r.Thread(7)
	}
	const system, first, second = `{"role":"system","content":"s"}`, `{"role":"user","content":"a"}`, `{"role":"user","content":"b"}`
	whole := chat(system+","+first, "")
	if whole != chat(system+","+first+","+second, `,"temperature":1`) || whole == chat(system+","+second, "") || whole == chat(first, "") {
		t.Error("a conversation is known by how it begins")
	}
	named := chat(first, `,"prompt_cache_key":"k"`)
	if named != chat(second, `,"user":"u","prompt_cache_key":"k"`) || named == chat(first, `,"user":"u"`) || chat(first, `,"user":""`) != chat(first, "") {
		t.Error("a conversation is known by its name")
	}
	messages := func(member string) *Request {
		r, err := ParseMessages([]byte(said(member)), MessagesHeaders{})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if messages(`"system":"s"`).Thread(7) == messages(`"system":"t"`).Thread(7) || messages(`"system":"s"`).Thread(7) == messages(`"system":"s"`).Thread(8) ||
		messages(`"system":"s","metadata":{"user_id":"u"}`).Thread(7) != messages(`"system":"t","metadata":{"user_id":"u"}`).Thread(7) {
		t.Error("messages: the thread is not that of account, user and system")
	}
}

// FuzzMessages: whatever is accepted is sent on as JSON in which no reader finds another
// model, a greater length, or what is billed apart.
func FuzzMessages(f *testing.F) {
	for _, seed := range []string{
		said(`"stream":true,"tools":[{"type":"custom","name":"a"}]`), said(`"cache_max_age":60`), said(`"MAX_TOKENS":9`),
		` { "messages" : [ {"role":"user"} ] , "max_tokens":5, "model":"m" } `, `{"cache_max_age":1 , "model":"m","max_tokens":50,` + hello + `}`,
		block(`{"type":"image","source":{"type":"base64","data":"x"}}`), block(`{"type":"document","source":{"type":"content","content":[{"type":"text"}]}}`),
	} {
		f.Add(seed)
	}
	d := claudeDeployment(f, `"other \"one\""`)
	m := &Model{Context: 1000, ImageTokens: 7}
	f.Fuzz(func(t *testing.T, body string) {
		r, err := ParseMessages([]byte(body), MessagesHeaders{})
		if err != nil {
			return
		}
		limit := min(50, r.MaxOutput)
		out, _, err := r.For(d, limit, nil)
		if err != nil || !json.Valid(out.Body) {
			t.Fatalf("%q is sent as %q, %v", body, out.Body, err)
		}
		var lax struct {
			Model       string
			MaxTokens   *int64 `json:"max_tokens"`
			CacheMaxAge any    `json:"cache_max_age"`
			Stream      *bool
			Container   any
			Tools       []struct{ Type string }
		}
		decoder := json.NewDecoder(bytes.NewReader(out.Body))
		if err := decoder.Decode(&lax); err != nil {
			return // a sub-field of another type, which the provider refuses
		}
		if lax.Model != d.Model || lax.MaxTokens == nil || *lax.MaxTokens != limit || lax.CacheMaxAge != nil || lax.Container != nil || lax.Stream != nil && *lax.Stream != r.Stream {
			t.Fatalf("%q is sent as %q", body, out.Body)
		}
		if bound := r.PromptBound(m); bound <= 0 || bound > m.Context {
			t.Fatalf("%q: bound %d", body, bound)
		}
	})
}
