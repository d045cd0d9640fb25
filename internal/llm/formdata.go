package llm

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"strings"
)

// formData is a form with fields and files, as multipart/form-data has it.
type formData struct{ parts []formPart }

// formPart is a field of a form, or a file.
type formPart struct {
	name, filename, kind string // kind: a file's Content-Type
	value                []byte
}

// readForm reads a form of a bounded number of fields. A [*RequestError].
func readForm(body []byte, contentType string) (*formData, error) {
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return nil, &RequestError{Message: "Send a form: the Content-Type must be multipart/form-data with a boundary."}
	}
	broken := &RequestError{Message: "The form cannot be read: it is no multipart/form-data."}
	reader := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	f := &formData{}
	for {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return nil, broken
		}
		if len(f.parts) == maxFields {
			return nil, &RequestError{Message: "The form has too many fields."}
		}
		if !asItIs(part.Header.Get("Content-Transfer-Encoding")) || part.FormName() == "" || !plainName(part.FormName()) {
			return nil, broken
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFile+1))
		if err != nil {
			return nil, broken
		}
		f.parts = append(f.parts, formPart{part.FormName(), part.FileName(), part.Header.Get("Content-Type"), value})
	}
}

// asItIs says that a part's value is not encoded: these three say so, of different bytes.
func asItIs(encoding string) bool {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "7bit", "8bit", "binary":
		return true
	}
	return false
}

// plainName says that a field's name is of plain characters.
func plainName(name string) bool {
	for _, r := range name {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return false
		}
	}
	return true
}

// write is the form anew: its text, its Content-Type, and where the value of the field
// model stands.
func (f *formData) write() (text, contentType string, model member) {
	boundary := newBoundary()
	size := 256
	for _, p := range f.parts {
		size += len(p.value) + len(p.name) + len(p.filename) + len(p.kind) + 256
	}
	var b strings.Builder
	b.Grow(size)
	for _, p := range f.parts {
		b.WriteString("--" + boundary + "\r\nContent-Disposition: form-data; name=\"" + p.name + "\"")
		if p.filename != "" {
			b.WriteString("; filename=\"" + quotable(p.filename) + "\"")
		}
		if p.filename != "" && presentableKind(p.kind) {
			b.WriteString("\r\nContent-Type: " + p.kind)
		}
		b.WriteString("\r\n\r\n")
		if p.name == "model" {
			model = member{start: b.Len(), end: b.Len() + len(p.value)}
		}
		b.Write(p.value)
		b.WriteString("\r\n")
	}
	b.WriteString("--" + boundary + "--\r\n")
	return b.String(), "multipart/form-data; boundary=" + boundary, model
}

// newBoundary is one that nobody could foresee, so that no value holds it.
func newBoundary() string {
	var random [24]byte
	_, _ = rand.Read(random[:]) // never fails: the runtime aborts first
	return hex.EncodeToString(random[:])
}

// quotable is a file's name as it can stand between quotes.
func quotable(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ', r == '"', r == '\\', r == 0x7f:
			return '_'
		}
		return r
	}, name)
}

func presentableKind(kind string) bool {
	bare, _, err := mime.ParseMediaType(kind)
	return err == nil && bare == kind
}
