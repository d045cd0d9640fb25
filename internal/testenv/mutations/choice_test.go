package mutations

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// choose returns the bugs that a package's tests see, all for an empty name, of these those
// whose description has the words in it, and of these a slice: "2/5" is the second of five,
// which hold every bug between them; "" is all. A package brings those below it: bot is
// bot/format, too.
func choose(all []mutation, pkg, words, slice string) (chosen []mutation, err error) {
	part, parts := 1, 1
	if slice != "" {
		first, second, _ := strings.Cut(slice, "/")
		var errs [2]error
		part, errs[0] = strconv.Atoi(first)
		parts, errs[1] = strconv.Atoi(second)
		if errs[0] != nil || errs[1] != nil || part < 1 || part > parts {
			return nil, fmt.Errorf("slice %q: want 2/5 for the second of five", slice)
		}
	}
	pkg = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(pkg, "./"), "..."), "/")
	n := 0
	for _, m := range inPackages(all) {
		if pkg != "" && m.pkg != pkg && !strings.HasPrefix(m.pkg, pkg+"/") {
			continue
		}
		if !strings.Contains(m.bug, words) {
			continue
		}
		if n%parts == part-1 {
			chosen = append(chosen, m)
		}
		n++
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("no bug of package %q with the words %q in slice %q", pkg, words, slice)
	}
	return chosen, nil
}

// inPackages orders the bugs by package, so that a package is compiled for its bugs at once.
func inPackages(all []mutation) []mutation {
	return slices.SortedStableFunc(slices.Values(all), func(a, b mutation) int { return strings.Compare(a.pkg, b.pkg) })
}

// packages returns the packages of the tests, each once, in the order of the bugs.
func packages(of []mutation) (names []string) {
	for _, m := range of {
		if !slices.Contains(names, m.pkg) {
			names = append(names, m.pkg)
		}
	}
	return names
}

// TestChoice: the slices of a package hold each of its bugs once, and nothing else.
func TestChoice(t *testing.T) {
	for _, pkg := range append(packages(table), "", "./bot/...") {
		whole, err := choose(table, pkg, "", "")
		if err != nil {
			t.Fatal(err)
		}
		parts := min(3, len(whole))
		var together []mutation
		for part := range parts {
			some, err := choose(table, pkg, "", fmt.Sprintf("%d/%d", part+1, parts))
			if err != nil {
				t.Fatal(err)
			}
			if len(some) > len(whole)/parts+1 {
				t.Errorf("%s: %d of %d bugs in one of %d slices", pkg, len(some), len(whole), parts)
			}
			together = append(together, some...)
		}
		if got, want := names(together), names(whole); !slices.Equal(got, want) {
			t.Errorf("%s: the slices hold %q, the package %q", pkg, got, want)
		}
	}
	if whole, err := choose(table, "", "", ""); err != nil || len(whole) != len(table) {
		t.Errorf("%d bugs of %d, %v", len(whole), len(table), err)
	}
	some := table[len(table)/2]
	if chosen, err := choose(table, some.pkg, some.bug, ""); err != nil || !slices.Equal(names(chosen), []string{some.bug}) {
		t.Errorf("asked for %q: %q, %v", some.bug, names(chosen), err)
	}
	for _, wrong := range [][3]string{
		{"no/such", "", ""}, {"", "no such bug", ""}, {"", "", "0/3"}, {"", "", "4/3"}, {"", "", "2"}, {"", "", "a/b"}, {"", "", "1/0"}, {"handlers/texts", "", "2/2"},
	} {
		if chosen, err := choose(table, wrong[0], wrong[1], wrong[2]); err == nil {
			t.Errorf("package %q, words %q, slice %q: %d bugs", wrong[0], wrong[1], wrong[2], len(chosen))
		}
	}
}

func names(of []mutation) (bugs []string) {
	for _, m := range of {
		bugs = append(bugs, m.bug)
	}
	slices.Sort(bugs)
	return bugs
}
