package billing

import (
	"encoding/json"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// agrees holds what is read by hand against encoding/json.
func agrees(t *testing.T, text string) {
	t.Helper()
	var want payload
	wantErr := json.Unmarshal([]byte(text), &want)
	got, err := decodePayload(text)
	if (err == nil) != (wantErr == nil) || err == nil && got != want {
		t.Fatalf("read %s as %+v, %v; encoding/json as %+v, %v", text, got, err, want, wantErr)
	}
}

// What is not written like that is read all the same.
func TestPayloadOtherwise(t *testing.T) {
	for _, text := range []string{
		``, `{}`, `null`, `{"m":"a","d":"b","s":"c"}`, `{ "m":"a","d":"b","s":"c"}`, `{"m":"a","d":"b","s":"c",}`, `{"m":"a","d":"b","s":"c"}}`,
		`{"p":1,"m":"a","d":"b","s":"c","t":2147483648}`, `{"p":9223372036854775808,"m":"a","d":"b","s":"c"}`, `{"p":-1,"m":"a","d":"b","s":"c"}`,
		`{"p":1.5,"m":"a","d":"b","s":"c"}`, `{"p":01,"m":"a","d":"b","s":"c"}`, `{"p":,"m":"a","d":"b","s":"c"}`, `{"o":1,"p":2,"m":"a","d":"b","s":"c"}`,
		`{"p":1,"p":2,"m":"a","d":"b","s":"c"}`, `{"e":false,"m":"a","d":"b","s":"c"}`, `{"e":true,"m":"a","d":"b","s":"c","f":7,"g":3,"y":4}`,
		`{"P":1,"m":"a","d":"b","s":"c"}`, `{"m":"\u0041","d":"b","s":"c"}`, `{"m":"a","d":"b"}`, `{"m":"a","d":"b","s":"c","q":1}`, `{"m":"a""d":"b","s":"c"}`,
		`{"p":7"m":"a","d":"b","s":"c"}`, `{"m":"имя","d":"b","s":"c"}`, `{"m":null,"d":"b","s":"c"}`, `{"m":"a","d":"b","s":"c"`, `{"m":"a","d":"b","s":"c`,
	} {
		agrees(t, text)
	}
}

// The payload is written and read by hand, and encoding/json must agree on every field,
// whatever is in it.
func TestPayloadEncoded(t *testing.T) {
	texts := []string{"", "gpt-5", `a "quoted" \\ name`, "<tag>&co", "имя", "line\nbreak", "\x00", "\xff broken", "\u2028", "\x7f"}
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		s := Settlement{
			Model: texts[random.IntN(len(texts))], Deployment: texts[random.IntN(len(texts))], Source: texts[random.IntN(len(texts))],
			Duration: time.Duration(random.Int64N(3)) * time.Second, FirstToken: time.Duration(random.Int64N(2)) * time.Minute,
			Organisation: random.Int64N(3) - 1, OrganisationDay: random.Int64N(2) * 20_000,
		}
		usage := reflect.ValueOf(&s.Usage).Elem()
		for i := range usage.NumField() {
			switch field := usage.Field(i); field.Kind() {
			case reflect.Int64:
				field.SetInt(random.Int64N(2) * random.Int64N(1<<40))
			case reflect.Bool:
				field.SetBool(random.IntN(2) == 0)
			default:
				t.Fatalf("a field of kind %s", field.Kind())
			}
		}
		want, err := json.Marshal(payloadOf(&s))
		if err != nil {
			t.Fatal(err)
		}
		got := encodePayload(&s)
		if string(got) != string(want) {
			t.Fatalf("wrote %s, want %s", got, want)
		}
		agrees(t, string(got))
		if at := random.IntN(len(got)); at > 0 { // damaged on its way
			agrees(t, string(got[:at]))
			agrees(t, string(got[:at])+string("019\"\\,}{:-pmt"[random.IntN(13)])+string(got[at+1:]))
		}
	}
}
