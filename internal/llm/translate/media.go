package translate

import (
	"encoding/base64"
	"slices"
	"strings"
	"unicode/utf8"
)

var imageTypes = []string{"image/jpeg", "image/png", "image/gif", "image/webp"}

const (
	typePDF  = "application/pdf"
	typeText = "text/plain"
)

// dataURL cuts data:<type>;base64,<data>. The data are not decoded, only looked
// through: a byte that base64 does not have would be refused far away and unclearly.
func dataURL(url string) (kind, data string, err *Error) {
	rest, is := strings.CutPrefix(url, "data:")
	if !is {
		return "", "", fault("must be a data URL (data:<type>;base64,<data>)")
	}
	head, data, found := strings.Cut(rest, ",")
	head, encoded := strings.CutSuffix(head, ";base64")
	if !found || !encoded {
		return "", "", fault("must be a data URL in base64 (data:<type>;base64,<data>)")
	}
	kind, _, _ = strings.Cut(head, ";") // parameters, such as a charset
	if !isBase64(data) {
		return "", "", fault("does not hold valid base64")
	}
	return strings.ToLower(kind), data, nil
}

// mediaOf is a media type by its own name.
func mediaOf(kind string) string {
	if kind == "image/jpg" { // as many clients call it
		return "image/jpeg"
	}
	return kind
}

func isBase64(data string) bool {
	body := strings.TrimRight(data, "=")
	if body == "" || len(data)-len(body) > 2 {
		return false
	}
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

// imageSource writes where an image is found, as Messages does.
func (w *writer) imageSource(url string) *Error {
	if !strings.HasPrefix(url, "data:") {
		if !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://") {
			return fault("must be an http or https URL, or a data URL")
		}
		w.typed("url")
		w.textField("url", url)
		w.close('}')
		return nil
	}
	kind, data, err := dataURL(url)
	if err != nil {
		return err
	}
	kind = mediaOf(kind)
	if !slices.Contains(imageTypes, kind) {
		return fault("holds %.40q: this model's provider takes %s", kind, strings.Join(imageTypes, ", "))
	}
	w.base64Source(kind, data)
	return nil
}

func (w *writer) base64Source(kind, data string) {
	w.typed("base64")
	w.textField("media_type", kind)
	w.textField("data", data)
	w.close('}')
}

// documentSource writes a file's content, as Messages does.
func (w *writer) documentSource(url string) *Error {
	kind, data, err := dataURL(url)
	if err != nil {
		return err
	}
	switch kind {
	case typePDF:
		w.base64Source(kind, data)
		return nil
	case typeText:
		words, err := base64.StdEncoding.DecodeString(data)
		if err != nil || !utf8.Valid(words) {
			return fault("does not hold text in UTF-8")
		}
		w.typed("text")
		w.textField("media_type", kind)
		w.textField("data", string(words))
		w.close('}')
		return nil
	}
	return fault("holds %.40q: this model's provider takes %s and %s", kind, typePDF, typeText)
}
