package translate

import "strconv"

// writer appends JSON. It sets the commas: a value's last byte is never one of
// those that open an array, an object or a field's value.
type writer struct{ b []byte }

func (w *writer) separate() {
	if n := len(w.b); n > 0 {
		switch w.b[n-1] {
		case '{', '[', ':', '\n', ' ': // the last two end what stands before a whole document
		default:
			w.b = append(w.b, ',')
		}
	}
}

func (w *writer) open(bracket byte) {
	w.separate()
	w.b = append(w.b, bracket)
}

func (w *writer) close(bracket byte) { w.b = append(w.b, bracket) }

// key begins a field; a value follows.
func (w *writer) key(name string) {
	w.separate()
	w.b = append(w.b, '"')
	w.b = append(w.b, name...)
	w.b = append(w.b, '"', ':')
}

// raw adds a value that is JSON already.
func (w *writer) raw(json string) {
	w.separate()
	w.b = append(w.b, json...)
}

// rawField adds a field whose value is JSON already.
func (w *writer) rawField(name, json string) {
	w.key(name)
	w.raw(json)
}

func (w *writer) textField(name, text string) {
	w.key(name)
	w.b = appendQuoted(w.b, text)
}

func (w *writer) intField(name string, n int64) {
	w.key(name)
	w.b = strconv.AppendInt(w.b, n, 10)
}

// typed opens an object of a type.
func (w *writer) typed(kind string) {
	w.open('{')
	w.textField("type", kind)
}

// textBlock adds {"type":"text","text":…}, which both protocols have; the text is
// JSON already.
func (w *writer) textBlock(text string) {
	w.typed("text")
	w.rawField("text", text)
	w.close('}')
}

// appendQuoted appends a text as a JSON string, with no more escapes than needed.
func appendQuoted(to []byte, text string) []byte {
	const hex = "0123456789abcdef"
	to = append(to, '"')
	done := 0
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		to = append(to, text[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			to = append(to, '\\', c)
		case '\n':
			to = append(to, '\\', 'n')
		case '\t':
			to = append(to, '\\', 't')
		default:
			to = append(to, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(to, text[done:]...), '"')
}

func quoted(text string) string { return string(appendQuoted(nil, text)) }
