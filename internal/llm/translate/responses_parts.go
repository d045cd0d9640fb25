package translate

import (
	"encoding/base64"
	"strings"

	"github.com/tidwall/gjson"
)

// input adds a message's content: a string or an array of parts.
func (p *partList) input(content gjson.Result) *Error {
	if content.Type == gjson.String {
		p.addText(content.Raw)
		return nil
	}
	if !content.IsArray() {
		return fault("must be a string or an array of parts")
	}
	return elements(content, func(_ int, v gjson.Result) *Error { return p.part(v) })
}

func (p *partList) part(v gjson.Result) *Error {
	var kind, said, image, detail, data, filename gjson.Result
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			kind = v
			return oneOf(v, "input_text", "output_text", "refusal", "input_image", "input_file")
		case "text", "refusal":
			said = v
			return text(v)
		case "image_url":
			image = v
			return optionalText(v)
		case "detail":
			detail = v
			return optionalText(v)
		case "file_data":
			data = v
			return optionalText(v)
		case "filename":
			filename = v
			return optionalText(v)
		case "file_id", "file_url":
			if given(v) {
				return fault("cannot be used with this model: send the content itself")
			}
			return nil
		}
		return leftOut(fromResponses, "input[].content[].", name, v)
	})
	if err != nil {
		return err
	}
	switch kind.Str {
	case "":
		return faultAt("type", "is missing")
	case "input_image":
		return p.inputImage(image, detail)
	case "input_file":
		return p.inputFile(data, filename)
	}
	if !said.Exists() {
		return faultAt("text", "is missing")
	}
	p.addText(said.Raw)
	return nil
}

func (p *partList) inputImage(image, detail gjson.Result) *Error {
	if image.Str == "" {
		return faultAt("image_url", "is missing")
	}
	p.n++
	p.w.typed("image_url")
	p.w.key("image_url")
	p.w.open('{')
	p.w.rawField("url", image.Raw)
	switch {
	case detail.Str == "original": // which chat has no word for
		p.w.textField("detail", "high")
	case given(detail):
		p.w.rawField("detail", detail.Raw)
	}
	p.w.close('}')
	p.w.close('}')
	return nil
}

func (p *partList) inputFile(data, filename gjson.Result) *Error {
	if data.Str == "" {
		return faultAt("file_data", "is missing")
	}
	p.n++
	p.w.typed("file")
	p.w.key("file")
	p.w.open('{')
	if given(filename) {
		p.w.rawField("filename", filename.Raw)
	}
	p.w.rawField("file_data", data.Raw)
	p.w.close('}')
	p.w.close('}')
	return nil
}

// sealPrefix tells reasoning sealed here from that of other providers.
const sealPrefix = "kikuai1."

// seal makes signed thinking what a Responses client keeps and sends back unread.
func seal(blocks []byte) string {
	return sealPrefix + base64.RawURLEncoding.EncodeToString(blocks)
}

// Sealed says whether an item's encrypted_content was made here, of thinking that only a
// provider of Messages can read.
func Sealed(content string) bool { return strings.HasPrefix(content, sealPrefix) }

// unseal gives back the blocks, with commas between them; "" where there are none, or
// where the text was not sealed here.
func unseal(sealed string) string {
	encoded, ours := strings.CutPrefix(sealed, sealPrefix)
	if !ours {
		return ""
	}
	blocks, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	if root, err := parse(append(append([]byte(`{"blocks":[`), blocks...), "]}"...)); err != nil || length(root.Get("blocks")) == 0 {
		return ""
	}
	return string(blocks)
}
