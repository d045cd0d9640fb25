package testenv_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module           = "github.com/kikuai/kikuai"
	architectureFile = "../../ARCHITECTURE.md"
	aside            = "aside"
	configPackage    = "internal/config"
)

// goPackage is what `go list -json` says of one package.
type goPackage struct {
	ImportPath string
	Imports    []string // of the package itself, tests left out
}

// TestFloors holds the tree to the table under "Floors" in ARCHITECTURE.md:
// imports run strictly downwards; configuration is cmd's alone; servers and
// simulators are for tests, cmd and themselves. Tests may import what they
// like. The table's rows are `| floor 3 | `handlers` `gateway` |`, down to
// floor 1, and one named aside; a name stands for its sub-packages, too.
func TestFloors(t *testing.T) {
	text, err := os.ReadFile(architectureFile)
	if err != nil {
		t.Fatal(err)
	}
	floors, err := parseFloors(string(text))
	if err != nil {
		t.Fatal(err)
	}
	packages := listPackages(t)
	if len(packages) < 5 {
		t.Fatalf("go list found %d packages", len(packages))
	}
	for _, fault := range checkFloors(floors, packages) {
		t.Error(fault)
	}
}

// listPackages are the module's packages with what they import.
func listPackages(t *testing.T) (packages []goPackage) {
	t.Helper()
	// -e: a package that does not compile yet still has its imports.
	cmd := exec.Command("go", "list", "-e", "-json=ImportPath,Imports", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	raw, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	for decoder := json.NewDecoder(bytes.NewReader(raw)); ; {
		var p goPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return packages
		} else if err != nil {
			t.Fatal(err)
		}
		packages = append(packages, p)
	}
}

// floorOf maps the packages that the table names to their floor: "4" to "1",
// or aside.
type floorOf map[string]string

var (
	rowShape  = regexp.MustCompile(`^\| *(?:floor ([1-4])|aside) *\|([^|]*)\|`)
	quoteSign = regexp.MustCompile("`([^`]+)`")
)

func parseFloors(text string) (floorOf, error) {
	_, section, found := strings.Cut(text, "\n## Floors\n")
	if !found {
		return nil, errors.New("ARCHITECTURE.md has no heading ## Floors")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	floors := floorOf{}
	rows := map[string]bool{}
	for line := range strings.SplitSeq(section, "\n") {
		row := rowShape.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		name := row[1]
		if name == "" {
			name = aside
		}
		rows[name] = true
		for _, quoted := range quoteSign.FindAllStringSubmatch(row[2], -1) {
			if _, twice := floors[quoted[1]]; twice {
				return nil, fmt.Errorf("%s stands in the table of floors twice", quoted[1])
			}
			floors[quoted[1]] = name
		}
	}
	for _, name := range []string{"4", "3", "2", "1", aside} {
		if !rows[name] {
			return nil, fmt.Errorf("the table of floors has no row %q", name)
		}
	}
	return floors, nil
}

// find returns the table's entry that a package, relative to the module,
// belongs to, and that entry's floor.
func (f floorOf) find(pkg string) (entry, floor string) {
	for entry = pkg; entry != ""; {
		if floor, known := f[entry]; known {
			return entry, floor
		}
		slash := strings.LastIndexByte(entry, '/')
		entry = entry[:max(slash, 0)]
	}
	return "", ""
}

func checkFloors(floors floorOf, packages []goPackage) (faults []string) {
	for _, p := range packages {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")
		entry, floor := floors.find(name)
		if floor == "" {
			faults = append(faults, fmt.Sprintf("package %q is missing in the table of floors in ARCHITECTURE.md", name))
			continue
		}
		for _, path := range p.Imports {
			imported, ours := strings.CutPrefix(path, module+"/")
			if !ours {
				continue
			}
			if why := forbidden(floors, entry, floor, imported); why != "" {
				faults = append(faults, fmt.Sprintf("%s imports %s: %s", name, imported, why))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

func forbidden(floors floorOf, entry, floor, imported string) string {
	toEntry, toFloor := floors.find(imported)
	switch {
	case toEntry == entry:
		return ""
	case toFloor == "":
		return "it is missing in the table of floors"
	case toEntry == configPackage:
		if floor != "4" {
			return "configuration is cmd's alone; take what you need as arguments"
		}
	case entry == configPackage:
		return "configuration stands by itself"
	case toFloor == aside:
		if floor != "4" && floor != aside {
			return "that is for tests, cmd and benchmarks"
		}
	case floor == aside:
		if toFloor == "4" {
			return "nothing imports cmd"
		}
	case floor == toFloor:
		return "packages on one floor never meet"
	case floor < toFloor:
		return "imports run downwards"
	}
	return ""
}

// TestFloorsFindsFaults breaks each rule once.
func TestFloorsFindsFaults(t *testing.T) {
	floors, err := parseFloors("# A\n\n## Floors\n\n| floor | packages |\n|---|---|\n" +
		"| floor 4 | `cmd/kikuai` |\n| floor 3 | `handlers` `gateway` | what |\n| floor 2 | `bot` `internal/llm` |\n" +
		"| floor 1 | `internal/stream` |\n| aside | `internal/config` `internal/testenv` `deploy` |\n\n## Next\n| floor 1 | `decoy` |\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct{ from, to, fault string }{
		{"cmd/kikuai", "handlers", ""},
		{"cmd/kikuai", "internal/config", ""},
		{"cmd/kikuai", "internal/testenv/pgserver", ""},
		{"handlers", "internal/stream", ""},
		{"handlers/sub", "handlers", ""},
		{"gateway", "internal/llm/openai", ""},
		{"deploy/bench", "internal/testenv", ""},
		{"deploy/bench", "gateway", ""},
		{"internal/testenv", "internal/stream", ""},
		{"handlers", "gateway", "never meet"},
		{"bot", "handlers", "downwards"},
		{"internal/stream", "internal/llm", "downwards"},
		{"handlers", "cmd/kikuai", "downwards"},
		{"handlers", "internal/config", "cmd's alone"},
		{"deploy/bench", "internal/config", "cmd's alone"},
		{"internal/config", "internal/stream", "by itself"},
		{"internal/config", "internal/testenv", "by itself"},
		{"bot", "internal/testenv/redisserver", "for tests"},
		{"deploy/bench", "cmd/kikuai", "nothing imports"},
		{"bot", "decoy", "missing"},
		{"", "bot", "missing"},
		{"handlersx", "bot", "missing"},
	} {
		got := checkFloors(floors, []goPackage{{
			ImportPath: strings.TrimSuffix(module+"/"+row.from, "/"), Imports: []string{"fmt", module + "/" + row.to},
		}})
		switch {
		case row.fault == "" && len(got) > 0:
			t.Errorf("%s → %s: %v", row.from, row.to, got)
		case row.fault != "" && (len(got) != 1 || !strings.Contains(got[0], row.fault)):
			t.Errorf("%s → %s: %v, want one about %q", row.from, row.to, got, row.fault)
		}
	}
	for _, text := range []string{"", "\n## Floors\n| floor 1 | `a` |\n", "\n## Floors\n| floor 1 | `a` `a` |\n"} {
		if _, err := parseFloors(text); err == nil {
			t.Errorf("%q was read as a table", text)
		}
	}
}
