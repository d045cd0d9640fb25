//go:build prove

package charts

import (
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubernetes is the version that Helm is to render for: built from source it knows none.
const kubernetes = "1.34.0"

// helm runs the pinned Helm.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"tool", "helm"}, append(args, "--kube-version", kubernetes)...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if err != nil {
		return errs.String(), err
	}
	return out.String(), nil
}

// TestProveHelm: Helm itself makes of every set of values what these tests looked at, byte
// by byte, refuses with the same sentences, and finds nothing to lint.
func TestProveHelm(t *testing.T) {
	same, said := 0, 0
	for _, set := range sets(t, values) {
		file := filepath.Join(values, set+".yaml")
		files, err := render(file)
		if err != nil {
			t.Fatal(err)
		}
		text, err := helm(t, "template", release, chartDir, "--namespace", namespace, "--values", file)
		if err != nil {
			t.Fatalf("%s: %v\n%s", set, err, text)
		}
		theirs := map[string]bool{}
		for _, document := range documentEnd.Split(text, -1) {
			_, body, _ := strings.Cut(strings.TrimSpace(document), "\n") // without the line # Source: …
			theirs[strings.TrimSpace(body)] = true
		}
		for _, document := range documents(files) {
			same++
			if !theirs[strings.TrimSpace(document)] {
				t.Errorf("%s: Helm does not make\n%s", set, document)
			}
		}
		if out, err := helm(t, "lint", "--strict", chartDir, "--values", file); err != nil {
			t.Errorf("%s: %v\n%s", set, err, out)
		}
	}
	for _, set := range sets(t, refused) {
		file := filepath.Join(refused, set+".yaml")
		_, err := render(file)
		text, refusal := helm(t, "template", release, chartDir, "--values", file)
		if err == nil || refusal == nil {
			t.Fatalf("%s: rendered: %v, %v", set, err, refusal)
		}
		for _, sentence := range quoted(t, file) {
			said++
			if !strings.Contains(text, sentence) {
				t.Errorf("%s: Helm does not say %q but %s", set, sentence, text)
			}
		}
	}
	t.Logf("helm: %d objects the same, %d sentences of refusal the same, nothing to lint", same, said)
}
