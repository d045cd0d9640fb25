package llmsim

import (
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestTokens(t *testing.T) {
	tests := map[string][]string{
		"":                            nil,
		" ":                           {" "},
		"one two":                     {"one", " two"},
		"one  two":                    {"one", " ", " two"},
		"a\n\n b":                     {"a", "\n\n", " b"},
		"Hello, world!":               {"Hello", ",", " world", "!"},
		"“Ça va?”":                    {"“", "Ça", " va", "?”"},
		"......":                      {"....", ".."},
		strings.Repeat("a", 17) + " ": {strings.Repeat("a", 16), "a", " "},
	}
	for text, want := range tests {
		if got := Tokens(text); !reflect.DeepEqual(got, want) {
			t.Errorf("Tokens(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestTokensJoin(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		pieces := Tokens(text)
		if strings.Join(pieces, "") != text || len(pieces) != CountTokens(text) {
			t.Fatalf("Tokens(%q) = %q", text, pieces)
		}
	})
}

func TestFiller(t *testing.T) {
	for _, n := range []int{0, 1, 10, 11, 1000} {
		if got := CountTokens(filler(n)); got != n {
			t.Errorf("filler(%d) has %d tokens", n, got)
		}
	}
}

func BenchmarkCompose(b *testing.B) {
	messages := []message{{role: "user", text: "hello"}}
	for b.Loop() {
		Tokens(compose(messages))
	}
}
