package telegramsim

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

const (
	maxBody       = 1 << 20
	maxUpload     = 50 << 20 // Bot API: files up to 50 MB can be sent
	multipartHeld = 4 << 20  // the rest of an upload goes to temporary files
)

// Params are a call's parameters as text: strings as they are, everything else as JSON.
type Params map[string]string

// Int reads an integer parameter; ok is false where it is absent or not one.
func (p Params) Int(name string) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(p[name]), 10, 64)
	return n, err == nil
}

// Bool reads a flag the way the Bot API server does: "true", "yes" and "1" are true.
func (p Params) Bool(name string) bool {
	switch strings.ToLower(strings.TrimSpace(p[name])) {
	case "true", "yes", "1":
		return true
	}
	return false
}

// upload is a file that came with a call.
type upload struct {
	name string
	data []byte
}

// attached is how a parameter names a file that comes with the call (Bot API: InputFile).
const attached = "attach://"

// readParams merges query and body; the Bot API takes GET, urlencoded, JSON and multipart.
func readParams(w http.ResponseWriter, r *http.Request) (Params, map[string]upload, *RefusalError) {
	if kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")); kind == "multipart/form-data" && r.Method != http.MethodGet {
		return readParts(w, r)
	}
	p, refusal := readSimple(w, r)
	return p, nil, refusal
}

// readParts reads a multipart body. A file is the parameter of its part's name, unless another parameter
// attaches it.
func readParts(w http.ResponseWriter, r *http.Request) (Params, map[string]upload, *RefusalError) {
	p := queryParams(r)
	r.Body = http.MaxBytesReader(w, r.Body, maxUpload)
	if err := r.ParseMultipartForm(multipartHeld); err != nil { //nolint:gosec // the body is bounded above
		return nil, nil, badRequest("can't parse multipart request")
	}
	defer func() { _ = r.MultipartForm.RemoveAll() }()
	var all strings.Builder
	for k, v := range r.MultipartForm.Value {
		p[k] = v[0]
		all.WriteString(v[0])
	}
	uploads := make(map[string]upload, len(r.MultipartForm.File))
	for k, v := range r.MultipartForm.File {
		opened, err := v[0].Open()
		if err != nil {
			return nil, nil, badRequest("can't parse multipart request")
		}
		data, err := io.ReadAll(opened)
		_ = opened.Close()
		if err != nil {
			return nil, nil, badRequest("can't parse multipart request")
		}
		uploads[k] = upload{name: v[0].Filename, data: data}
		if !strings.Contains(all.String(), attached+k) {
			p[k] = fmt.Sprintf(attached+"%s (%d bytes)", v[0].Filename, v[0].Size)
		}
	}
	return p, uploads, nil
}

func queryParams(r *http.Request) Params {
	p := Params{}
	for k, v := range r.URL.Query() {
		p[k] = v[0]
	}
	return p
}

func readSimple(w http.ResponseWriter, r *http.Request) (Params, *RefusalError) {
	p := queryParams(r)
	if r.Method == http.MethodGet {
		return p, nil
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			return nil, refuse(http.StatusRequestEntityTooLarge, "Request Entity Too Large")
		}
		return p, p.addJSON(body)
	case "application/x-www-form-urlencoded":
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if err := r.ParseForm(); err != nil {
			return nil, badRequest("can't parse request")
		}
		for k, v := range r.PostForm {
			p[k] = v[0]
		}
	}
	return p, nil
}

func (p Params) addJSON(body []byte) *RefusalError {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(body, &fields); err != nil {
		return badRequest("can't parse JSON object")
	}
	for k, raw := range fields {
		switch {
		case string(raw) == "null":
		case raw[0] == '"':
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return badRequest("can't parse JSON object")
			}
			p[k] = s
		default:
			p[k] = string(raw)
		}
	}
	return nil
}

// answer is the envelope of every Bot API answer.
type answer struct {
	OK          bool            `json:"ok"`
	Result      json.RawMessage `json:"result,omitempty"`
	ErrorCode   int             `json:"error_code,omitempty"`
	Description string          `json:"description,omitempty"`
	Parameters  *answerHints    `json:"parameters,omitempty"`
}

type answerHints struct {
	RetryAfter int   `json:"retry_after,omitempty"`
	MigrateTo  int64 `json:"migrate_to_chat_id,omitempty"`
}

func writeAnswer(w http.ResponseWriter, result any, refusal *RefusalError) {
	a := answer{OK: refusal == nil}
	status := http.StatusOK
	if refusal != nil {
		status = refusal.Code
		a.ErrorCode, a.Description = refusal.Code, refusal.Description
		if refusal.RetryAfter > 0 || refusal.MigrateTo != 0 {
			a.Parameters = &answerHints{RetryAfter: refusal.RetryAfter, MigrateTo: refusal.MigrateTo}
		}
	} else {
		a.Result = mustJSON(result)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(mustJSON(a)) // a client that left does not matter here
}

// mustJSON encodes the package's own types, which cannot fail to encode.
func mustJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(fmt.Sprintf("telegramsim: encode %T: %v", v, err))
	}
	return bytes.TrimRight(b.Bytes(), "\n")
}
