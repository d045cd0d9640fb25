package llm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// FuzzCheck: what is well-formed is so for another parser, too, and the other way.
func FuzzCheck(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, ` [ ] `, `{"a":1,"b":[true,false,null,{"c":"d"}]}`, `"eight bytes or more of a string"`, `"\u00e9\n\"\\"`, `"\u00g0"`, `"\u00e"`, `"\x"`,
		`-0.5e+10`, `01`, `-`, `1.`, `1e`, `.5`, `+1`, `tru`, `nulll`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[,1]`, `{,}`, `{1:2}`, `[1 2]`, `[}`, `{]`,
		`[1]]`, `{"a":1}}`, `1 1`, ``, ` `, "\"a\nb\"", "\"a tab\tin a longer string\"", "\"\x7f\xff\xfe and more\"", `"1234567\"`, `"123456\\"`, `"12345678`, "\ufeff{}",
		strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth), `{"a":"` + strings.Repeat("x", 100) + `"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		found := check(text)
		if found == tooDeep {
			if strings.Count(text, "[")+strings.Count(text, "{") <= maxDepth {
				t.Fatalf("%q is not that deep", text)
			}
			return
		}
		if valid := json.Valid([]byte(text)); valid != (found == wellFormed) {
			t.Fatalf("%q: valid is %v, found %v", text, valid, found)
		}
	})
}

func TestCheckDepth(t *testing.T) {
	for _, brackets := range []string{"[]", "{}"} {
		nested := func(levels int) string {
			if brackets == "[]" {
				return strings.Repeat("[", levels) + strings.Repeat("]", levels)
			}
			return strings.Repeat(`{"a":`, levels-1) + "{}" + strings.Repeat("}", levels-1)
		}
		for levels, want := range map[int]wellness{1: wellFormed, maxDepth: wellFormed, maxDepth + 1: tooDeep, 1 << 20: tooDeep} {
			if found := check(nested(levels)); found != want {
				t.Errorf("%d levels of %s: %v, want %v", levels, brackets, found, want)
			}
		}
	}
	if found := check(`"` + strings.Repeat("[", 2*maxDepth) + `"`); found != wellFormed {
		t.Errorf("brackets in a string: %v", found)
	}
}

func BenchmarkCheck(b *testing.B) {
	text := `{"model":"m","messages":[{"role":"user","content":"` + strings.Repeat("All work and no play makes a dull test. ", 2560) + `"}]}`
	b.Run("check", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			check(text)
		}
	})
	b.Run("gjson", func(b *testing.B) {
		b.SetBytes(int64(len(text)))
		for b.Loop() {
			gjson.Valid(text)
		}
	})
}
