package llm

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	catalogueDir = "../../deploy/catalogue"
	npmIn        = 5 * time.Minute
)

var publishedOn = regexp.MustCompile(`published on (\d{4}-\d{2}-\d{2})`)

// The default catalogue is what its script makes of the locked prices and its own date.
func TestCatalogueBuild(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), npmIn)
	defer cancel()
	run := func(name string, args ...string) {
		t.Helper()
		command := exec.CommandContext(ctx, name, args...)
		command.Dir = catalogueDir
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v (node and npm are needed: apt-get install nodejs npm)\n%s", name, args, err, said)
		}
	}
	lock, err := os.Stat(filepath.Join(catalogueDir, "package-lock.json"))
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.Stat(filepath.Join(catalogueDir, "node_modules/.package-lock.json"))
	if err != nil || installed.ModTime().Before(lock.ModTime()) {
		run("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")
	}
	date := publishedOn.FindSubmatch(DefaultCatalogue)
	if date == nil {
		t.Fatal("the catalogue has no date")
	}
	made := t.TempDir()
	run("node", "build.mjs", "--date", string(date[1]), "--to", made)
	for _, name := range []string{"catalogue.yaml", "catalogue.NOTICE"} {
		got, err := os.ReadFile(filepath.Join(made, name))
		if err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), string(want)); diff != "" {
			t.Errorf("%s is not what make catalogue DATE=%s writes:\n%s", name, date[1], diff)
		}
	}
}
