package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestAdminTakesJSON: every admin command prints JSON for scripts.
func TestAdminTakesJSON(t *testing.T) {
	t.Parallel()
	parser, err := kong.New(&commands{}, kong.Name("kikuai"), kong.Vars{"simulated_token": devToken})
	if err != nil {
		t.Fatal(err)
	}
	looked := 0
	for _, leaf := range parser.Model.Leaves(false) {
		path := leaf.FullPath()
		if !strings.HasPrefix(path, "kikuai admin ") {
			continue
		}
		looked++
		if !slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" }) {
			t.Errorf("%s has no --json", path)
		}
	}
	if looked < 30 {
		t.Errorf("only %d admin commands were looked at", looked)
	}
}
