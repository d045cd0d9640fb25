package translate

import (
	"bytes"
	"errors"
)

var errEnded = errors.New("translate: the stream has ended")

var done = []byte("[DONE]") // the data of a chat stream's last event

const (
	dataField  = "data: "
	eventField = "event: "
	eventEnd   = "\n\n"
)

// beginEvent begins an event of data alone, or, with a name, one that is named.
func (w *writer) beginEvent(name string) {
	if name != "" {
		w.b = append(w.b, eventField...)
		w.b = append(w.b, name...)
		w.b = append(w.b, '\n')
	}
	w.b = append(w.b, dataField...)
}

// endEvent ends the event whose data begin at start. Line ends that came along between
// JSON's tokens would end the event: they become spaces.
func (w *writer) endEvent(start int) {
	data := w.b[start:]
	for i := bytes.IndexAny(data, "\r\n"); i >= 0; i = bytes.IndexAny(data, "\r\n") {
		data[i] = ' '
	}
	w.b = append(w.b, eventEnd...)
}

// Chain joins two streams: what the first would send to a client of chat completions
// is the second's source.
type Chain struct {
	first  *ChatStream
	second *ResponsesStream
	buffer []byte
	closed bool
	tail   []byte // what Close wrote first: what was held back
}

// NewChain leads a Messages provider's stream to a Responses client.
func NewChain(a Answer) *Chain {
	return &Chain{
		first:  NewChatStream(Answer{ID: a.ID, Model: a.Model, Created: a.Created}, true),
		second: NewResponsesStream(a),
	}
}

// Event takes the data of one event of the provider's. ErrBroken, *ProviderError.
func (c *Chain) Event(to, data []byte) ([]byte, error) {
	events, err := c.first.Event(c.buffer[:0], data)
	c.buffer = events
	if err != nil {
		return to, err
	}
	return c.pass(to, events)
}

func (c *Chain) pass(to, events []byte) ([]byte, error) {
	for len(events) > 0 {
		event, rest, _ := bytes.Cut(events, []byte(eventEnd))
		events = rest
		var err error
		if to, err = c.second.Event(to, bytes.TrimPrefix(event, []byte(dataField))); err != nil {
			return to, err
		}
	}
	return to, nil
}

// Close ends a complete answer. It may be called again with another Final.
func (c *Chain) Close(to []byte, f Final) []byte {
	if !c.closed {
		c.closed = true
		c.tail, _ = c.pass(nil, c.first.Close(nil, Final{})) // chunks of our own making are never broken
	}
	return c.second.Close(append(to, c.tail...), f)
}

// Next is the number of the event that would come next.
func (c *Chain) Next() int64 { return c.second.Next() }
