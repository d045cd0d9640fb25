package config

import (
	"fmt"
	"slices"
	"strings"
)

const (
	fileSuffix = "_FILE"
	// aSlip is how many letters may be wrong in a name that was meant to be one of ours:
	// one, and two in the longer names.
	aSlip   = 1
	twoFrom = 10 // letters
	// fewestWords must be left of a name whose other words may be missing.
	fewestWords = 2
	providerKey = "_API_KEY"
)

// suspect is a variable that is set, that nothing reads, and that was perhaps meant to be
// one of ours.
type suspect struct {
	name  string
	meant string
	slip  bool // a letter or two are wrong, rather than a word
}

// suspects finds them among the names of all variables that are set.
func suspects(names []string, lookup Lookup) []suspect {
	known := knownNames()
	var found []suspect
	for _, name := range names {
		if slices.Contains(known, name) {
			continue
		}
		if value, _ := lookup(name); value == "" {
			continue
		}
		if s, is := suspected(name, known); is {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b suspect) int { return strings.Compare(a.name, b.name) })
	return found
}

// knownNames are all that is read, and the _FILE of each secret.
func knownNames() []string {
	var names []string
	for _, v := range variables() {
		names = append(names, v.name)
		if v.secret {
			names = append(names, v.name+fileSuffix)
		}
	}
	return names
}

func suspected(name string, known []string) (suspect, bool) {
	upper := strings.ToUpper(name)
	for _, ours := range known {
		most := aSlip
		if len(ours) >= twoFrom {
			most = aSlip + 1
		}
		if distance(upper, ours, most) <= most {
			return suspect{name: name, meant: ours, slip: true}, true
		}
	}
	for _, ours := range known {
		if upper == ours+fileSuffix || reworded(upper, ours) {
			return suspect{name: name, meant: ours}, true
		}
	}
	return suspect{}, false
}

// reworded tells whether a name has the words of ours in another order, or all but one.
func reworded(name, ours string) bool {
	has, wants := strings.Split(name, "_"), strings.Split(ours, "_")
	if len(has) < fewestWords || len(has) > len(wants) || len(has) < len(wants)-1 {
		return false
	}
	for _, word := range has {
		i := slices.Index(wants, word)
		if i < 0 {
			return false
		}
		wants = slices.Delete(wants, i, i+1)
	}
	return true
}

// distance is how many letters must be put in, left out, changed or swapped with their
// neighbour to make one text of the other. What is above most is told as most+1.
func distance(a, b string, most int) int {
	if diff := len(a) - len(b); diff > most || -diff > most {
		return most + 1
	}
	rows := [3][]int{make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := 1; i <= len(a); i++ {
		two, one, now := rows[0], rows[1], rows[2]
		now[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			now[j] = min(one[j]+1, now[j-1]+1, one[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				now[j] = min(now[j], two[j-2]+1)
			}
		}
		rows = [3][]int{one, now, two}
	}
	return min(rows[1][len(b)], most+1)
}

// suspect adds what was perhaps misspelt: to the fault of a variable that is missing for
// it; as a fault of its own where a slip of the pen would have production run on a
// default; else as a note. Keys of providers are noted alone: a catalogue may name its own.
func (c *Config) suspect(faults *FaultsError, found []suspect, lookup Lookup) {
	for _, s := range found {
		question := "did you mean " + s.meant + "?"
		if s.name == s.meant+fileSuffix {
			question = "only secrets come from files: set " + s.meant + " itself"
		}
		base := strings.TrimSuffix(s.meant, fileSuffix)
		value, _ := lookup(base)
		file, _ := lookup(base + fileSuffix)
		if faults.explain(base, fmt.Sprintf("is missing, and %s is set, which nothing reads", s.name), question) {
			continue
		}
		if s.slip && c.production() && value == "" && file == "" && !strings.HasSuffix(base, providerKey) {
			faults.Faults = append(faults.Faults, Fault{s.name, "is set, and nothing reads it", question})
			continue
		}
		c.notes = append(c.notes, s.name+" is set, and nothing reads it: "+question)
	}
}

// Notes say what of the environment looks like a mistake and is none that would keep the
// program from running. They hold no secrets.
func (c *Config) Notes() []string { return c.notes }
