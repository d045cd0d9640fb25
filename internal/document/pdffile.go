package document

import (
	"bytes"
	"compress/flate"
	"encoding/ascii85"
	"io"
	"slices"
)

const objectsMost = 500_000

// place is where an object stands: in the file, or in an unpacked stream of objects.
type place struct {
	data []byte
	at   int // of the object's value
}

// file is a PDF. Its table of objects is not believed but made anew, from the objects
// themselves: the commonest damage of a PDF is in that table.
type file struct {
	data   []byte
	limit  *limit
	places map[ref]place
	values map[ref]any
}

// openFile finds a file's objects; of several with one number the last holds.
func openFile(data []byte, l *limit) *file {
	f := &file{data: data, limit: l, places: map[ref]place{}, values: map[ref]any{}}
	for at := 0; ; {
		found := bytes.Index(data[at:], []byte("obj"))
		if found < 0 {
			break
		}
		l.step()
		at += found + len("obj")
		number, ok := numberBefore(data, at-len("obj"))
		if !ok || len(f.places) >= objectsMost {
			continue
		}
		f.places[number] = place{data, at}
		delete(f.values, number)
		head := data[at:min(len(data), at+512)]
		if end := bytes.Index(head, []byte("stream")); end >= 0 && bytes.Contains(head[:end], []byte("/ObjStm")) {
			f.unpackObjects(number)
		}
	}
	return f
}

// numberBefore reads the "7 0 " of "7 0 obj" backwards.
func numberBefore(data []byte, at int) (ref, bool) {
	at, blanks := before(data, at, isBlank)
	at, digits := before(data, at, isDigit)
	if blanks == 0 || digits == 0 {
		return 0, false
	}
	at, blanks = before(data, at, isBlank)
	from, digits := before(data, at, isDigit)
	if blanks == 0 || digits == 0 || digits > 9 {
		return 0, false
	}
	n := 0
	for _, b := range data[from:at] {
		n = 10*n + int(b-'0')
	}
	return ref(n), true
}

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// before goes back over bytes of a class and counts them.
func before(data []byte, at int, is func(byte) bool) (from, n int) {
	for at > 0 && is(data[at-1]) {
		at, n = at-1, n+1
	}
	return at, n
}

// unpackObjects enters the objects of a stream of objects.
func (f *file) unpackObjects(number ref) {
	s, is := f.get(number).(*stream)
	if !is {
		return
	}
	content := f.unpack(s)
	l := &lexer{data: content, limit: f.limit}
	first, count := int(f.number(s.dict["First"])), int(f.number(s.dict["N"]))
	for range count {
		n, is := l.next(0).(float64)
		at, isAt := l.next(0).(float64)
		if !is || !isAt || first+int(at) < 0 || first+int(at) > len(content) || len(f.places) >= objectsMost {
			return
		}
		f.places[ref(int(n))] = place{content, first + int(at)}
		delete(f.values, ref(int(n)))
	}
}

// get returns an object, following references.
func (f *file) get(value any) any {
	for range depthMost {
		number, is := value.(ref)
		if !is {
			return value
		}
		known, found := f.values[number]
		if !found {
			at, there := f.places[number]
			if !there {
				return nil
			}
			f.values[number] = nil // an object that names itself is nothing
			known = f.read(at)
			f.values[number] = known
		}
		value = known
	}
	return nil
}

// read reads the object at a place.
func (f *file) read(at place) any {
	l := &lexer{data: at.data, at: at.at, limit: f.limit}
	value := l.next(0)
	d, is := value.(dict)
	if !is {
		return value
	}
	l.skipBlanks()
	rest := l.data[l.at:]
	if !bytes.HasPrefix(rest, []byte("stream")) {
		return d
	}
	rest = rest[len("stream"):]
	rest = bytes.TrimPrefix(bytes.TrimPrefix(rest, []byte("\r")), []byte("\n"))
	length := int(f.number(d["Length"]))
	if length < 0 || length > len(rest) || !bytes.HasPrefix(bytes.TrimLeft(rest[length:], "\r\n \t"), []byte("endstream")) {
		if length = bytes.Index(rest, []byte("endstream")); length < 0 {
			length = len(rest)
		}
	}
	return &stream{d, rest[:length]}
}

