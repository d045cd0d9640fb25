package containers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

// buildContext is what of the checkout is sent to a builder: all that .dockerignore leaves.
type buildContext struct {
	ignore *patternmatcher.PatternMatcher
}

func readContext(t *testing.T) buildContext {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, ".dockerignore"))
	if err != nil {
		t.Fatal(err)
	}
	patterns, err := ignorefile.ReadAll(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	ignore, err := patternmatcher.New(patterns)
	if err != nil {
		t.Fatal(err)
	}
	return buildContext{ignore}
}

// sent tells whether a file, by its path in the checkout, is part of the context.
func (c buildContext) sent(path string) (bool, error) {
	ignored, err := c.ignore.MatchesOrParentMatches(filepath.Clean(path))
	return !ignored, err
}

// files calls do with each file below a path that is part of the context.
func (c buildContext) files(below string, do func(path string) error) error {
	return filepath.WalkDir(filepath.Join(root, below), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		path, err = filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if name := entry.Name(); name == ".git" || name == "node_modules" || name == ".kikuai" {
				return filepath.SkipDir
			}
			return nil
		}
		sent, err := c.sent(path)
		if err != nil || !sent {
			return err
		}
		return do(path)
	})
}

var errNothing = errors.New("nothing of it is sent to the builder")

// reaches is nil where something of a path of the checkout is part of the context.
func (c buildContext) reaches(path string) error {
	found := errors.New("found")
	err := c.files(path, func(string) error { return found })
	switch {
	case errors.Is(err, found):
		return nil
	case err == nil:
		return errNothing
	default:
		return err
	}
}

// TestContext: whatever the program is compiled of is sent to the builder, and nothing
// that is secret, of this machine, or a test.
func TestContext(t *testing.T) {
	c := readContext(t)
	for _, path := range []string{
		".env", "deploy/.env", "deploy/kikuai.env", "deploy/secrets/key_pepper", "deploy/secrets/providers/openai",
		".git/config", ".kikuai/postgres/password", "bin/kikuai", "webapp/ui/node_modules/vite/package.json",
		"webapp/ui/dist/index.html", "cmd/kikuai/site_test.go", "billing/testdata/x", "deploy/postgres/restore.sh",
	} {
		if sent, err := c.sent(path); sent || err != nil {
			t.Errorf("%s is sent to the builder (%v)", path, err)
		}
	}
	cmd := exec.Command("go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Standard,Module", "./cmd/kikuai")
	cmd.Dir, cmd.Env = root, append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	files := []string{"go.mod", "go.sum", "webapp/ui/package-lock.json", "webapp/ui/.npmrc", "webapp/ui/build/finish.mjs", "gateway/openapi.yaml", "deploy/bench/serve.pgo"}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Standard            bool
			Module              *struct{ Main bool }
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if p.Standard || p.Module == nil || !p.Module.Main {
			continue
		}
		dir, err := filepath.Rel(top, p.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range append(p.GoFiles, p.EmbedFiles...) {
			if !strings.HasPrefix(file, "ui/dist/") || file == "ui/dist/.gitkeep" {
				files = append(files, filepath.Join(dir, file))
			}
		}
	}
	if len(files) < 200 {
		t.Fatalf("the program is made of %d files", len(files))
	}
	for _, path := range files {
		if sent, err := c.sent(path); !sent || err != nil {
			t.Errorf("%s is not sent to the builder (%v)", path, err)
		}
	}
	if err := c.reaches("no/such/path"); !errors.Is(err, fs.ErrNotExist) {
		t.Error(fmt.Errorf("a path that is not there: %w", err))
	}
}
