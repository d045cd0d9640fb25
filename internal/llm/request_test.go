package llm

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tidwall/gjson"
)

const hello = `"messages":[{"role":"user","content":"hi"}]`

func TestRequestRefusals(t *testing.T) {
	for body, want := range map[string]string{
		``:                             "",
		`{`:                            "",
		`[]`:                           "",
		`"x"`:                          "",
		`{} x`:                         "",
		`{"messages":[]}`:              "model",
		`{"model":7,` + hello + `}`:    "model",
		`{"model":"",` + hello + `}`:   "model",
		`{"model":null,` + hello + `}`: "model",
		`{"model":"m"}`:                "messages",
		`{"model":"m","messages":[]}`:  "messages",
		`{"model":"m","messages":{}}`:  "messages",
		`{"model":"m","messages":"x"}`: "messages",
		`{"model":"m","messages":[{"role":"user"},7]}`:                        "messages[1]",
		`{"model":"m","messages":[{"content":"x"}]}`:                          "messages[0].role",
		`{"model":"m","messages":[{"role":7}]}`:                               "messages[0].role",
		with(`"stream":"yes"`):                                                "stream",
		with(`"stream":1`):                                                    "stream",
		with(`"stream_options":7`):                                            "stream_options",
		with(`"stream_options":[]`):                                           "stream_options",
		with(`"stream_options":{"include_usage":1}`):                          "stream_options.include_usage",
		with(`"stream_options":{"include_usage":true,"include_usage":false}`): "stream_options.include_usage",
		with(`"stream_options":{"include_usage":true,"Include_Usage":false}`): "stream_options.include_usage",
		with(`"max_tokens":0`):                                                "max_tokens",
		with(`"max_tokens":-5`):                                               "max_tokens",
		with(`"max_tokens":1.5`):                                              "max_tokens",
		with(`"max_tokens":"7"`):                                              "max_tokens",
		with(`"max_tokens":1e3`):                                              "max_tokens",
		with(`"max_tokens":99999999999999999999`):                             "max_tokens",
		with(`"max_completion_tokens":true`):                                  "max_completion_tokens",
		with(`"n":0`):                                                         "n",
		with(`"n":129`):                                                       "n",
		with(`"n":[1]`):                                                       "n",
		with(`"service_tier":"priority"`):                                     "service_tier",
		with(`"service_tier":5`):                                              "service_tier",
		with(`"tools":{}`):                                                    "tools",
		with(`"tools":[{"type":"function","function":{"name":"f"}},{"type":"browser_search"}]`): "tools[1].type",
		with(`"tools":[{"type":"function","type":"live_search"}]`):                              "tools[0].type",
		with(`"tools":[{"type":"function","Type":"live_search"}]`):                              "tools[0].type",
		with(`"tools":[{"googleSearch":{}}]`):                                                   "tools[0].type",
		with(`"tools":[],"tools":[{"type":"web_search"}]`):                                      "tools",
		with(`"web_search_options":{}`):                                                         "web_search_options",
		with(`"Search_Parameters":{"mode":"on"}`):                                               "Search_Parameters",
		with(`"models":["dearer"]`):                                                             "models",
		with(`"plugins":[{"id":"web"}]`):                                                        "plugins",
		with(`"cache_max_age":0`):                                                               "cache_max_age",
		with(`"cache_max_age":"60"`):                                                            "cache_max_age",
		with(`"Cache_Max_Age":60`):                                                              "cache_max_age",
		with(`"model":"dearer"`):                                                                "model",
		with(`"Model":"dearer"`):                                                                "model",
		with(`"mod\u0065l":"dearer"`):                                                           "model",
		with(`"max_to\u212aens":9`):                                                             "max_tokens",
		with(`"N":100`):                                                                         "n",
		with(`"n":1,"n":100`):                                                                   "n",
		with(`"x":` + strings.Repeat("[", 300) + strings.Repeat("]", 300)):                      "",
		strings.Repeat("[", 20<<20):                                                             "",
		strings.Repeat(`{"a":`, 1<<20):                                                          "",
	} {
		_, err := ParseChat([]byte(body))
		var refused *RequestError
		if !errors.As(err, &refused) {
			t.Errorf("%.80s: %v", body, err)
			continue
		}
		if refused.Param != want || refused.Message == "" {
			t.Errorf("%.80s: param %q (%s), want %q", body, refused.Param, refused.Message, want)
		}
	}
}

func with(member string) string { return `{"model":"m",` + hello + `,` + member + `}` }

