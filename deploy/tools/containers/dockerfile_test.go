package containers

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

const (
	// root is the checkout, which is the context of every build.
	root        = "../../.."
	serverFile  = "deploy/Dockerfile"
	bouncerFile = "deploy/pgbouncer/Dockerfile"
)

// rooted are the images whose first process is root, each with the reason.
var rooted = map[string]string{
	"front": "nginx's master binds the ports below 1024 and reads the certificate's key; its workers are nobody",
}

// dockerfile is one as its parser read it.
type dockerfile struct {
	text   string
	args   []instructions.ArgCommand // before the first stage
	stages []instructions.Stage
}

func readDockerfile(t *testing.T, name string) dockerfile {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	d, err := parseDockerfile(raw)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return d
}

func parseDockerfile(raw []byte) (dockerfile, error) {
	parsed, err := parser.Parse(bytes.NewReader(raw))
	if err != nil {
		return dockerfile{}, err
	}
	if len(parsed.Warnings) > 0 {
		return dockerfile{}, fmt.Errorf("the parser warns: %s", parsed.Warnings[0].Short)
	}
	stages, args, err := instructions.Parse(parsed.AST, nil)
	return dockerfile{string(raw), args, stages}, err
}

// stage is the one of that name.
func (d dockerfile) stage(name string) *instructions.Stage {
	for i := range d.stages {
		if d.stages[i].Name == name {
			return &d.stages[i]
		}
	}
	return nil
}

// finals are the stages that no other one takes anything from: the images.
func (d dockerfile) finals() (names []string) {
	used := map[string]bool{}
	for _, s := range d.stages {
		used[s.BaseName] = true
		for _, c := range s.Commands {
			if c, is := c.(*instructions.CopyCommand); is {
				used[c.From] = true
			}
		}
	}
	for _, s := range d.stages {
		if !used[s.Name] {
			names = append(names, s.Name)
		}
	}
	return names
}

var (
	// pinned is an image with a version of at least two numbers, as in nginx:1.28.0-bookworm.
	pinned = regexp.MustCompile(`^[a-z0-9./-]+:v?[0-9]+\.[0-9][A-Za-z0-9._-]*(@sha256:[0-9a-f]{64})?$`)
	userID = regexp.MustCompile(`^[1-9][0-9]*(:[1-9][0-9]*)?$`)
	secret = regexp.MustCompile(`(?i)(PASSWORD|SECRET|TOKEN|_KEY|PEPPER)`)
)

// faults are what is wrong with a Dockerfile. reaches tells whether a path of the context
// is sent to the builder.
func (d dockerfile) faults(reaches func(path string) error) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	earlier := map[string]bool{"scratch": true}
	for _, s := range d.stages {
		if !earlier[s.BaseName] && !pinned.MatchString(s.BaseName) {
			fault("%s begins with %s: name its version", s.Name, s.BaseName)
		}
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.AddCommand:
				fault("%s: ADD fetches and unpacks: use COPY", s.Name)
			case *instructions.CopyCommand:
				if c.From != "" && !earlier[c.From] {
					fault("%s copies from %s, which is no stage before it", s.Name, c.From)
				}
				if c.From == "" {
					for _, source := range c.SourcePaths {
						if err := reaches(source); err != nil {
							fault("%s copies %s: %v", s.Name, source, err)
						}
					}
				}
			case *instructions.RunCommand:
				line := strings.Join(c.CmdLine, " ")
				if strings.Contains(line, "apt-get install") &&
					(!strings.Contains(line, "--no-install-recommends") || !strings.Contains(line, "rm -rf /var/lib/apt/lists")) {
					fault("%s: apt-get installs what was not asked for, or leaves its lists", s.Name)
				}
			case *instructions.EnvCommand:
				for _, pair := range c.Env {
					if secret.MatchString(pair.Key) {
						fault("%s: %s would stay in the image", s.Name, pair.Key)
					}
				}
			case *instructions.ArgCommand:
				for _, arg := range c.Args {
					if secret.MatchString(arg.Key) {
						fault("%s: %s would stay in the image's history", s.Name, arg.Key)
					}
				}
			}
		}
		earlier[s.Name] = true
	}
	for _, name := range d.finals() {
		faults = append(faults, imageFaults(d.stage(name))...)
	}
	return faults
}

