package llm

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

// Whatever is well-formed is walked as a parser walks it.
func FuzzWalk(f *testing.F) {
	for _, text := range []string{
		`{}`, ` { } `, `[]`, ` [ ] `, `{"a":1}`, `{"a" : "b" , "c":[1,2,{"d":"]}"}], "e":null}`, `["a",1,true,false,null,-1.5e3,{},[]]`,
		`{"a\\":"\\","b\"":"\"}","\u0061":"\\\"","":""}`, `[[["a\\\\"],"\\"],{"x":{"y":"z"}}]`, "\t{\n\"a\"\r: 1 }\n",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if check(text) != wellFormed {
			return
		}
		root := gjson.Parse(text)
		if !root.IsObject() && !root.IsArray() {
			return
		}
		if got, want := walked(root), parsed(root); got != want {
			t.Fatalf("walked\n%s\nparsed\n%s", got, want)
		}
	})
}

func walked(root gjson.Result) string {
	var b strings.Builder
	if root.IsArray() {
		eachElement(root.Raw, func(start, end int) bool { fmt.Fprintf(&b, "%s\n", root.Raw[start:end]); return true })
		return b.String()
	}
	eachField(root.Raw, 0, func(m member) bool {
		fmt.Fprintf(&b, "%q %d %d %s\n", unquoted(root.Raw[m.key:m.keyEnd]), m.key+root.Index, m.start+root.Index, root.Raw[m.start:m.end])
		return true
	})
	return b.String()
}

func parsed(root gjson.Result) string {
	var b strings.Builder
	root.ForEach(func(key, value gjson.Result) bool {
		if root.IsArray() {
			fmt.Fprintf(&b, "%s\n", value.Raw)
		} else {
			fmt.Fprintf(&b, "%q %d %d %s\n", key.Str, key.Index, value.Index, value.Raw)
		}
		return true
	})
	return b.String()
}