func TestRequestReading(t *testing.T) {
	r, err := ParseChat([]byte("\n " + with(`"stream":true,"stream_options":{"include_usage":true},"max_tokens":90,"max_completion_tokens":70,"n":3,"x":"\\\""`)))
	if err != nil {
		t.Fatal(err)
	}
	if r.Model != "m" || !r.Stream || !r.IncludeUsage || r.MaxOutput != 70 || r.MaxField != FieldMaxCompletionTokens || r.N != 3 {
		t.Fatalf("%+v", r)
	}
	r, err = ParseChat([]byte(with(`"stream":null,"stream_options":null,"max_tokens":null,"n":null,"service_tier":"auto"`)))
	if err != nil || r.Stream || r.MaxOutput != 0 || r.N != 1 {
		t.Fatalf("%+v, %v", r, err)
	}
	for _, passed := range []string{`"tools":null`, `"tools":[{"type":"function","function":{"name":"f"}},{"type":"custom","custom":{"name":"c"}}]`,
		`"web_search_options":null`, `"newest_field":{"tools":[{"type":"browser_search"}]}`} {
		if _, err := ParseChat([]byte(with(passed))); err != nil {
			t.Errorf("%s: %v", passed, err)
		}
	}
}

func deployment(t *testing.T, providerFields, model string) *Deployment {
	t.Helper()
	c, err := LoadCatalogue(fmt.Appendf(nil, `
providers: [{name: p, protocol: openai, local: true, %s}]
models: [{id: m, prices: {input: "1", output: "1"}, context: 1000, max_output: 100, deployments: [{provider: p, model: %s}]}]`,
		providerFields, model), env())
	if err != nil {
		t.Fatal(err)
	}
	return c.Models()[0].Pick()
}

func TestPatch(t *testing.T) {
	openai := deployment(t, "base_url: https://api.openai.com/v1", "m")
	server := deployment(t, "base_url: http://127.0.0.1:1/v1", `"up/stream \"quoted\""`)
	strict := deployment(t, "base_url: http://127.0.0.1:1/v1, max_tokens_field: max_tokens", "m")
	const renamed = `"up/stream \"quoted\""`
	for _, c := range []struct {
		name       string
		d          *Deployment
		body, want string
	}{
		{"nothing to change", openai, `{ "model" : "m" ,"zeta":1e400, "max_tokens": 50,` + hello + `}`, `{ "model" : "m" ,"zeta":1e400, "max_tokens": 50,` + hello + `}`},
		{"open length, OpenAI", openai, `{"model":"m",` + hello + `}`, `{"max_completion_tokens":50,"model":"m",` + hello + `}`},
		{"open length, other server", server, ` {"model":"m",` + hello + `}`, ` {"max_tokens":50,"model":` + renamed + `,` + hello + `}`},
		{"null length", openai, with(`"max_completion_tokens":null`), with(`"max_completion_tokens":50`)},
		{"both lengths", openai, with(`"max_tokens":50,"max_completion_tokens":60`), with(`"max_tokens":50,"max_completion_tokens":50`)},
		{"the client's field", server, `{"model":"m",` + hello + `,"max_completion_tokens":50}`, `{"model":` + renamed + `,` + hello + `,"max_completion_tokens":50}`},
		{"the provider's only field", strict, with(`"max_completion_tokens":50`), `{"model":"m",` + hello + `,"max_tokens":50}`},
		{"both, where the provider knows one", strict, with(`"max_tokens":60,"max_completion_tokens":50`), with(`"max_tokens":50,"max_completion_tokens":null`)},
		{"the provider's only field, both", strict, with(`"max_completion_tokens":50,"max_tokens":70`), with(`"max_completion_tokens":null,"max_tokens":50`)},
		{"usage asked for", openai, with(`"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}`), with(`"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}`)},
		{"usage not asked for", openai, with(`"max_tokens":50,"stream":true`), `{"stream_options":{"include_usage":true},` + with(`"max_tokens":50,"stream":true`)[1:]},
		{"usage declined", openai, with(`"max_tokens":50,"stream":true,"stream_options":{"a":[1], "include_usage": false}`), with(`"max_tokens":50,"stream":true,"stream_options":{"a":[1], "include_usage": true}`)},
		{"usage declined in other letters", openai, with(`"max_tokens":50,"stream":true,"stream_options":{"include\u005fusage":false}`), with(`"max_tokens":50,"stream":true,"stream_options":{"include\u005fusage":true}`)},
		{"other options", openai, with(`"max_tokens":50,"stream":true,"stream_options":{ "a":1}`), with(`"max_tokens":50,"stream":true,"stream_options":{"include_usage":true, "a":1}`)},
		{"empty options", openai, with(`"max_tokens":50,"stream":true,"stream_options":{}`), with(`"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}`)},
		{"null options", openai, with(`"max_tokens":50,"stream":true,"stream_options":null`), with(`"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}`)},
		{"our own field first", openai, `{ "cache_max_age" : 60 , "model":"m",` + hello + `}`, `{"max_completion_tokens":50,  "model":"m",` + hello + `}`},
		{"our own field between", openai, with(`"cache_max_age":60,"max_tokens":50`), with(`"max_tokens":50`)},
		{"our own field last", server, "{\"model\":\"m\",\"max_tokens\":50,\n" + hello + " ,\t\"cache_max_age\":null }", "{\"model\":" + renamed + ",\"max_tokens\":50,\n" + hello + "  }"},
		{"not streamed", openai, with(`"max_tokens":50,"stream_options":{}`), with(`"max_tokens":50,"stream_options":{}`)},
	} {
		r, err := ParseChat([]byte(c.body))
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got := string(r.form.(*chatRequest).appendPatched(nil, c.d, 50))
		if c.d == openai { // it is told to keep nothing
			got = strings.Replace(got, `"store":false,`, "", 1)
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		} else if !gjson.Valid(got) {
			t.Errorf("%s: not JSON: %s", c.name, got)
		}
	}
}

