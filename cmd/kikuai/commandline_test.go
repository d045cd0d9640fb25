package main

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestAdminTakesJSON: every admin command prints JSON for scripts.
func TestAdminTakesJSON(t *testing.T) {
	t.Parallel()
	parser, err := newParser()
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

// TestCommandLine: what a command line is answered with that no command carries out.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		line string
		code int
		says string // on the standard output, or where the code is not 0, as an error
	}{
		{"--version", 0, "kikuai " + version() + "\n"},
		{"version", 0, "kikuai " + version() + "\n"},
		{"help", 0, "A prepaid AI gateway"},
		{"help admin credit", 0, "--idempotency-key"},
		{"serve -h", 0, "deploy/.env.example lists them"},
		{"migrate -h", 0, "deploy/.env.example lists them"},
		{"doctor -h", 0, "configuration, secrets, redis"},
		{"simulate -h", 0, "--too-many=PERCENT"},
		{"", 2, "\nkikuai --help lists the commands."},
		{"nonsense", 2, "\nkikuai --help lists the commands."},
		{"admin", 2, "\nkikuai admin --help lists the commands."},
		{"admin credit --nonsense", 2, "\nkikuai admin credit --help says what it takes."},
		{"admin user", 2, "missing flags: --telegram-id=N\nkikuai admin user --help says what it takes."},
		{"admin transactions", 2, "missing flags: --telegram-id=N\n"},
		{"admin user --telegram-id 0", 2, "--telegram-id is a positive number of at most 52 bits"},
		{"admin org add --id 1 --telegram-id=-5", 2, "--telegram-id is a positive number of at most 52 bits"},
		{"admin transactions --telegram-id 4503599627370496", 2, "--telegram-id is a positive number of at most 52 bits"},
	} {
		var out, errs bytes.Buffer
		code := run(t.Context(), strings.Fields(c.line), func(string) (string, bool) { return "", false }, &out, &errs)
		said := out.String()
		if c.code != 0 {
			said = errs.String()
		}
		if code != c.code || !strings.Contains(said, c.says) || strings.Contains(said, "FLOAT-64") || strings.Contains(said, "UINT-64") {
			t.Errorf("kikuai %s: exit %d: %s%s", c.line, code, &out, &errs)
		}
	}
}