func (f *file) dict(value any) dict {
	switch v := f.get(value).(type) {
	case dict:
		return v
	case *stream:
		return v.dict
	}
	return nil
}

func (f *file) list(value any) list {
	v, _ := f.get(value).(list)
	return v
}

func (f *file) number(value any) float64 {
	v, _ := f.get(value).(float64)
	return v
}

func (f *file) name(value any) string {
	v, _ := f.get(value).(name)
	return string(v)
}

// unpack returns a stream's content, nil where it is packed in a way that holds no words.
func (f *file) unpack(s *stream) []byte {
	filters, params := f.list(s.dict["Filter"]), f.list(s.dict["DecodeParms"])
	if one := f.name(s.dict["Filter"]); one != "" {
		filters, params = list{name(one)}, list{s.dict["DecodeParms"]}
	}
	content := s.raw
	for i, filter := range filters {
		var reader io.Reader
		switch f.name(filter) {
		case "FlateDecode", "Fl":
			if len(content) < 2 {
				return nil
			}
			reader = flate.NewReader(bytes.NewReader(content[2:])) // without the checksum, which damage breaks
		case "ASCII85Decode", "A85":
			content, _, _ = bytes.Cut(content, []byte("~>"))
			reader = ascii85.NewDecoder(bytes.NewReader(content))
		case "ASCIIHexDecode", "AHx":
			l := &lexer{data: append([]byte("<"), content...), limit: f.limit}
			reader = bytes.NewReader([]byte(l.hex()))
		case "LZWDecode", "LZW":
			reader = newLZW(content, f.limit)
		default:
			return nil
		}
		content = f.drain(reader)
		if i < len(params) {
			content = f.predicted(content, f.dict(params[i]))
		}
	}
	return content
}

// drain reads what a filter gives, within the limit; damage ends it.
func (f *file) drain(from io.Reader) []byte {
	content, _ := io.ReadAll(io.LimitReader(from, int64(f.limit.unpack)+1)) // what came before the damage is good
	if f.limit.unpack -= len(content); f.limit.unpack < 0 {
		panic(halt{ErrBroken})
	}
	return content
}

// predicted undoes PNG's predictors, which tables of objects are packed with.
func (f *file) predicted(content []byte, params dict) []byte {
	if f.number(params["Predictor"]) < 10 {
		return content
	}
	columns := max(1, int(f.number(params["Columns"])))
	colors, bits := max(1, int(f.number(params["Colors"]))), int(f.number(params["BitsPerComponent"]))
	if bits == 0 {
		bits = 8
	}
	if columns > 1<<16 || colors > 32 || bits > 16 {
		panic(halt{ErrBroken})
	}
	pixel, row := max(1, colors*bits/8), (columns*colors*bits+7)/8
	var to []byte
	above := make([]byte, row)
	for ; len(content) > 1; content = content[min(len(content), row+1):] {
		kind, line := content[0], slices.Clone(content[1:min(len(content), row+1)])
		for i := range line {
			var left, up, corner byte
			if up = above[i]; i >= pixel {
				left, corner = line[i-pixel], above[i-pixel]
			}
			switch kind {
			case 1:
				line[i] += left
			case 2:
				line[i] += up
			case 3:
				line[i] += byte((int(left) + int(up)) / 2)
			case 4:
				line[i] += paeth(left, up, corner)
			}
		}
		to = append(to, line...)
		copy(above, line)
	}
	return to
}

// paeth is PNG's predictor of that name: the neighbour nearest to left + up − corner.
func paeth(left, up, corner byte) byte {
	p := int(left) + int(up) - int(corner)
	a, b, c := distance(p, left), distance(p, up), distance(p, corner)
	switch {
	case a <= b && a <= c:
		return left
	case b <= c:
		return up
	}
	return corner
}

func distance(p int, of byte) int { return max(p-int(of), int(of)-p) }
