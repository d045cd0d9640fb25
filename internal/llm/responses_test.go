package llm

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// Thoughts that the provider cannot read are left out on the way to it; all else is passed on
// byte for byte.
func TestLostThoughts(t *testing.T) {
	d := deployment(t, "base_url: http://127.0.0.1:1/v1, responses: true", "m")
	const said = `{"role":"user","content":"a"}`
	for input, want := range map[string]string{
		`[` + said + `, {"type":"reasoning","id":"rs_1","summary":[]},{"type":"message","role":"assistant","content":"b"}]`: `[` + said + `,{"type":"message","role":"assistant","content":"b"}]`,
		`[{"type":"reasoning","encrypted_content":"kikuai1.YQ"},` + said + `]`:                                              `[` + said + `]`,
		`[{"type":"reasoning","encrypted_content":null},` + said + `]`:                                                      `[` + said + `]`,
		`[ {"type":"reasoning" , "encrypted_content":"gAAAAB"},` + said + `]`:                                               `[{"type":"reasoning" , "encrypted_content":"gAAAAB"},` + said + `]`,
		`[ ` + said + ` ]`: `[ ` + said + ` ]`,
		`"reasoning"`:      `"reasoning"`,
	} {
		r, err := ParseResponses([]byte(`{"model":"m","input":` + input + `}`))
		if err != nil {
			t.Fatal(err)
		}
		out, _, err := r.For(d, 50, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(out.Body); got != `{"max_output_tokens":50,"store":false,"model":"m","input":`+want+`}` {
			t.Errorf("%s is sent as %s", input, got)
		}
	}
}

// What a provider reports inside a Responses answer is the request's fault, its own limit's
// or its own.
func TestReportedInResponses(t *testing.T) {
	for code, want := range map[string]Fault{
		"invalid_prompt": FaultRefused, "image_too_large": FaultRefused, "bio_policy": FaultRefused, "unsupported_image_media_type": FaultRefused,
		"rate_limit_exceeded": FaultBusy, "server_error": FaultBroken, "vector_store_timeout": FaultBroken, "": FaultBroken, "invalid_api_key": FaultBroken,
	} {
		for _, event := range []string{
			`{"type":"response.failed","response":{"status":"failed","error":{"code":%q,"message":"said"}}}`,
			`{"type":"error","code":%q,"message":"said"}`, `{"type":"error","error":{"code":%q,"message":"said"}}`,
		} {
			a := &responsesAnswer{heard: heard{text: nil}}
			_, err := a.event(fmt.Appendf(nil, event, code))
			var told *UpstreamError
			if !errors.As(err, &told) || !errors.Is(err, ErrReported) || told.Fault != want || want == FaultRefused && told.Message != "said" {
				t.Errorf("%q: %+v", code, err)
			}
		}
	}
}

// A response that failed says why in a code that the protocol has.
func TestFailureCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{&UpstreamError{Fault: FaultBusy, Code: "429"}, "rate_limit_exceeded"},
		{fmt.Errorf("so: %w", &UpstreamError{Fault: FaultRefused, Code: "invalid_prompt"}), "invalid_prompt"},
		{&UpstreamError{Fault: FaultRefused, Code: "context_length_exceeded"}, "context_length_exceeded"},
		{&UpstreamError{Fault: FaultRefused, Code: "400"}, "invalid_prompt"},
		{&UpstreamError{Fault: FaultRefused}, "invalid_prompt"},
		{&UpstreamError{Fault: FaultBroken, Code: "invalid_prompt"}, "server_error"},
		{&UpstreamError{Fault: FaultTimeout}, "server_error"},
		{ErrReported, "server_error"}, {nil, "server_error"},
	} {
		a := new(responsesAnswer)
		_, _ = a.event([]byte(`{"type":"response.failed","response":{"id":"r","error":{"code":"x","message":"y"}}}`)) // is the error that is told
		end := string(a.failing(nil, Failure{Message: "said", Err: c.err}))
		if want := `"error":{"code":"` + c.want + `","message":"said"}`; !strings.Contains(end, want) {
			t.Errorf("%v is told as %s", c.err, end)
		}
	}
}

func TestFormEncodings(t *testing.T) {
	for encoding, taken := range map[string]bool{"binary": true, "8BIT": true, " 7bit": true, "base64": false, "quoted-printable": false} {
		form := "--b\r\nContent-Disposition: form-data; name=\"model\"\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\nm\r\n--b--\r\n"
		if _, err := readForm([]byte(form), "multipart/form-data; boundary=b"); (err == nil) != taken {
			t.Errorf("%s: %v", encoding, err)
		}
	}
}
