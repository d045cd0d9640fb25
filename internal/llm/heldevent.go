package llm

import "strings"

// heldEvent is an event that is kept back until the cost is known.
type heldEvent struct {
	raw, data string
}

func (h *heldEvent) hold(e Event) { h.raw, h.data = string(e.Raw), string(e.Data) }

func (h *heldEvent) held() bool { return h.data != "" }

// append appends the event with its data patched; all else of it as it came.
func (h *heldEvent) append(to []byte, patch func(to []byte, data string) []byte) []byte {
	at := strings.Index(h.raw, h.data)
	if at < 0 { // its data came in several lines
		return append(patch(append(to, eventHead...), h.data), eventTail...)
	}
	to = patch(append(to, h.raw[:at]...), h.data)
	return append(to, h.raw[at+len(h.data):]...)
}
