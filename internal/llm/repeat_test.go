package llm

import "testing"

func TestRepeatable(t *testing.T) {
	for body, want := range map[string]bool{
		with(`"temperature":0`):                                       true,
		with(`"temperature":0.0,"seed":7,"top_p":0.5`):                true,
		with(`"temperature":0,"n":1,"stream":true`):                   true,
		with(`"temperature":0,"tools":[],"store":false,"audio":null`): true,
		with(`"temperature":0,"x":{"tools":[1]}`):                     true,
		with(`"seed":7`):                                                     false, // the provider's default is above 0
		with(`"temperature":null`):                                           false,
		with(`"temperature":0.1`):                                            false,
		with(`"temperature":"0"`):                                            false,
		with(`"temperature":0,"temperature":1`):                              false,
		with(`"temperature":1,"temperature":0`):                              false,
		with(`"temperature":0,"Temperature":0`):                              false,
		with(`"TEMPERATURE":0`):                                              false,
		with(`"temperature":0,"n":2`):                                        false,
		with(`"temperature":0,"tools":[{"type":"function"}]`):                false,
		with(`"temperature":0,"to\u006fls":[{"type":"function"}]`):           false,
		with(`"temperature":0,"functions":[{"name":"f"}]`):                   false,
		with(`"modalities":["audio"],"audio":{"voice":"x"},"temperature":0`): false,
	} {
		r, err := ParseChat([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		if r.Repeatable() != want {
			t.Errorf("%s is repeatable: %v", body, !want)
		}
	}
}

func TestDigestIsOfEveryByte(t *testing.T) {
	digest := func(body string) [32]byte {
		r, err := ParseChat([]byte(body))
		if err != nil {
			t.Fatal(err)
		}
		return r.Digest()
	}
	first := digest(with(`"seed":1`))
	if again := digest(with(`"seed":1`)); again != first {
		t.Error("the same body has two digests")
	}
	if digest(with(`"seed": 1`)) == first {
		t.Error("two bodies have one digest")
	}
	one, other := Request{Operation: OpChat, body: "{}"}, Request{Operation: OpResponses, body: "{}"}
	if one.Digest() == other.Digest() {
		t.Error("the same body asks two operations for the same")
	}
}