func TestPromptBound(t *testing.T) {
	m := &Model{Context: 100_000, ImageTokens: 700}
	bound := func(body string) int64 {
		t.Helper()
		r, err := ParseChat([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return r.PromptBound(m)
	}
	said := func(fields string) string {
		return `{"model":"m","temperature":0.5,"user":"u","messages":[{"role":"user","content":"hello"` + fields + `}`
	}
	const plain = promptOverhead + messageOverhead + len(`"u"`) + len(`"hello"`)
	for fields, want := range map[string]int{
		`}]`:                               plain,
		`,"name":"Ada"}]`:                  plain + len(`"Ada"`),
		`},{"role":"user","content":""}]`:  plain + messageOverhead + len(`""`),
		`}],"tools":[{"type":"function"}]`: plain + len(`[{"type":"function"}]`) + toolsOverhead,
		`}],"documents":["a page"]`:        plain + len(`["a page"]`),
		`,"content":"again"}]`:             plain + len(`"again"`),
	} {
		if got := bound(said(fields)); got != int64(want) {
			t.Errorf("%s: %d, want %d", fields, got, want)
		}
	}
	picture := strings.Repeat("A", 1<<20)
	image := func(url string) string {
		return `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"what?"},` + url + `]}]}`
	}
	if got := bound(image(`{"type":"image_url","image_url":{"url":"data:image/png;base64,` + picture + `"}}`)); got > 1100 || got < 700 {
		t.Errorf("a picture in the body: %d", got)
	}
	if got := bound(image(`{"type":"image_url","im\u0061ge_url":{"url":"https://x/y.png"}}`)); got < 700 {
		t.Errorf("a picture elsewhere, its field escaped: %d", got)
	}
	for _, part := range []string{`{"type":"file","file":{"file_data":"f"}}`, `{"file":{"file_data":"f"}}`, `{"type":"video_url","video_url":{}}`} {
		if got := bound(image(part)); got != m.Context {
			t.Errorf("%s: %d", part, got)
		}
	}
	if got := bound(image(`{"type":"text","text":"` + picture + `"}`)); got != m.Context {
		t.Errorf("a megabyte of text: %d", got)
	}
}

// TestLacks: the prices of what a request cannot have leave its worst case alone, and
// those of what it may have do not.
func TestLacks(t *testing.T) {
	all := Kinds{AudioIn: true, ImageIn: true, HourWrite: true, AudioOut: true, ImageOut: true}
	part := func(json string) string {
		return `{"model":"m","messages":[{"role":"user","content":[{"type":"text","text":"x"},` + json + `]}]}`
	}
	for body, may := range map[string]func(*Kinds){
		with(`"x":1`): func(*Kinds) {},
		part(`{"type":"image_url","image_url":{"url":"https://x"}}`):    func(k *Kinds) { k.ImageIn = false },
		part(`{"im\u0061ge_url":{"url":"https://x"}}`):                  func(k *Kinds) { k.ImageIn, k.HourWrite = false, false },
		part(`{"type":"input_audio","input_audio":{}}`):                 func(k *Kinds) { k.AudioIn = false },
		part(`{"type":"what may come one day"}`):                        func(k *Kinds) { k.AudioIn, k.ImageIn = false, false },
		with(`"modalities":["text","audio"],"audio":{"voice":"x"}`):     func(k *Kinds) { k.AudioOut, k.ImageOut = false, false },
		with(`"Audio":{"voice":"x"}`):                                   func(k *Kinds) { k.AudioOut = false },
		part(`{"type":"text","text":"y","cache_control":{"ttl":"1h"}}`): func(k *Kinds) { k.HourWrite = false },
	} {
		r, err := ParseChat([]byte(body))
		if err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		want := all
		may(&want)
		if r.Lacks != want {
			t.Errorf("%s lacks %+v, want %+v", body, r.Lacks, want)
		}
	}
}
