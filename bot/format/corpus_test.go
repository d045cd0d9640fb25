package format

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write what the answers look like into testdata/shown")

const answerMark = "%%% "

// answer is one of the corpus: Markdown as models write it.
type answer struct{ name, source string }

// answers reads the corpus: testdata/answers/<theme>.md, each with its answers below
// lines of "%%% name".
func answers(t testing.TB) map[string][]answer {
	t.Helper()
	files, err := filepath.Glob("testdata/answers/*.md")
	if err != nil {
		t.Fatal(err)
	}
	corpus := map[string][]answer{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		theme := strings.TrimSuffix(filepath.Base(file), ".md")
		for chunk := range strings.SplitSeq("\n"+string(raw), "\n"+answerMark) {
			if name, source, found := strings.Cut(chunk, "\n"); found && name != "" {
				corpus[theme] = append(corpus[theme], answer{name: name, source: source})
			}
		}
	}
	return corpus
}

// The corpus looks as it was last looked at: testdata/shown has each answer with its
// entities written around what they cover. After a change, `go test -update` writes it
// anew, to be read in the diff.
func TestCorpusLooks(t *testing.T) {
	total := 0
	for theme, list := range answers(t) {
		total += len(list)
		var shown bytes.Buffer
		for _, a := range list {
			shown.WriteString(answerMark + a.name + "\n" + marked(Markdown(a.source)) + "\n")
		}
		file := filepath.Join("testdata", "shown", theme+".txt")
		if *update {
			if err := os.WriteFile(file, shown.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), shown.String()); diff != "" {
			t.Errorf("%s: %s", theme, diff)
		}
	}
	if total != 200 {
		t.Errorf("%d answers", total)
	}
}
