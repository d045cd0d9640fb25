package translate

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReadmeHints compares the table of harmless hints with the one that decides.
func TestReadmeHints(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "| request | field | why it is harmless |\n|---|---|---|\n")
	if !found {
		t.Fatal("README.md has no table of harmless hints")
	}
	var want strings.Builder
	for _, h := range hints {
		fmt.Fprintf(&want, "| %s | `%s` | %s |\n", h.from, h.field, h.why)
	}
	if table != want.String() {
		t.Errorf("the table should be:\n%s", want.String())
	}
}
