package clients_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv/strict"
)

// strictly reports what an official client would not find, or not know, in a value it
// decoded. Left out of it are the fields of our own and of reasoning models, and the
// citations of a text that cites nothing, which the provider leaves out as well and
// other clients do not take as null.
func strictly(t *testing.T, value any) {
	t.Helper()
	for _, fault := range strict.Faults(value, ".cost", ".estimated", ".reasoning_content", ".thinking_blocks", ".citations") {
		t.Error("the official client decodes", fault)
	}
}

// decode reads JSON into an official client's type, strictly.
func decode[T any](t *testing.T, text []byte) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	strictly(t, &v)
	return v
}

// sameJSON compares two JSON texts, whatever their spaces.
func sameJSON(t *testing.T, got, want string) {
	t.Helper()
	if diff := cmp.Diff(indent(t, want), indent(t, got)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func indent(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var raw json.RawMessage
	if err := decoder.Decode(&raw); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	indented, err := json.MarshalIndent(raw, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	b.Write(indented)
	return b.String()
}
