package testenv_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// roomsBegin begins the line under "Floors" in ARCHITECTURE.md that says which way the
// rooms of the bot import each other.
const roomsBegin = "`handlers` → "

// TestRooms holds the packages of the bot to that line: each imports only such as stand
// behind a later arrow, and each stands there.
func TestRooms(t *testing.T) {
	text, err := os.ReadFile(architectureFile)
	if err != nil {
		t.Fatal(err)
	}
	steps := roomSteps(string(text))
	for _, fault := range checkRooms(steps, listPackages(t)) {
		t.Error(fault)
	}
}

// roomSteps maps each package that the line names to the number of arrows before it.
func roomSteps(text string) map[string]int {
	steps := map[string]int{}
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, roomsBegin) {
			continue
		}
		for i, step := range strings.Split(line, "→") {
			for _, quoted := range quoteSign.FindAllStringSubmatch(step, -1) {
				steps[quoted[1]] = i
			}
		}
	}
	return steps
}

func checkRooms(steps map[string]int, packages []goPackage) (faults []string) {
	for _, p := range packages {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		if name != "handlers" && !strings.HasPrefix(name, "handlers/") {
			continue
		}
		step, known := steps[name]
		if !known {
			faults = append(faults, name+" is missing in the line of rooms in ARCHITECTURE.md")
		}
		for _, path := range p.Imports {
			imported := strings.TrimPrefix(path, module+"/")
			if to, room := steps[imported]; room && known && to <= step {
				faults = append(faults, fmt.Sprintf("%s imports %s: rooms import what stands behind a later arrow", name, imported))
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// TestRoomsFindsFaults breaks each rule once.
func TestRoomsFindsFaults(t *testing.T) {
	steps := roomSteps("# A\n\n" + roomsBegin + "`handlers/a` `handlers/b` → `handlers/c`\n")
	for _, row := range []struct{ from, to, fault string }{
		{"handlers", "handlers/a", ""},
		{"handlers/a", "handlers/c", ""},
		{"handlers/a", "billing", ""},
		{"handlers/a", "handlers/b", "later arrow"},
		{"handlers/c", "handlers/a", "later arrow"},
		{"handlers/d", "handlers/c", "missing"},
	} {
		got := checkRooms(steps, []goPackage{{ImportPath: module + "/" + row.from, Imports: []string{"fmt", module + "/" + row.to}}})
		switch {
		case row.fault == "" && len(got) > 0:
			t.Errorf("%s → %s: %v", row.from, row.to, got)
		case row.fault != "" && (len(got) != 1 || !strings.Contains(got[0], row.fault)):
			t.Errorf("%s → %s: %v, want one about %q", row.from, row.to, got, row.fault)
		}
	}
}
