package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// workflow is as much of a GitHub workflow as is checked here.
type workflow struct {
	On          any
	Permissions map[string]string
	Jobs        map[string]struct {
		Uses        string
		Needs       any
		Container   struct{ Image, Options string }
		Timeout     int `yaml:"timeout-minutes"`
		Permissions map[string]string
		Steps       []struct {
			Uses, Run string
			With      map[string]any
			Env       map[string]string
		}
	}
}

func readWorkflow(text []byte) (workflow, error) {
	var w workflow
	err := yaml.Unmarshal(text, &w)
	return w, err
}

// runs lists what the steps of a job run.
func (w workflow) runs(job string) (commands []string) {
	for _, step := range w.Jobs[job].Steps {
		commands = append(commands, step.Run)
	}
	return commands
}

var pinnedAction = regexp.MustCompile(`^(actions/[a-z-]+@v[0-9]+|[a-zA-Z0-9-]+/[a-zA-Z0-9./_-]+@[0-9a-f]{40})$`)

// workflowFaults: what any workflow must keep to.
func workflowFaults(text []byte) (faults []string) {
	w, err := readWorkflow(text)
	if err != nil {
		return []string{err.Error()}
	}
	if !maps.Equal(w.Permissions, map[string]string{"contents": "read"}) {
		faults = append(faults, fmt.Sprintf("every job may do %v, and should read the sources", w.Permissions))
	}
	if strings.Contains(string(text), "pull_request_target") || strings.Contains(string(text), "secrets.") {
		faults = append(faults, "a stranger's change may run beside secrets")
	}
	if regexp.MustCompile(`run:.*\$\{\{ *github\.(event|head_ref)`).Match(text) {
		faults = append(faults, "a stranger's text becomes a command")
	}
	for name, job := range w.Jobs {
		if job.Uses == "" && (job.Timeout < 1 || job.Timeout > 120) {
			faults = append(faults, name+" has no time limit")
		}
		for _, step := range job.Steps {
			if step.Uses != "" && !pinnedAction.MatchString(step.Uses) {
				faults = append(faults, fmt.Sprintf("%s uses %s: name a version of GitHub's own actions, or a commit of another's", name, step.Uses))
			}
			if strings.HasPrefix(step.Uses, "actions/checkout@") && step.With["persist-credentials"] != false {
				faults = append(faults, name+" leaves a token where what it builds can read it")
			}
		}
	}
	return faults
}

func TestWorkflows(t *testing.T) {
	all, err := filepath.Glob(root + "/.github/workflows/*.yml")
	if err != nil || len(all) != 2 {
		t.Fatalf("%d workflows: %v", len(all), err)
	}
	dockerfile := read(t, "deploy/Dockerfile")
	for _, file := range all {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, fault := range workflowFaults(text) {
			t.Errorf("%s: %s", filepath.Base(file), fault)
		}
		for _, version := range regexp.MustCompile(`(?:go-version: |node-version: |golang:)([0-9.]+)`).FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(dockerfile, ":"+version[1]+"-") {
				t.Errorf("%s uses %s, and deploy/Dockerfile another", filepath.Base(file), version[0])
			}
		}
	}
	ci, err := readWorkflow([]byte(read(t, ".github/workflows/ci.yml")))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(ci.runs("test"), ".ci/run") || !strings.Contains(ci.Jobs["test"].Container.Image, "bookworm") {
		t.Error("ci.yml does not run .ci/run on a Debian 12")
	}
	for _, target := range []string{"make verify", "make lint", "make vulnerabilities"} {
		if !slices.Contains(ci.runs("lint"), target) {
			t.Errorf("ci.yml does not run %s", target)
		}
	}
	for _, on := range []string{"push", "pull_request", "workflow_call", "schedule"} {
		if events, is := ci.On.(map[string]any); !is || !hasKey(events, on) {
			t.Errorf("ci.yml does not run on %s", on)
		}
	}
}

