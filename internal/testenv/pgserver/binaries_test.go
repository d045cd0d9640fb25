package pgserver

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFromNPMSaysWhatIsMissing(t *testing.T) {
	tools := t.TempDir()
	t.Setenv("PATH", tools)
	for _, tool := range []string{"node", "npm"} {
		_, err := FromNPM(context.Background(), openDir(t))
		if err == nil || !strings.HasPrefix(err.Error(), tool+" is not installed") || !strings.Contains(err.Error(), "install Node") {
			t.Errorf("without %s: %v", tool, err)
		}
		if err := os.WriteFile(filepath.Join(tools, tool), []byte("#!/bin/sh\necho no network; exit 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	_, err := FromNPM(context.Background(), openDir(t))
	if err == nil || !strings.Contains(err.Error(), "is the network there?") {
		t.Errorf("with an npm that fails: %v", err)
	}
}

func TestNPMPlatform(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"linux", "amd64"}: "linux-x64", {"linux", "arm64"}: "linux-arm64",
		{"darwin", "arm64"}: "darwin-arm64", {"darwin", "amd64"}: "darwin-x64",
		{"windows", "amd64"}: "", {"linux", "riscv64"}: "",
	} {
		got, err := npmPlatform(in[0], in[1])
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%v: %q, %v", in, got, err)
		}
	}
}

func TestLinkLibraries(t *testing.T) {
	pkg := t.TempDir()
	lib := filepath.Join(pkg, "native", "lib")
	if err := os.MkdirAll(lib, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list := filepath.Join(pkg, "native", "pg-symlinks.json")
	write(filepath.Join(lib, "libx.so.1.2"), "x")
	write(list, `[{"source":"native/lib/libx.so.1.2","target":"native/lib/libx.so"}]`)
	for range 2 { // the second time finds the link in place
		if err := linkLibraries(pkg); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(filepath.Join(lib, "libx.so")); err != nil || string(got) != "x" {
		t.Fatalf("through the link: %q, %v", got, err)
	}
	write(list, `[{"source":"native/lib/libx.so.1.2","target":"../../outside"}]`)
	if err := linkLibraries(pkg); err == nil {
		t.Error("a link that leads outside was made")
	}

	if err := openToOthers(pkg); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{lib: 0o755, filepath.Join(lib, "libx.so.1.2"): 0o644} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
}

func TestSystemPrefersTheHighestVersion(t *testing.T) {
	root := t.TempDir()
	install := func(dir string, names ...string) string {
		t.Helper()
		dir = filepath.Join(root, dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	install("9/bin", "initdb", "postgres")
	want := install("15/bin", "initdb", "postgres")
	install("17/bin", "psql") // clients alone
	inPath := install("wrappers", "initdb", "postgres")
	t.Setenv("PATH", inPath)
	if got, err := system(filepath.Join(root, "*", "bin")); err != nil || got != want {
		t.Errorf("chose %s (%v), want %s", got, err, want)
	}
	if got, err := system(filepath.Join(root, "none", "bin")); err != nil || filepath.Base(got) != "wrappers" {
		t.Errorf("without a system's directory: %s, %v", got, err)
	}
	t.Setenv("PATH", "")
	if _, err := system(filepath.Join(root, "none", "bin")); !errors.Is(err, ErrMissing) {
		t.Errorf("with nothing installed: %v", err)
	}
}
