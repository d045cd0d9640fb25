package mutations

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// root is the module's directory.
const root = "../../.."

// edit replaces a text that occurs exactly once in a file.
type edit struct{ file, old, new string }

// mutation is a bug, and the test that must see it.
type mutation struct {
	bug   string
	edits []edit
	pkg   string // of the test
	test  string
}

// apply returns the files with the edits made.
func (m mutation) apply(dir string) (map[string]string, error) {
	files := map[string]string{}
	for _, e := range m.edits {
		text, known := files[e.file]
		if !known {
			raw, err := os.ReadFile(filepath.Join(dir, e.file))
			if err != nil {
				return nil, err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return nil, fmt.Errorf("%s: %d times in %s, not once:\n%s", m.bug, n, e.file, e.old)
		}
		files[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	return files, nil
}

// TestMutationsFit: what is to be replaced is there, and so is the test that is to see it.
func TestMutationsFit(t *testing.T) {
	if len(table) < 10 {
		t.Errorf("%d mutations", len(table))
	}
	var bugs []string
	for _, m := range table {
		bugs = append(bugs, m.bug)
		if _, err := m.apply(root); err != nil {
			t.Error(err)
		}
		if !hasTest(t, m.pkg, m.test) {
			t.Errorf("%s: no %s in %s", m.bug, m.test, m.pkg)
		}
	}
	slices.Sort(bugs)
	if len(slices.Compact(bugs)) != len(table) {
		t.Error("a bug stands in the table twice")
	}
}

func hasTest(t *testing.T, pkg, test string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`(?m)^func ` + regexp.QuoteMeta(test) + `\(t \*testing\.T\)`)
	return slices.ContainsFunc(files, func(file string) bool {
		text, err := os.ReadFile(file)
		return err == nil && name.Match(text)
	})
}

// copyTree copies the module without what is not source.
func copyTree(to string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if slices.Contains([]string{".git", "node_modules", "bin"}, entry.Name()) {
				return fs.SkipDir
			}
			return os.MkdirAll(filepath.Join(to, relative), 0o700)
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, relative), text, 0o600)
	})
}
