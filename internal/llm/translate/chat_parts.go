package translate

import "github.com/tidwall/gjson"

// parts says which parts a message's content may have.
type parts int

const (
	onlyText   parts = iota // instructions
	answerText              // what a model said: text and refusals
	anyPart                 // text, images and files
)

// writeBlocks writes a message's content, a string or an array of parts, as blocks.
// Empty texts say nothing, and Messages refuses them: they are left out.
func writeBlocks(w *writer, content gjson.Result, allowed parts) *Error {
	if content.Type == gjson.String {
		if content.Str != "" {
			w.textBlock(content.Raw)
		}
		return nil
	}
	if !content.IsArray() {
		return fault("must be a string or an array of parts")
	}
	return elements(content, func(_ int, v gjson.Result) *Error { return writePart(w, v, allowed) })
}

// chatPart is a part with its fields told apart.
type chatPart struct {
	kind, text, refusal, image, file, mark gjson.Result
}

func writePart(w *writer, v gjson.Result, allowed parts) *Error {
	var p chatPart
	err := each(v, func(name string, v gjson.Result) *Error {
		switch name {
		case "type":
			p.kind = v
			return words(v)
		case "text":
			p.text = v
			return text(v)
		case "refusal":
			p.refusal = v
			return text(v)
		case "image_url":
			p.image = v
		case "file":
			p.file = v
		case "input_audio", "video_url":
			return noCounterpart()
		case "cache_control":
			p.mark = v
		default:
			return leftOut(fromChat, "messages[].content[].", name, v)
		}
		return nil
	})
	if err != nil {
		return err
	}
	switch kind := p.kind.Str; {
	case kind == "":
		return faultAt("type", "is missing")
	case kind == "text" && p.text.Exists():
		return p.block(w, p.text)
	case kind == "refusal" && allowed == answerText && p.refusal.Exists():
		return p.block(w, p.refusal)
	case kind == "image_url" && allowed == anyPart:
		return in("image_url", p.imageBlock(w))
	case kind == "file" && allowed == anyPart:
		return in("file", p.document(w))
	case kind == "text", kind == "refusal" && allowed == answerText:
		return faultAt(kind, "is missing")
	}
	return faultAt("type", "has a value (%.40q) that cannot be used here with this model", p.kind.Str)
}

func (p *chatPart) block(w *writer, text gjson.Result) *Error {
	if text.Str == "" {
		return nil
	}
	w.typed("text")
	w.rawField("text", text.Raw)
	p.end(w)
	return nil
}

// end closes a block and takes a mark for the prompt cache along.
func (p *chatPart) end(w *writer) {
	if given(p.mark) {
		w.rawField("cache_control", p.mark.Raw)
	}
	w.close('}')
}

// imageBlock writes an image, whose address may also stand as a bare string.
func (p *chatPart) imageBlock(w *writer) *Error {
	url := p.image
	if p.image.IsObject() {
		err := each(p.image, func(name string, v gjson.Result) *Error {
			switch name {
			case "url":
				url = v
				return text(v)
			case "detail": // these ask for what is done anyway
				if !given(v) {
					return nil
				}
				return oneOf(v, "auto", "high", "original")
			}
			return leftOut(fromChat, "messages[].content[].image_url.", name, v)
		})
		if err != nil {
			return err
		}
		if url.Type != gjson.String {
			return faultAt("url", "is missing")
		}
	}
	if url.Type != gjson.String {
		return fault("must be an object with a url")
	}
	w.typed("image")
	w.key("source")
	if err := w.imageSource(url.Str); err != nil {
		if p.image.IsObject() {
			err = in("url", err)
		}
		return err
	}
	p.end(w)
	return nil
}

func (p *chatPart) document(w *writer) *Error {
	var data, title gjson.Result
	err := each(p.file, func(name string, v gjson.Result) *Error {
		switch name {
		case "file_data":
			data = v
			return text(v)
		case "filename":
			title = v
			return optionalText(v)
		case "file_id":
			if given(v) {
				return fault("cannot be used with this model: send the file's content in file_data")
			}
			return nil
		}
		return leftOut(fromChat, "messages[].content[].file.", name, v)
	})
	if err != nil {
		return err
	}
	if !data.Exists() {
		return faultAt("file_data", "is missing")
	}
	w.typed("document")
	w.key("source")
	if err := w.documentSource(data.Str); err != nil {
		return in("file_data", err)
	}
	if title.Str != "" {
		w.rawField("title", title.Raw)
	}
	p.end(w)
	return nil
}
