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
	tests := map[string]map[string]bool{} // of a package
	for _, m := range table {
		bugs = append(bugs, m.bug)
		if tests[m.pkg] == nil {
			tests[m.pkg] = testsOf(t, m.pkg)
		}
		if _, err := m.apply(root); err != nil {
			t.Error(err)
		}
		if !tests[m.pkg][m.test] {
			t.Errorf("%s: no %s in %s", m.bug, m.test, m.pkg)
		}
	}
	slices.Sort(bugs)
	if len(slices.Compact(bugs)) != len(table) {
		t.Error("a bug stands in the table twice")
	}
}

// testsOf are the names of a package's tests and fuzz targets.
func testsOf(t *testing.T, pkg string) map[string]bool {
	t.Helper()
	test := regexp.MustCompile(`(?m)^func (\w+)\((?:t \*testing\.T|f \*testing\.F)\)`)
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range test.FindAllSubmatch(text, -1) {
			names[string(found[1])] = true
		}
	}
	return names
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
