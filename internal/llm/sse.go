package llm

import (
	"bytes"
	"errors"
	"io"
)

const (
	maxEvent     = 1 << 20 // bytes of one server-sent event, and so of one line
	firstBuffer  = 4 << 10
	maxEmptyRead = 100 // reads of nothing in a row
)

// ErrEventTooLong means that a server-sent event exceeds what one may have.
var ErrEventTooLong = errors.New("llm: a server-sent event is too long")

// Event is one server-sent event. Its bytes are valid until the next call of Next.
type Event struct {
	Raw  []byte // as it came, with the blank line that ends it, which may be LF in place of CRLF
	Data []byte // the data lines, joined
}

// EventReader cuts a stream of server-sent events into events, however the
// stream was cut on its way. Lines end in LF, CRLF or CR. Events without data,
// comments among them, are left out.
type EventReader struct {
	source io.Reader
	most   int
	buf    []byte
	start  int // of the event in buf
	line   int // start of the line being looked for, from start
	seen   int // bytes of the event that hold no line end yet unread, from start
	data   []byte
	single span // the data of an event with one data line, from start
	lines  int  // data lines so far
	skipLF bool // the last line ended in CR: an LF right after belongs to it
	begun  bool
	err    error
}

type span struct{ from, to int }

// NewEventReader reads events of at most maxEvent bytes from source; 0: 1 MiB.
func NewEventReader(source io.Reader, most int) *EventReader {
	if most <= 0 {
		most = maxEvent
	}
	return &EventReader{source: source, most: most}
}

// Next returns the next event. At the end of the stream it returns io.EOF; an
// event that the end cut off is returned before, completed by a blank line.
// ErrEventTooLong, and the source's errors.
func (r *EventReader) Next() (Event, error) {
	for {
		event, done := r.scan()
		if size := len(event.Raw); size > r.most || !done && len(r.buf)-r.start > r.most {
			return Event{}, ErrEventTooLong
		}
		if done {
			return event, nil
		}
		if r.err == nil {
			r.err = r.fill()
			continue
		}
		if errors.Is(r.err, io.EOF) && r.finish() {
			continue
		}
		return Event{}, r.err
	}
}

// scan takes whole lines from the buffer until an event is complete.
func (r *EventReader) scan() (Event, bool) {
	for {
		r.skip()
		rest := r.buf[r.start:]
		end := bytes.IndexAny(rest[r.seen:], "\r\n")
		if end < 0 {
			r.seen = len(rest)
			return Event{}, false
		}
		end += r.seen
		text := rest[r.line:end]
		from := r.line
		r.skipLF = rest[end] == '\r'
		r.line, r.seen = end+1, end+1
		if len(text) > 0 {
			r.take(text, from)
			continue
		}
		if event, complete := r.cut(rest); complete {
			return event, true
		}
	}
}

// skip passes the LF of a CRLF whose CR has ended the line before.
func (r *EventReader) skip() {
	at := r.start + r.line
	if !r.skipLF || at == len(r.buf) {
		return
	}
	r.skipLF = false
	switch {
	case r.buf[at] != '\n':
	case r.line == 0: // the event before was handed out without it
		r.start++
		r.seen = 0
	default:
		r.line++
		r.seen = max(r.seen, r.line)
	}
}

// take reads one line that begins at from.
func (r *EventReader) take(text []byte, from int) {
	if !r.begun {
		r.begun = true
		trimmed := bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))
		from += len(text) - len(trimmed)
		text = trimmed
	}
	value, found := bytes.CutPrefix(text, []byte("data"))
	if !found || len(value) > 0 && value[0] != ':' {
		return
	}
	from += len("data")
	if len(value) > 0 {
		value, from = value[1:], from+1
	}
	if len(value) > 0 && value[0] == ' ' {
		value, from = value[1:], from+1
	}
	r.lines++
	switch r.lines {
	case 1:
		r.single = span{from, from + len(value)}
		return
	case 2:
		r.data = append(r.data[:0], r.buf[r.start+r.single.from:r.start+r.single.to]...)
	}
	r.data = append(append(r.data, '\n'), value...)
}

// cut ends the event at the blank line that r.line has just passed.
func (r *EventReader) cut(rest []byte) (Event, bool) {
	switch {
	case r.skipLF && r.line < len(rest) && rest[r.line] == '\n':
		r.line++
		r.skipLF = false
	case r.skipLF && r.line > 1 && rest[r.line-2] == '\n':
		// Its LF is still on the way and will be passed over. Who reads what is forwarded
		// may know no line that ends in CR alone.
		rest[r.line-1] = '\n'
	}
	event := Event{Raw: rest[:r.line]}
	switch r.lines {
	case 0:
	case 1:
		event.Data = rest[r.single.from:r.single.to]
	default:
		event.Data = r.data
	}
	complete := r.lines > 0
	r.start += r.line
	r.line, r.seen, r.lines = 0, 0, 0
	r.begun = true
	return event, complete
}

// fill reads more, after what is used up has made room.
func (r *EventReader) fill() error {
	if r.start > 0 {
		r.buf = r.buf[:copy(r.buf, r.buf[r.start:])]
		r.start = 0
	}
	if len(r.buf) == cap(r.buf) {
		grown := make([]byte, len(r.buf), max(firstBuffer, 2*cap(r.buf)))
		copy(grown, r.buf)
		r.buf = grown
	}
	for range maxEmptyRead {
		n, err := r.source.Read(r.buf[len(r.buf):cap(r.buf)])
		r.buf = r.buf[:len(r.buf)+n]
		if n > 0 || err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

// finish completes what the end of the stream has cut off, once.
func (r *EventReader) finish() bool {
	rest := r.buf[r.start:]
	if r.line >= len(rest) && r.lines == 0 {
		return false
	}
	r.buf = append(r.buf, "\n\n"...)
	return true
}
