package charts

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	root     = "../../.."
	chartDir = root + "/deploy/helm/kikuai"
	values   = chartDir + "/testdata/values"
	refused  = chartDir + "/testdata/refused"

	release   = "kikuai"
	namespace = "kikuai"
)

// source is a file of the repository.
func source(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// sets are the names of the files of values in a folder, without their ending.
func sets(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no values in %s: %v", folder, err)
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return files
}

var documentEnd = regexp.MustCompile(`(?m)^---\s*$`)

// documents are the single objects of what was rendered, in an order that stays.
func documents(files map[string]string) []string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if !strings.HasSuffix(name, ".yaml") {
			continue
		}
		for _, text := range documentEnd.Split(files[name], -1) {
			if !empty(text) {
				all = append(all, text)
			}
		}
	}
	return all
}

// empty tells whether a document holds nothing but comments.
func empty(text string) bool {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			return false
		}
	}
	return true
}

// quoted are the sentences in the first lines of a file of values, as # comments.
func quoted(t *testing.T, file string) (sentences []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		sentence, is := strings.CutPrefix(strings.TrimSpace(line), "# ")
		if !is {
			break
		}
		sentences = append(sentences, sentence)
	}
	if len(sentences) == 0 {
		t.Fatalf("%s does not begin with what is to be said, as # comments", file)
	}
	return sentences
}

// TestRefused: values that cannot work are refused, with every sentence that the file's
// first lines quote.
func TestRefused(t *testing.T) {
	for _, set := range sets(t, refused) {
		file := filepath.Join(refused, set+".yaml")
		_, err := render(file)
		if err == nil {
			t.Errorf("%s: they were rendered", set)
			continue
		}
		for _, sentence := range quoted(t, file) {
			if !strings.Contains(err.Error(), sentence) {
				t.Errorf("%s: %q is not said in: %v", set, sentence, err)
			}
		}
	}
}

// TestNotes: what is printed at the end knows what was turned off.
func TestNotes(t *testing.T) {
	for set, wanted := range map[string]string{
		"small": "There is no Ingress", "full": "a metrics adapter has to serve", "still": "Run kikuai migrate yourself", "lean": "/kikuai webhook info",
	} {
		files, err := render(filepath.Join(values, set+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		if notes := files["kikuai/templates/NOTES.txt"]; !strings.Contains(notes, wanted) || strings.Contains(notes, "<no value>") {
			t.Errorf("%s: %q is not in\n%s", set, wanted, notes)
		}
	}
}