func hasKey(m map[string]any, key string) bool { _, has := m[key]; return has }

// TestRelease: nothing is released that CI has not seen, and the binaries are built with
// the image's flags.
func TestRelease(t *testing.T) {
	release, err := readWorkflow([]byte(read(t, ".github/workflows/release.yml")))
	if err != nil {
		t.Fatal(err)
	}
	if release.Jobs["ci"].Uses != "./.github/workflows/ci.yml" || release.Jobs["binaries"].Needs != "ci" || release.Jobs["images"].Needs != "ci" {
		t.Error("a release does not wait for CI")
	}
	if commands := strings.Join(release.runs("binaries"), "\n"); !strings.Contains(commands, "make reproducible") || !strings.Contains(commands, ".ci/release out") {
		t.Errorf("a release runs %s", commands)
	}
	for _, flags := range []string{"-trimpath -buildvcs=false -pgo=deploy/bench/serve.pgo", `-ldflags "-s -w -X main.release=$`, "CGO_ENABLED=0"} {
		for _, file := range []string{".ci/release", "deploy/Dockerfile"} {
			if !strings.Contains(read(t, file), flags) {
				t.Errorf("%s does not build with %s", file, flags)
			}
		}
	}
	if !strings.Contains(read(t, ".github/workflows/release.yml"), "--target \"$target\" --build-arg \"VERSION=$GITHUB_REF_NAME\"") {
		t.Error("images do not know their version")
	}
}

// TestWorkflowFaults: what TestWorkflows is there to see, it sees.
func TestWorkflowFaults(t *testing.T) {
	const fine = "permissions: {contents: read}\njobs:\n  a:\n    timeout-minutes: 5\n    steps:\n" +
		"      - uses: actions/checkout@v6\n        with: {persist-credentials: false}\n"
	for _, row := range []struct{ from, to, want string }{
		{"", "", ""},
		{"contents: read", "contents: write", "should read the sources"},
		{"permissions:", "permission:", "should read the sources"},
		{"timeout-minutes: 5", "name: b", "no time limit"},
		{"checkout@v6", "checkout@main", "name a version"},
		{"actions/checkout@v6", "somebody/checkout@v6", "name a version"},
		{"persist-credentials: false", "fetch-depth: 0", "leaves a token"},
		{"jobs:", "on: pull_request_target\njobs:", "beside secrets"},
		{"        with:", "      - run: echo ${{ github.event.issue.title }}\n        with:", "becomes a command"},
	} {
		faults := strings.Join(workflowFaults([]byte(strings.Replace(fine, row.from, row.to, 1))), "\n")
		if (faults == "") != (row.want == "") || !strings.Contains(faults, row.want) {
			t.Errorf("%q for %q: %q, want %q", row.to, row.from, faults, row.want)
		}
	}
}

// TestDependabot looks after every module, lock, image and action that there is.
func TestDependabot(t *testing.T) {
	var d struct {
		Updates []struct {
			Ecosystem   string `yaml:"package-ecosystem"`
			Directories []string
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, ".github/dependabot.yml")), &d); err != nil {
		t.Fatal(err)
	}
	for ecosystem, all := range map[string][]string{"gomod": modules(t), "npm": files(t, "package-lock.json"), "docker": files(t, "Dockerfile")} {
		var want, have []string
		for _, file := range all {
			want = append(want, "/"+strings.TrimPrefix(filepath.Dir(strings.TrimPrefix(file, root+"/")), "."))
		}
		for _, u := range d.Updates {
			if u.Ecosystem == ecosystem {
				have = append(have, u.Directories...)
			}
		}
		slices.Sort(want)
		slices.Sort(have)
		everywhere := slices.Equal(have, []string{"**/*"})
		if len(want) == 0 || !everywhere && !slices.Equal(have, want) {
			t.Errorf("%s: looked after %q, and there are %q", ecosystem, have, want)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