// imageFaults are those of a stage that is run.
func imageFaults(s *instructions.Stage) (faults []string) {
	var user string
	var healthy bool
	for _, c := range s.Commands {
		switch c := c.(type) {
		case *instructions.UserCommand:
			user = c.User
		case *instructions.HealthCheckCommand:
			healthy = len(c.Health.Test) > 1 && c.Health.Test[0] == "CMD"
		case *instructions.CmdCommand:
			if c.PrependShell {
				faults = append(faults, s.Name+": CMD goes through a shell, which keeps signals to itself")
			}
		case *instructions.EntrypointCommand:
			if c.PrependShell {
				faults = append(faults, s.Name+": ENTRYPOINT goes through a shell, which keeps signals to itself")
			}
		}
	}
	if rooted[s.Name] == "" && !userID.MatchString(user) {
		faults = append(faults, fmt.Sprintf("%s runs as %q: name a user by number, not root", s.Name, user))
	}
	if !healthy {
		faults = append(faults, s.Name+" has no HEALTHCHECK that is a command of its own")
	}
	return faults
}

// TestDockerfiles: both are what their parser takes, and keep the rules.
func TestDockerfiles(t *testing.T) {
	ctx := readContext(t)
	for name, images := range map[string][]string{serverFile: {"front", "kikuai"}, bouncerFile: {"pgbouncer"}} {
		d := readDockerfile(t, name)
		if got := slices.Sorted(slices.Values(d.finals())); !slices.Equal(got, images) {
			t.Errorf("%s makes %v, want %v", name, got, images)
		}
		for _, fault := range d.faults(ctx.reaches) {
			t.Errorf("%s: %s", name, fault)
		}
	}
	server := readDockerfile(t, serverFile)
	if server.stage("kikuai").BaseName != "scratch" {
		t.Error("kikuai's image holds more than kikuai")
	}
	goMod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^(?:go|toolchain go) ?([0-9.]+)$`).FindAllStringSubmatch(string(goMod), -1)
	if len(version) == 0 {
		t.Fatal("go.mod names no version")
	}
	least := version[len(version)-1][1]
	minor := strings.Join(strings.Split(least, ".")[:2], ".")
	if base := server.stage("build").BaseName; !strings.HasPrefix(base, "golang:"+minor+".") {
		t.Errorf("go.mod is of Go %s, and the image is built by %s", least, base)
	}
}

// TestDockerfileFaults seeds each fault once.
func TestDockerfileFaults(t *testing.T) {
	ctx := readContext(t)
	good := readDockerfile(t, serverFile).text
	for _, row := range []struct{ old, new, fault string }{
		{"golang:1.26.8-bookworm", "golang:latest", "name its version"},
		{"node:20.20.2-bookworm-slim", "node:20", "name its version"},
		{"USER 65532:65532", "USER root", "not root"},
		{"USER 65532:65532\n", "", "not root"},
		{"COPY go.mod go.sum ./", "ADD go.mod go.sum ./", "use COPY"},
		{"COPY go.mod go.sum ./", "COPY go.mod go.sums ./", "go.sums"},
		{"COPY go.mod go.sum ./", "COPY go.mod deploy/secrets ./", "deploy/secrets"},
		{"COPY --from=build --chmod", "COPY --from=built --chmod", "no stage before it"},
		{"ENTRYPOINT [\"/kikuai\"]", "ENTRYPOINT /kikuai", "through a shell"},
		{"CMD [\"serve\"]", "CMD serve", "through a shell"},
		{"CMD [\"/kikuai\", \"health\"]", "NONE", "no HEALTHCHECK"},
		{"ENV USER=kikuai", "ENV KEY_PEPPER=x USER=kikuai", "stay in the image"},
		{"ARG TARGETOS", "ARG NPM_TOKEN\nARG TARGETOS", "history"},
		{"RUN --mount=type=cache,target=/root/.npm npm", "RUN apt-get update && apt-get install -y npm && npm", "apt-get installs"},
	} {
		bad := strings.Replace(good, row.old, row.new, 1)
		if row.fault == "no HEALTHCHECK" {
			bad = regexp.MustCompile(`(?m)^HEALTHCHECK .*kikuai.*$`).ReplaceAllString(good, "HEALTHCHECK NONE")
		}
		if bad == good {
			t.Fatalf("%q is not in the Dockerfile", row.old)
		}
		d, err := parseDockerfile([]byte(bad))
		if err != nil {
			t.Errorf("%q: %v", row.new, err)
			continue
		}
		if faults := d.faults(ctx.reaches); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, row.fault) }) {
			t.Errorf("%q is not seen as %q: %v", row.new, row.fault, faults)
		}
	}
}
