// Package cases reads tables of tests from files: each case is what goes in and what
// comes out, in sections of text.
//
// A file is a list of cases. A case begins with a line "=== what it shows"; its
// sections begin with lines "-- name --".
package cases

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// Case is one case of a file.
type Case struct {
	Name     string
	sections []section
}

type section struct{ name, text string }

// Get is the text of a section; "" where there is none.
func (c *Case) Get(name string) string {
	for _, s := range c.sections {
		if s.name == name {
			return s.text
		}
	}
	return ""
}

// Set replaces a section's text, or adds the section.
func (c *Case) Set(name, text string) {
	for i := range c.sections {
		if c.sections[i].name == name {
			c.sections[i].text = text
			return
		}
	}
	c.sections = append(c.sections, section{name, text})
}

// Read reads a file's cases; a test that has none fails.
func Read(t testing.TB, path string) []Case {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []Case
	for line := range strings.Lines(string(text)) {
		if name, is := strings.CutPrefix(line, "=== "); is {
			cases = append(cases, Case{Name: strings.TrimSpace(name)})
			continue
		}
		if len(cases) == 0 {
			t.Fatalf("%s does not begin with a case", path)
		}
		c := &cases[len(cases)-1]
		if name, is := strings.CutPrefix(line, "-- "); is {
			c.sections = append(c.sections, section{name: strings.TrimSuffix(strings.TrimSpace(name), " --")})
			continue
		}
		if len(c.sections) == 0 {
			t.Fatalf("%s: %s has text before its first section", path, c.Name)
		}
		c.sections[len(c.sections)-1].text += line
	}
	if len(cases) == 0 {
		t.Fatalf("%s has no case", path)
	}
	return cases
}

// Write writes a file of cases, for what came out to be read and kept.
func Write(t testing.TB, path string, cases []Case) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "=== %s\n", c.Name)
		for _, s := range c.sections {
			fmt.Fprintf(&b, "-- %s --\n%s\n", s.name, strings.TrimSpace(s.text))
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
