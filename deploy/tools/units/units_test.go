package units

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	root     = "../../.."
	unitsDir = "deploy/systemd"
	system   = "/usr/lib/systemd/system" // the units that ours refer to
	// exposureMost is the worst that systemd's review of a unit may say, in tenths: 0 is
	// shut in, 100 is a plain service.
	exposureMost = "15"
	// settling is what a server does after its drain.
	settling = 15 * time.Second
)

// unit is a unit's text, with the values of each directive in their order.
type unit struct {
	name   string
	values map[string][]string
}

func parse(name, text string) unit {
	u := unit{name, map[string][]string{}}
	for line := range strings.Lines(text) {
		if key, value, is := strings.Cut(strings.TrimSpace(line), "="); is && !strings.HasPrefix(key, "#") {
			u.values[key] = append(u.values[key], value)
		}
	}
	return u
}

func (u unit) one(key string) string {
	if values := u.values[key]; len(values) > 0 {
		return values[len(values)-1]
	}
	return ""
}

// environment are the variables that a unit sets.
func (u unit) environment() map[string]string {
	found := map[string]string{}
	for _, line := range u.values["Environment"] {
		for pair := range strings.FieldsSeq(line) {
			name, value, _ := strings.Cut(pair, "=")
			found[name] = value
		}
	}
	return found
}

func read(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	paths, err := filepath.Glob(filepath.Join(root, unitsDir, "kikuai*.*"))
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d units, %v", len(paths), err)
	}
	for _, path := range paths {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		texts[filepath.Base(path)] = string(raw)
	}
	return texts
}

// analyze is what systemd-analyze says of the units, installed in a root of their own
// beside everything that they start; "": nothing is wrong.
func analyze(t *testing.T, texts map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Fatal("systemd-analyze is not installed: apt-get install systemd")
	}
	dir := t.TempDir()
	install := func(path, text string, mode os.FileMode) {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.CopyFS(filepath.Join(dir, system), os.DirFS(system)); err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	args := []string{"verify", "--root=" + dir}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		for _, command := range slices.Concat(parse(name, texts[name]).values["ExecStart"], parse(name, texts[name]).values["ExecStartPost"]) {
			install(strings.Fields(command)[0], "#!/bin/sh\n", 0o755)
		}
		name, text := strings.Replace(name, "@.", "@1.", 1), texts[name]
		install("/etc/systemd/system/"+name, text, 0o644)
		args = append(args, name)
	}
	install("/etc/systemd/system/kikuai@.service.d/providers.conf", providers(t), 0o644)
	out, err := exec.Command("systemd-analyze", args...).CombinedOutput()
	if err != nil {
		return fmt.Sprintf("%v\n%s", err, out)
	}
	return string(out)
}

// faults are what is wrong with a unit beyond what systemd sees.
func faults(u unit, settings []string) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, u.name+": "+fmt.Sprintf(format, args...)) }
	if strings.HasSuffix(u.name, ".timer") {
		return nil
	}
	environment := u.environment()
	given := map[string]bool{}
	for _, value := range u.values["LoadCredential"] {
		name, path, _ := strings.Cut(value, ":")
		if given[name] = true; path != "/etc/kikuai/secrets/"+name {
			fault("%s is taken from %s", name, path)
		}
	}
	for name, value := range environment {
		if credential, is := strings.CutPrefix(value, "%d/"); is && !given[credential] {
			fault("%s names a credential that it is not given", name)
		} else if is {
			delete(given, credential)
		}
		if strings.HasPrefix(u.one("ExecStart"), "/usr/local/bin/kikuai") && name != "GOMEMLIMIT" && !slices.Contains(settings, strings.TrimSuffix(name, "_FILE")) {
			fault("there is no setting %s", name)
		}
	}
	for name := range given {
		fault("is given %s and does not use it", name)
	}
	if u.one("ExecStart") == "/usr/local/bin/kikuai serve" {
		stop, err := time.ParseDuration(u.one("TimeoutStopSec") + "s")
		if err != nil || stop < 25*time.Second+settling {
			fault("is killed before it has ended: TimeoutStopSec is %s", u.one("TimeoutStopSec"))
		}
		if u.one("User") == "" || u.one("DynamicUser") != "yes" {
			fault("servers must be one user, which systemd makes")
		}
	}
	return faults
}

// known are the program's settings.
func known(t *testing.T) []string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "deploy/.env.example"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, found := range regexp.MustCompile(`(?m)^#?([A-Z][A-Z0-9_]+)=`).FindAllStringSubmatch(string(raw), -1) {
		names = append(names, found[1])
	}
	return names
}

// TestUnits: systemd takes every unit without a word, each service is shut in, and each
// has what it names.
func TestUnits(t *testing.T) {
	texts := read(t)
	if said := analyze(t, texts); said != "" {
		t.Errorf("systemd says\n%s", said)
	}
	settings := known(t)
	for name, text := range texts {
		if name == "kikuai@.service" {
			text += providers(t)
		}
		for _, fault := range faults(parse(name, text), settings) {
			t.Error(fault)
		}
		if !strings.HasSuffix(name, ".service") {
			continue
		}
		out, err := exec.Command("systemd-analyze", "security", "--no-pager", "--offline=true", "--threshold="+exposureMost,
			filepath.Join(root, unitsDir, name)).CombinedOutput()
		if err != nil {
			t.Errorf("%s may do too much: %v\n%s", name, err, out)
		}
	}
}

// TestUnitFaults seeds each fault once.
func TestUnitFaults(t *testing.T) {
	texts, settings := read(t), known(t)
	for _, row := range []struct{ name, old, new, fault string }{
		{"kikuai@.service", "TimeoutStopSec=60", "TimeoutStopSec=30", "killed before"},
		{"kikuai@.service", "User=kikuai\n", "", "one user"},
		{"kikuai@.service", "KEY_PEPPER_FILE=", "KEY_PEPER_FILE=", "no setting KEY_PEPER_FILE"},
		{"kikuai@.service", "LoadCredential=key_pepper:/etc/kikuai/secrets/key_pepper\n", "", "not given"},
		{"kikuai@.service", "secrets/key_pepper", "secrets/webhook_secret", "taken from"},
		{"kikuai-wal.service", " PASSWORD_FILE=%d/backup_password", "", "does not use it"},
	} {
		text := strings.Replace(texts[row.name], row.old, row.new, 1)
		if text == texts[row.name] {
			t.Fatalf("%q is not in %s", row.old, row.name)
		}
		if found := faults(parse(row.name, text), settings); !slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, row.fault) }) {
			t.Errorf("%q is not seen as %q: %v", row.new, row.fault, found)
		}
	}
	for right, wrong := range map[string]string{
		"NoNewPrivileges=yes": "NoNewPrivilegs=yes", "ExecStart=/usr": "ExecStart=usr", "RestartSec=2": "RestartSec=soon",
	} {
		bad := maps.Clone(texts)
		bad["kikuai@.service"] = strings.Replace(texts["kikuai@.service"], right, wrong, 1)
		if bad["kikuai@.service"] == texts["kikuai@.service"] || analyze(t, bad) == "" {
			t.Errorf("systemd takes %s", wrong)
		}
	}
}
