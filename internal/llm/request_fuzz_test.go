package llm

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// FuzzRequest: whatever is accepted is sent on as JSON in which no reader, however
// lax about case and repetition, finds another model or a greater length than
// what is paid for.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		with(`"max_tokens":90,"stream":true,"stream_options":{"a":1}`), with(`"max_completion_tokens":null,"n":2`),
		` { "messages" : [ {"role":"user"} ] , "model":"m" } `, with(`"stream":true,"stream_options":{"include_usage":false}`),
		with(`"MAX_TOKENS":9`), with(`"max_tokens":1,"x":{"max_tokens":7}`),
		with(`"cache_max_age":60,"stream":true`), with(`"max_tokens":3, "cache_max_age" : null `), `{"cache_max_age":1 , "model":"m",` + hello + `}`,
	} {
		f.Add(seed)
	}
	catalogue, err := LoadCatalogue([]byte(strings.ReplaceAll(contract, "model: llama3", `model: "other \"one\""`)), env())
	if err != nil {
		f.Fatal(err)
	}
	d := catalogue.Models()[0].Pick()
	f.Fuzz(func(t *testing.T, body string) {
		r, err := ParseChat([]byte(body))
		if err != nil {
			return
		}
		limit := int64(50)
		if r.MaxOutput > 0 {
			limit = min(limit, r.MaxOutput)
		}
		sent := r.form.(*chatRequest).appendPatched(nil, d, limit)
		if !json.Valid(sent) {
			t.Fatalf("%q is sent as %q", body, sent)
		}
		decoder := json.NewDecoder(bytes.NewReader(sent))
		decoder.UseNumber()
		var lax struct {
			Model         string
			MaxTokens     *int64 `json:"max_tokens"`
			MaxCompletion *int64 `json:"max_completion_tokens"`
			N             *int64
			CacheMaxAge   json.RawMessage `json:"cache_max_age"`
			Stream        *bool
			StreamOptions *struct {
				IncludeUsage *bool `json:"include_usage"`
			} `json:"stream_options"`
		}
		if err := decoder.Decode(&lax); err != nil {
			return // a sub-field of another type, which the provider refuses
		}
		limited := false
		for _, stated := range []*int64{lax.MaxTokens, lax.MaxCompletion} {
			if stated != nil {
				limited = true
				if *stated > limit {
					t.Fatalf("%q is sent as %q: more than %d", body, sent, limit)
				}
			}
		}
		switch {
		case lax.CacheMaxAge != nil, lax.Model != d.Model, !limited, lax.N != nil && *lax.N != r.N, lax.Stream != nil && *lax.Stream != r.Stream:
			t.Fatalf("%q is sent as %q", body, sent)
		case r.PromptBound(catalogue.Models()[0]) <= 0:
			t.Fatalf("%q: bound %d", body, r.PromptBound(catalogue.Models()[0]))
		}
	})
}
