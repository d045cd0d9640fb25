package main

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// tree lists the repository's files of a name, without what was installed or built.
func tree(t *testing.T, wanted func(path string, entry fs.DirEntry) bool) (found []string) {
	t.Helper()
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", "node_modules", "bin", "dist"}, entry.Name()) {
			return fs.SkipDir
		}
		if wanted(path, entry) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// files lists the repository's files of a name.
func files(t *testing.T, name string) []string {
	t.Helper()
	return tree(t, func(_ string, e fs.DirEntry) bool { return e.Name() == name })
}

// modules are the files of the modules that are ours: those that only build another program
// to be measured beside it are held to the release that it is measured in.
func modules(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(files(t, "go.mod"), func(file string) bool { return strings.HasPrefix(file, root+"/deploy/bench/") })
}

// TestLocks: every npm package is locked to a version and the hash of its content, at no
// registry in particular, and package.json asks for exactly that version.
func TestLocks(t *testing.T) {
	locks := files(t, "package-lock.json")
	if len(locks) < 4 {
		t.Errorf("%d locks", len(locks))
	}
	for _, file := range locks {
		for _, fault := range lockFaults(t, file) {
			t.Error(fault)
		}
	}
	for _, file := range files(t, "package.json") {
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "ependencies\"") {
			continue // it only says which kind of modules lie there
		}
		if !slices.Contains(locks, strings.Replace(file, "package.json", "package-lock.json", 1)) {
			t.Errorf("%s has no lock", file)
		}
	}
}

func lockFaults(t *testing.T, file string) (faults []string) {
	t.Helper()
	lock, err := readLock(file)
	if err != nil {
		return []string{err.Error()}
	}
	if lock.LockfileVersion != 3 {
		faults = append(faults, file+" is in another format")
	}
	for path, p := range lock.Packages {
		if path == "" {
			continue
		}
		if _, _, err := integrity(p.Integrity); err != nil || p.Link || p.Version == "" {
			faults = append(faults, file+": "+path+" is not locked to its content")
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), `"resolved"`) {
		faults = append(faults, file+" names a registry's addresses")
	}
	var asked struct{ Dependencies, DevDependencies map[string]string }
	manifest := filepath.Join(filepath.Dir(file), "package.json")
	if text, err = os.ReadFile(manifest); err == nil {
		err = json.Unmarshal(text, &asked)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, of := range []map[string]string{asked.Dependencies, asked.DevDependencies} {
		for name, version := range of {
			if lock.Packages["node_modules/"+name].Version != version {
				faults = append(faults, manifest+" asks for "+name+" "+version+", which is not what is locked")
			}
		}
	}
	return faults
}

// TestLockFaults: what TestLocks is there to see, it sees.
func TestLockFaults(t *testing.T) {
	const fine = `"node_modules/a":{"version":"1.0.0","integrity":"sha512-AAAA"}`
	for packages, want := range map[string]string{
		fine:                                   "",
		`"node_modules/a":{"version":"1.0.0"}`: "not locked to its content",
		`"node_modules/a":{"version":"1.0.0","integrity":"sha1-AAAA"}`:                             "not locked to its content",
		`"node_modules/a":{"version":"1.0.1","integrity":"sha512-AAAA"}`:                           "asks for a 1.0.0",
		fine + `,"node_modules/b":{"version":"1.0.0","integrity":"sha512-AAAA","resolved":"http"}`: "names a registry",
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{
			"package-lock.json": `{"lockfileVersion":3,"packages":{"":{},` + packages + `}}`, "package.json": `{"dependencies":{"a":"1.0.0"}}`,
		} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		faults := strings.Join(lockFaults(t, filepath.Join(dir, "package-lock.json")), "\n")
		if (faults == "") != (want == "") || !strings.Contains(faults, want) {
			t.Errorf("%s: %q, want %q", packages, faults, want)
		}
	}
}

// TestModules: no module is replaced, so that what go.sum says is what is built.
func TestModules(t *testing.T) {
	ours := modules(t)
	if len(ours) < 2 {
		t.Errorf("%d modules", len(ours))
	}
	for _, file := range ours {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`(?m)^(replace|exclude)\b`).Match(text) {
			t.Errorf("%s replaces or excludes a module", file)
		}
		if _, err := os.Stat(strings.Replace(file, "go.mod", "go.sum", 1)); err != nil {
			t.Error(err)
		}
	}
}

// TestCorpora: what fuzzing found is kept where go test runs it: in testdata/fuzz, in a
// folder with the name of a target of that package.
func TestCorpora(t *testing.T) {
	kept := 0
	for _, dir := range tree(t, func(path string, e fs.DirEntry) bool {
		return e.IsDir() && filepath.Base(filepath.Dir(path)) == "fuzz" && filepath.Base(filepath.Dir(filepath.Dir(path))) == "testdata"
	}) {
		pkg := filepath.Dir(filepath.Dir(filepath.Dir(dir)))
		tests, err := filepath.Glob(filepath.Join(pkg, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(tests, func(file string) bool {
			text, err := os.ReadFile(file)
			return err == nil && strings.Contains(string(text), "\nfunc "+filepath.Base(dir)+"(f *testing.F)") && !strings.HasPrefix(string(text), "//go:build prove")
		}) {
			t.Errorf("%s: go test runs no such target in %s", dir, pkg)
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			kept++
			if text, err := os.ReadFile(filepath.Join(dir, entry.Name())); err != nil || !strings.HasPrefix(string(text), "go test fuzz v1\n") {
				t.Errorf("%s/%s is no case of go test: %v", dir, entry.Name(), err)
			}
		}
	}
	if kept == 0 {
		t.Error("nothing is kept")
	}
	ignored, err := os.ReadFile(root + "/.gitignore")
	if err != nil || regexp.MustCompile(`(?m)testdata/?(fuzz.*)?$`).Match(ignored) {
		t.Errorf("git ignores what is kept: %v", err)
	}
}
