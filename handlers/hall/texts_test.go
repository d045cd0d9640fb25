package hall

import (
	"testing"

	"github.com/kikuai/kikuai/handlers/texts"
)

func english(t *testing.T) texts.Voice {
	t.Helper()
	b, err := texts.Load()
	if err != nil {
		t.Fatal(err)
	}
	return b.Voice(texts.English)
}
