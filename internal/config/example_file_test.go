package config

import (
	"bufio"
	"os"
	"slices"
	"strings"
	"testing"
)

const exampleFile = "../../deploy/.env.example"

// TestExampleFileListsEveryVariable holds .env.example to Config both ways:
// the same names, the same defaults, a comment for each, secrets marked. What being set
// turns on stands there commented out.
func TestExampleFileListsEveryVariable(t *testing.T) {
	file, err := os.Open(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	type line struct{ value, comment string }
	switches := []string{"RATE_LIMIT_PER_SECOND", "RATE_LIMIT_BURST_SIZE"}
	found := map[string]line{}
	comment := ""
	for scan := bufio.NewScanner(file); scan.Scan(); {
		text := scan.Text()
		text, off := uncommented(text)
		if rest, is := strings.CutPrefix(text, "# "); is {
			comment = rest
			continue
		}
		if name, value, is := strings.Cut(text, "="); is {
			if _, twice := found[name]; twice {
				t.Errorf("%s stands twice", name)
			}
			if off != slices.Contains(switches, name) {
				t.Errorf("%s is commented out: %v", name, off)
			}
			found[name] = line{value, comment}
		}
		comment = ""
	}

	production := profileDefaults(Production)
	var names []string
	for _, v := range variables() {
		names = append(names, v.name)
		want := v.fallback
		if want == "" {
			want = production[v.name]
		}
		got, is := found[v.name]
		switch {
		case !is:
			t.Errorf("%s is missing", v.name)
		case got.value != want:
			t.Errorf("%s=%s, but the default is %q", v.name, got.value, want)
		case got.comment == "":
			t.Errorf("%s has no comment", v.name)
		case strings.Contains(got.comment, "[secret]") != v.secret:
			t.Errorf("%s is marked as a secret: %v; it is one: %v", v.name, !v.secret, v.secret)
		}
	}
	for name := range found {
		if !slices.Contains(names, name) {
			t.Errorf("%s is in the file and not read by the program", name)
		}
	}
}

// uncommented is a line's text without the sign that turns a variable off: one that stands
// right before its name.
func uncommented(text string) (string, bool) {
	if rest, is := strings.CutPrefix(text, "#"); is && rest != "" && rest[0] != ' ' {
		return rest, true
	}
	return text, false
}
