package doctor

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kikuai/kikuai/internal/testenv"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// expect carries out the check of that name and holds what it found, as "level: a part of
// the sentence", to the list.
func expect(t *testing.T, checks []Check, name string, want ...string) {
	t.Helper()
	found := Examine(t.Context(), Only(checks, []string{name}))
	var got []string
	for _, f := range found {
		got = append(got, string(f.Level)+": "+f.Says)
		if f.Check == "" || f.Says == "" || (f.Mend == "") != (f.Level == OK) {
			t.Errorf("%s: not a whole finding: %+v", name, f)
		}
	}
	matches := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		level, part, _ := strings.Cut(want[i], ": ")
		matches = matches && strings.HasPrefix(got[i], level+": ") && strings.Contains(got[i], part)
	}
	if !matches {
		t.Errorf("%s found\n\t%s\nand not\n\t%s", name, strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// TestExamine: findings come in the order of the checks, one that hangs is told, and no
// secret stands in any.
func TestExamine(t *testing.T) {
	held := make(chan struct{})
	checks := []Check{
		{"slow", func(context.Context) []Finding { <-held; return []Finding{well("Slow.")} }},
		{"quick", func(context.Context) []Finding {
			close(held)
			return []Finding{warning("call postgres://u:hidden-word@db/x", "Said\n  twice: redis://:hidden-word@r.")}
		}},
		{"hangs", func(ctx context.Context) []Finding { <-ctx.Done(); return nil }},
		{"long", func(context.Context) []Finding { return []Finding{well("%s", strings.Repeat("é", longestSays))} }},
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	found := Examine(ctx, checks)
	names := make([]string, len(found))
	for i, f := range found {
		names[i] = f.Check
		if strings.Contains(f.Says+f.Mend, "hidden-word") || strings.Contains(f.Says, "\n") || len(f.Says) > longestSays+3 {
			t.Errorf("%s: %q, %q", f.Check, f.Says, f.Mend)
		}
	}
	if !slices.Equal(names, []string{"slow", "quick", "hangs", "long"}) || found[2].Level != Warning {
		t.Errorf("%v, %+v", names, found)
	}
	if Count(found, OK) != 2 || Count(found, Warning) != 2 || Count(found, Fault) != 0 {
		t.Errorf("counted %+v", found)
	}
	if got := Only(checks, []string{"quic", "long"}); len(got) != 1 || got[0].Name != "long" {
		t.Errorf("chosen: %v", got)
	}
	if got := Only([]Check{{Name: "redis.policy"}, {Name: "redisx"}}, []string{"redis"}); len(got) != 1 {
		t.Errorf("a part was chosen: %v", got)
	}
}
