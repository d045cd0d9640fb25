package translate

import (
	"slices"
	"strings"

	"github.com/tidwall/gjson"
)

// block is a content block with its fields told apart.
type block struct {
	kind                                         string
	words, source, id, name, input               gjson.Result
	callID, content, isError, title, description gjson.Result
}

// readBlock reads a block of the array that place names, see leftOut.
func readBlock(place string, v gjson.Result) (block, *Error) {
	var b block
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			b.kind = v.Str
			return words(v)
		case "text":
			b.words = v
			return text(v)
		case "source":
			b.source = v
		case "id":
			b.id = v
			return text(v)
		case "name":
			b.name = v
			return text(v)
		case "input":
			b.input = v
		case "tool_use_id":
			b.callID = v
			return text(v)
		case "content":
			b.content = v
		case "is_error":
			b.isError = v
		case "title":
			b.title = v
			return optionalText(v)
		case "context":
			b.description = v
			return optionalText(v)
		case "citations":
			return noCitations(v)
		case "data":
			return text(v) // of redacted thinking
		default:
			return leftOut(fromMessages, place, name, v)
		}
		return nil
	})
	if err == nil && b.kind == "" {
		err = faultAt("type", "is missing")
	}
	return b, err
}

// noCitations takes citations of earlier answers, whose text says what was cited, and
// refuses to ask for new ones.
func noCitations(v gjson.Result) *Error {
	if v.IsArray() || empty(v) || v.IsObject() && empty(v.Get("enabled")) {
		return nil
	}
	return noCounterpart()
}

// partList gathers a chat message's content.
type partList struct {
	w     writer
	n     int
	texts []string // of those parts that are texts, as JSON
}

// content writes the field: a string where that is all.
func (p *partList) content(w *writer) {
	if p.n == 1 && len(p.texts) == 1 {
		w.rawField("content", p.texts[0])
		return
	}
	w.key("content")
	w.open('[')
	w.raw(string(p.w.b))
	w.close(']')
}

// What stands between texts that become one, as JSON.
const (
	nothing = ""
	newLine = `\n`
)

// words writes the field as one string where there is nothing but texts: not every chat
// provider takes parts of an answer or of a tool's result.
func (p *partList) words(w *writer, between string) {
	if len(p.texts) != p.n {
		p.content(w)
		return
	}
	w.key("content")
	w.b = append(w.b, '"')
	for i, text := range p.texts {
		if i > 0 {
			w.b = append(w.b, between...)
		}
		w.b = append(w.b, text[1:len(text)-1]...)
	}
	w.b = append(w.b, '"')
}

// addText adds a text, given as JSON.
func (p *partList) addText(raw string) {
	p.n++
	p.texts = append(p.texts, raw)
	p.w.textBlock(raw)
}

// add appends another list, which holds something.
func (p *partList) add(other *partList) {
	p.n += other.n
	p.texts = append(p.texts, other.texts...)
	p.w.raw(string(other.w.b))
}

func (p *partList) text(b *block) *Error {
	if !b.words.Exists() {
		return faultAt("text", "is missing")
	}
	if b.words.Str != "" {
		p.addText(b.words.Raw)
	}
	return nil
}

// block adds what a user, or a tool, showed.
func (p *partList) block(b *block) *Error {
	switch b.kind {
	case "text":
		return p.text(b)
	case "image":
		p.n++
		return in("source", p.image(b.source))
	case "document":
		return p.document(b)
	}
	return in("type", noCounterpart())
}

// blockSource is where a block's content is found.
type blockSource struct {
	kind, media, data, url string
	raw, content           gjson.Result // raw is data as JSON
}

func readSource(v gjson.Result) (blockSource, *Error) {
	var s blockSource
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			s.kind = v.Str
			return words(v)
		case "media_type":
			s.media = v.Str
			return words(v)
		case "data":
			s.data, s.raw = v.Str, v
			return text(v)
		case "url":
			s.url = v.Str
			return words(v)
		case "content":
			s.content = v
			return nil
		case "file_id":
			return fault("cannot be used with this model: send the content itself")
		}
		return leftOut(fromMessages, "messages[].content[].source.", name, v)
	})
	if err == nil && s.kind == "base64" && !isBase64(s.data) {
		err = faultAt("data", "does not hold valid base64")
	}
	return s, err
}

func (p *partList) image(v gjson.Result) *Error {
	s, err := readSource(v)
	if err != nil {
		return err
	}
	url := s.url
	switch {
	case s.kind == "base64" && !slices.Contains(imageTypes, mediaOf(s.media)):
		return faultAt("media_type", "must be one of %s", strings.Join(imageTypes, ", "))
	case s.kind == "base64":
		url = "data:" + mediaOf(s.media) + ";base64," + s.data
	case s.kind != "url":
		return faultAt("type", "must be base64 or url")
	case !strings.HasPrefix(url, "https://") && !strings.HasPrefix(url, "http://"):
		return faultAt("url", "must be an http or https URL")
	}
	p.w.typed("image_url")
	p.w.key("image_url")
	p.w.open('{')
	p.w.textField("url", url)
	p.w.close('}')
	p.w.close('}')
	return nil
}

// document adds a file: a PDF as such, what is text as text, with what is said of it
// before.
func (p *partList) document(b *block) *Error {
	s, err := readSource(b.source)
	if err != nil {
		return in("source", err)
	}
	title := b.title
	if s.kind == "base64" {
		if s.media != typePDF {
			return faultAt("source.media_type", "must be %s", typePDF)
		}
		title = gjson.Result{} // the file's name
	}
	for _, said := range []gjson.Result{title, b.description} {
		if said.Str != "" {
			p.addText(said.Raw)
		}
	}
	switch {
	case s.kind == "base64":
		p.pdf(b.title.Str, s.data)
		return nil
	case s.kind == "text" && s.data != "":
		p.addText(s.raw.Raw)
		return nil
	case s.kind == "content" && s.content.Type == gjson.String && s.content.Str != "":
		p.addText(s.content.Raw)
		return nil
	case s.kind == "content" && s.content.IsArray():
		return in("source.content", elements(s.content, func(_ int, v gjson.Result) *Error {
			inner, err := readBlock("messages[].content[].content[].", v)
			if err != nil {
				return err
			}
			if inner.kind == "document" {
				return faultAt("type", "must be text or image")
			}
			return p.block(&inner)
		}))
	}
	return faultAt("source", "cannot be used with this model: send the document's content as base64 or text")
}

func (p *partList) pdf(name, data string) {
	if name == "" {
		name = "document.pdf"
	}
	p.n++
	p.w.typed("file")
	p.w.key("file")
	p.w.open('{')
	p.w.textField("filename", name)
	p.w.textField("file_data", "data:"+typePDF+";base64,"+data)
	p.w.close('}')
	p.w.close('}')
}
