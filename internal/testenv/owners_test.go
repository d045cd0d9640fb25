package testenv_test

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestKeyOwners holds the table of Redis' keys under "Owners" in ARCHITECTURE.md to the
// source, both ways: a key that the source names has a row, and a row's key is named by its
// owner. Names are read where they are literals: the first argument of a shard's Key, what
// stands before ":{", and what a channel is called. A variable that is handed to Key is not
// followed: of those only the row is held to the source.
func TestKeyOwners(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(architectureFile)
	if err != nil {
		t.Fatal(err)
	}
	owners := keyOwners(string(text))
	if len(owners) < 30 {
		t.Fatalf("the table of keys has %d names", len(owners))
	}
	for _, fault := range checkKeys(owners, sources(t, "../..")) {
		t.Error(fault)
	}
}

var (
	keyRow     = regexp.MustCompile(`(?m)^\| (.+) \| .* \| (\S+) \|$`)
	keyQuoted  = regexp.MustCompile("`([a-z]+(?:![a-z]+)?)[^`]*`")
	shardKey   = regexp.MustCompile(`\.Key\("([a-z]+)`)
	bracedKey  = regexp.MustCompile("[\"'`]([a-z]+):\\{")
	channelKey = regexp.MustCompile(`(?i)channel\s*=\s*"([a-z!]+)"`)
	lineRemark = regexp.MustCompile(`(?m)^\s*(//|--).*$`)
)

// keyOwners maps each name in the table of keys to the packages that own it. What begins
// with "…" or ":" is a part of the key that stands before it.
func keyOwners(text string) map[string][]string {
	_, text, _ = strings.Cut(text, "\n## Owners\n")
	text, _, _ = strings.Cut(text, "\nTables in Postgres")
	owners := map[string][]string{}
	for _, row := range keyRow.FindAllStringSubmatch(text, -1) {
		if row[1] == "key" {
			continue
		}
		for _, name := range keyQuoted.FindAllStringSubmatch(row[1], -1) {
			if !slices.Contains(owners[name[1]], row[2]) {
				owners[name[1]] = append(owners[name[1]], row[2])
			}
		}
	}
	return owners
}

// sources are the files of Go and Lua that the program is made of, by path, without remarks
// that have lines of their own. Simulators are no part of it.
func sources(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, dir := range []string{"billing", "bot", "cache", "cmd", "gateway", "handlers", "internal", "ratelimit", "webapp"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, entry fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name := entry.Name()
			if entry.IsDir() && (name == "node_modules" || name == "testdata" || name == "testenv" || strings.HasSuffix(name, "sim")) {
				return filepath.SkipDir
			}
			if !strings.HasSuffix(name, ".lua") && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
				return nil
			}
			text, err := os.ReadFile(path)
			short, _ := filepath.Rel(root, path)
			found[filepath.ToSlash(short)] = lineRemark.ReplaceAllString(string(text), "")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

func checkKeys(owners map[string][]string, files map[string]string) (faults []string) {
	for path, text := range files {
		for _, pattern := range []*regexp.Regexp{shardKey, bracedKey, channelKey} {
			for _, name := range pattern.FindAllStringSubmatch(text, -1) {
				if len(owners[name[1]]) == 0 {
					faults = append(faults, fmt.Sprintf("%s names the key %s, which has no row under Owners in ARCHITECTURE.md", path, name[1]))
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(owners)) {
		literal := regexp.MustCompile("[\"'`]" + name + "[\"'`:]")
		for _, owner := range owners[name] {
			named := false
			for path, text := range files {
				named = named || strings.HasPrefix(path, owner+"/") && literal.MatchString(text)
			}
			if !named {
				faults = append(faults, fmt.Sprintf("ARCHITECTURE.md says that %s is the key %s's owner, which does not name it", owner, name))
			}
		}
	}
	slices.Sort(faults)
	return slices.Compact(faults)
}

// TestKeyOwnersFindsFaults breaks each rule once.
func TestKeyOwnersFindsFaults(t *testing.T) {
	t.Parallel()
	owners := keyOwners("# A\n\n## Owners\n\n| key | what | owner |\n|---|---|---|\n| `a:{sNN}:<x>`, `:t` | a, `z` | billing |\n| `b`, `…:f` | b | bot |\n\nTables in Postgres: none.\n")
	if got := fmt.Sprint(owners); got != "map[a:[billing] b:[bot]]" {
		t.Errorf("the table says %s", got)
	}
	whole := map[string]string{"billing/keys.go": `s.Key("a", id)`, "bot/news.go": `const newsChannel = "b"`}
	if faults := checkKeys(owners, whole); len(faults) > 0 {
		t.Errorf("%q", faults)
	}
	for path, text := range map[string]string{
		"bot/more.go": `s.Key("c")`, "bot/raw.go": `"d:{" + tag`, "billing/scripts/x.lua": `'e:{' .. tag`, "bot/say.go": `channel = "f"`,
		"bot/news.go": ``, "billing/keys.go": ``,
	} {
		broken := maps.Clone(whole)
		broken[path] = text
		if faults := checkKeys(owners, broken); len(faults) != 1 {
			t.Errorf("%s with %s: %q", path, text, faults)
		}
	}
}
