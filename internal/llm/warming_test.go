package llm

import (
	"errors"
	"testing"
)

// TestMessagesOfNoAnswer: a request of no tokens only fills the provider's prompt cache. It
// is held for its prompt alone, and a provider that has no such requests is not asked.
func TestMessagesOfNoAnswer(t *testing.T) {
	const body = `{"model":"m","max_tokens":0,` + hello + `}`
	r, err := ParseMessages([]byte(body), MessagesHeaders{})
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Context: 1000, MaxOutput: 100}
	if r.OutputBound(m) != 0 || !r.Unbending() || r.MaxOutput != 0 || r.PromptBound(m) == 0 {
		t.Errorf("%+v", r)
	}
	out, _, err := r.For(claudeDeployment(t, "m"), 0, nil)
	if err != nil || string(out.Body) != body {
		t.Errorf("asked %s, %v", out.Body, err)
	}
	var refused *RequestError
	if _, _, err = r.For(deployment(t, `base_url: "http://127.0.0.1:1/v1"`, "m"), 0, nil); !errors.As(err, &refused) || refused.Param != FieldMaxTokens {
		t.Errorf("a chat provider: %v", err)
	}
	if r, err := ParseMessages([]byte(said(`"x":1`)), MessagesHeaders{}); err != nil || r.OutputBound(m) != 100 || r.Unbending() {
		t.Errorf("%+v, %v", r, err)
	}
	for _, many := range []string{"-1", "0.0", "0e0", `"0"`, "false", "99999999999"} {
		if _, err := ParseMessages([]byte(`{"model":"m","max_tokens":`+many+`,`+hello+`}`), MessagesHeaders{}); !errors.As(err, &refused) || refused.Param != FieldMaxTokens {
			t.Errorf("max_tokens %s: %v", many, err)
		}
	}
}
