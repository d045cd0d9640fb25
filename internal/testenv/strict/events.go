package strict

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Event is one server-sent event as a client reads it.
type Event struct{ Name, Data string }

// Events reads a stream as strictly as a client can: each event is one data line after
// at most one name, and a blank line; its data is JSON or "[DONE]". The error says what
// is not so.
func Events(text string) (events []Event, err error) {
	whole, tail := strings.CutSuffix(text, "\n\n")
	if text != "" && !tail {
		return nil, fmt.Errorf("the stream does not end with a blank line: %q", text)
	}
	for part := range strings.SplitSeq(whole, "\n\n") {
		if part == "" {
			continue
		}
		var e Event
		if name, is := strings.CutPrefix(part, "event: "); is {
			e.Name, part, _ = strings.Cut(name, "\n")
		}
		data, is := strings.CutPrefix(part, "data: ")
		if !is || strings.ContainsAny(data, "\r\n") {
			return nil, fmt.Errorf("no event: %q", part)
		}
		if data != "[DONE]" && !json.Valid([]byte(data)) {
			return nil, fmt.Errorf("no JSON: %q", data)
		}
		e.Data = data
		events = append(events, e)
	}
	return events, nil
}
