package till

import (
	"testing"

	"github.com/kikuai/kikuai/handlers/texts"
)

func book(t *testing.T) *texts.Book {
	t.Helper()
	b, err := texts.Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func english(t *testing.T) texts.Voice { return book(t).Voice(texts.English) }
