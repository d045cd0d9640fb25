package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
)

// thirdParty writes the page of all parts with their licences, and then each text once
// with the parts it belongs to: whoever ships the program ships this page.
func thirdParty(parts []part) ([]byte, error) {
	var page bytes.Buffer
	page.WriteString("# What KikuAI is shipped with\n\n" +
		"The parts of the binary that others wrote, under which licences, and those licences' texts. " +
		"`make licences` writes this page, and a test holds it to the modules and packages that are shipped.\n\n" +
		"| part | version | licence |\n|---|---|---|\n")
	type group struct {
		text  string
		parts []string
	}
	var groups []*group
	byText := map[string]*group{}
	for _, p := range parts {
		found, err := licences(p)
		if err != nil {
			return nil, err
		}
		version := p.version
		if p.hash == "" {
			version = "of the compiler"
		}
		fmt.Fprintf(&page, "| %s `%s` | %s | %s |\n", p.ecosystem, p.name, version, expression(found))
		for _, l := range found {
			g := byText[l.text]
			if g == nil {
				g = &group{text: l.text}
				byText[l.text] = g
				groups = append(groups, g)
			}
			if name := fmt.Sprintf("`%s` (%s)", p.name, l.file); !slices.Contains(g.parts, name) {
				g.parts = append(g.parts, name)
			}
		}
	}
	page.WriteString("\n## Texts\n")
	for _, g := range groups {
		fence := "```"
		for strings.Contains(g.text, fence) {
			fence += "`"
		}
		fmt.Fprintf(&page, "\n%s:\n\n%stext\n%s\n%s\n", strings.Join(g.parts, ", "), fence, g.text, fence)
	}
	return page.Bytes(), nil
}
