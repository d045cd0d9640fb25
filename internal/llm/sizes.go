package llm

import (
	"fmt"
	"io"
	"strings"
)

// sizes are how much of a provider's answer is taken, in bytes.
type sizes struct {
	answer int64 // unstreamed
	stream int64 // streamed
	event  int   // of one server-sent event, and so of one line
}

// sizesOf: pictures travel as text inside an event or answer, numbers of embeddings by the
// hundred thousand, and the last event of a response repeats all of it.
func sizesOf(o Operation) sizes {
	s := sizes{maxAnswer, maxStream, maxEvent}
	switch o {
	case OpImages:
		s = sizes{96 << 20, 96 << 20, 48 << 20}
	case OpEmbeddings:
		s.answer = 96 << 20
	case OpResponses:
		s.event = 8 << 20
	}
	return s
}

// maxPiece of sound that is passed on at once.
const maxSoundPiece = 32 << 10 // bytes

// eventSource is where a stream's events come from.
type eventSource interface{ Next() (Event, error) }

// pieces takes a body of bytes as a stream whose events are pieces of it.
type pieces struct {
	source io.Reader
	buf    []byte
}

func newPieces(source io.Reader) *pieces {
	return &pieces{source: source, buf: make([]byte, maxSoundPiece)}
}

// Next returns what has come; valid until the next call.
func (p *pieces) Next() (Event, error) {
	for range maxEmptyRead {
		n, err := p.source.Read(p.buf)
		if n > 0 {
			return Event{Raw: p.buf[:n], Data: p.buf[:n]}, nil // the error comes again
		}
		if err != nil {
			return Event{}, err
		}
	}
	return Event{}, io.ErrNoProgress
}

// soundKind says what a body of sound is, by its Content-Type; an error where it is none.
func soundKind(kind string) (string, error) {
	bare, _, _ := strings.Cut(kind, ";")
	switch bare = strings.ToLower(strings.TrimSpace(bare)); {
	case kind == "":
		return "application/octet-stream", nil
	case strings.HasPrefix(bare, "audio/"), bare == "application/octet-stream", bare == "application/ogg":
		return kind, nil
	}
	return "", fmt.Errorf("the provider answered %.40q in place of sound", kind)
}
