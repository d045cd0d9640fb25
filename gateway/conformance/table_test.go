package conformance_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "rewrite the table in README.md")

const (
	readme     = "README.md"
	tableBegin = "<!-- written by go test ./gateway/conformance -run TestClients -update -->\n"
)

// table is the cases that agree, by the client's column.
type table struct {
	title   string
	columns []string
	rows    map[string]map[string]bool
}

// checkTable holds the table in README.md to what ran.
func checkTable(t *testing.T, ran map[string]map[string]bool) {
	t.Helper()
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	before, old, found := strings.Cut(string(text), tableBegin)
	if !found {
		t.Fatalf("%s has no line %q", readme, tableBegin)
	}
	var b strings.Builder
	for _, table := range tables(t, ran) {
		b.WriteString(table.String())
	}
	if *update {
		if err := os.WriteFile(readme, []byte(before+tableBegin+b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(old, b.String()); diff != "" {
		t.Errorf("%s is not what ran; run the test with -update (-written +ran):\n%s", readme, diff)
	}
}

func tables(t *testing.T, ran map[string]map[string]bool) []table {
	t.Helper()
	npm, golang := npmVersions(t), goVersions(t)
	openai := table{title: "OpenAI's clients"}
	openai.add("openai "+npm["openai"]+" (npm)", ran["openai-npm"])
	openai.add("openai-go "+golang["github.com/openai/openai-go/v3"], ran["openai-go"])
	anthropic := table{title: "Anthropic's clients"}
	anthropic.add("@anthropic-ai/sdk "+npm["@anthropic-ai/sdk"]+" (npm), version 2026-10-21 of the API", ran["anthropic-npm"])
	anthropic.add("anthropic-sdk-go "+golang["github.com/anthropics/anthropic-sdk-go"]+", version 2023-06-01", ran["anthropic-go"])
	langchain := table{title: "LangChain.js (@langchain/core " + npm["@langchain/core"] + ")"}
	langchain.split("ChatOpenAI", "@langchain/openai "+npm["@langchain/openai"], ran["langchain"])
	langchain.split("ChatAnthropic", "@langchain/anthropic "+npm["@langchain/anthropic"], ran["langchain"])
	vercel := table{title: "Vercel's AI SDK (ai " + npm["ai"] + ")"}
	vercel.split("chat", "@ai-sdk/openai "+npm["@ai-sdk/openai"]+", chat", ran["vercel"])
	vercel.split("responses", "@ai-sdk/openai, responses", ran["vercel"])
	vercel.split("anthropic", "@ai-sdk/anthropic "+npm["@ai-sdk/anthropic"], ran["vercel"])
	return []table{openai, anthropic, langchain, vercel}
}

// split takes a library's cases that begin with a name; those of no name go to the
// first column.
func (b *table) split(name, column string, cases map[string]bool) {
	mine := map[string]bool{}
	for one := range cases {
		is, rest, named := strings.Cut(one, ": ")
		switch {
		case named && is == name:
			mine[rest] = true
		case !named && len(b.columns) == 0:
			mine[one] = true
		}
	}
	b.add(column, mine)
}

func (b *table) add(column string, cases map[string]bool) {
	if b.rows == nil {
		b.rows = map[string]map[string]bool{}
	}
	b.columns = append(b.columns, column)
	for name := range cases {
		if b.rows[name] == nil {
			b.rows[name] = map[string]bool{}
		}
		b.rows[name][column] = true
	}
}

func (b *table) String() string {
	var out strings.Builder
	fmt.Fprintf(&out, "\n## %s\n\n| Case | %s |\n|---|%s\n", b.title, strings.Join(b.columns, " | "), strings.Repeat(":-:|", len(b.columns)))
	for _, row := range slices.Sorted(maps.Keys(b.rows)) {
		fmt.Fprintf(&out, "| %s |", row)
		for _, column := range b.columns {
			mark := " "
			if b.rows[row][column] {
				mark = " ✓ "
			}
			out.WriteString(mark + "|")
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// npmVersions are the packages as locked.
func npmVersions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile(npmDir + "/package.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct{ Dependencies map[string]string }
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	return file.Dependencies
}

// goVersions are the modules as required.
func goVersions(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, found := range regexp.MustCompile(`(?m)^\s*(\S+) v(\S+)`).FindAllStringSubmatch(string(text), -1) {
		versions[found[1]] = found[2]
	}
	return versions
}
