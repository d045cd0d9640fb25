package translate_test

import (
	"testing"

	"github.com/kikuai/kikuai/internal/llm/translate"
	"github.com/kikuai/kikuai/internal/testenv/strict"
)

// stream is what the package's streams have in common.
type stream interface {
	Event(to, data []byte) ([]byte, error)
	Close(to []byte, f translate.Final) []byte
}

// readEvents reads a stream as strictly as a client can.
func readEvents(t *testing.T, text string) []strict.Event {
	t.Helper()
	events, err := strict.Events(text)
	if err != nil {
		t.Fatal(err)
	}
	return events
}
