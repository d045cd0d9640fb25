package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// part is one thing of somebody else's that is shipped.
type part struct {
	ecosystem string // go or npm
	name      string
	version   string
	hash      string // hexadecimal; empty for Go's own library
	algorithm string // of the hash, by CycloneDX's name
	dir       string // where its files are
}

// purl is the part's address as package URLs are written.
func (p part) purl() string {
	kind, name := "golang", p.name
	if p.ecosystem == "npm" {
		kind, name = "npm", strings.Replace(name, "@", "%40", 1)
	}
	return fmt.Sprintf("pkg:%s/%s@%s", kind, name, strings.ReplaceAll(p.version, "+", "%2B"))
}

// target is what a release is built for.
type target struct{ os, arch string }

var targets = []target{{"linux", "amd64"}, {"linux", "arm64"}}

// shipped lists the parts of the program whose module is in root, by name.
func shipped(root string) ([]part, error) {
	modules, err := goModules(root)
	if err != nil {
		return nil, err
	}
	packages, err := npmPackages(root)
	if err != nil {
		return nil, err
	}
	all := append(modules, packages...)
	slices.SortFunc(all, func(a, b part) int {
		return cmp.Or(cmp.Compare(a.ecosystem, b.ecosystem), cmp.Compare(a.name, b.name), cmp.Compare(a.version, b.version))
	})
	return slices.Compact(all), nil
}

// goPackage is what go list says of one package.
type goPackage struct {
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
		Replace            *struct{ Path, Version, Dir string }
	}
}

// goModules are the modules with a package in the binary, on any target, and Go itself.
func goModules(root string) ([]part, error) {
	sums, err := checksums(filepath.Join(root, "go.sum"))
	if err != nil {
		return nil, err
	}
	version, err := output(root, nil, "go", "env", "GOVERSION", "GOROOT")
	if err != nil {
		return nil, err
	}
	release, goroot, _ := strings.Cut(strings.TrimSpace(string(version)), "\n")
	found := map[string]part{"std": {ecosystem: "go", name: "std", version: strings.TrimPrefix(release, "go"), dir: goroot}}
	for _, t := range targets {
		environment := []string{"CGO_ENABLED=0", "GOOS=" + t.os, "GOARCH=" + t.arch}
		list, err := output(root, environment, "go", "list", "-deps", "-json=Standard,Module", "./cmd/kikuai")
		if err != nil {
			return nil, err
		}
		for decoder := json.NewDecoder(bytes.NewReader(list)); ; {
			var p goPackage
			if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, fmt.Errorf("read go list: %w", err)
			}
			if p.Standard || p.Module == nil || p.Module.Main {
				continue
			}
			m := p.Module
			if m.Replace != nil {
				return nil, fmt.Errorf("%s is replaced, and a replacement has no checksum", m.Path)
			}
			hash, known := sums[m.Path+" "+m.Version]
			if !known {
				return nil, fmt.Errorf("%s %s is not in go.sum", m.Path, m.Version)
			}
			found[m.Path] = part{ecosystem: "go", name: m.Path, version: m.Version, hash: hash, algorithm: "SHA-256", dir: m.Dir}
		}
	}
	var all []part
	for _, p := range found {
		all = append(all, p)
	}
	return all, nil
}

// checksums reads go.sum: by module and version, the hash in hexadecimal.
func checksums(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) != 3 || strings.HasSuffix(fields[1], "/go.mod") {
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fields[2], "h1:"))
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", file, fields[0], err)
		}
		sums[fields[0]+" "+fields[1]] = hex.EncodeToString(raw)
	}
	return sums, nil
}

// lockFile is package-lock.json.
type lockFile struct {
	LockfileVersion int
	Packages        map[string]lockedPackage
}

type lockedPackage struct {
	Version   string
	Integrity string
	Dev       bool
	Link      bool
}

// builtIn are npm packages that leave data in the program, by the lock that names them.
var builtIn = map[string]string{"deploy/catalogue": "@pydantic/genai-prices"}

// npmPackages are those that are no tools: the Mini App's, and data's.
func npmPackages(root string) ([]part, error) {
	app, err := locked(root, "webapp/ui", func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	for dir, wanted := range builtIn {
		data, err := locked(root, dir, func(name string) bool { return name == wanted })
		if err != nil {
			return nil, err
		}
		app = append(app, data...)
	}
	return app, nil
}

func locked(root, dir string, wanted func(name string) bool) ([]part, error) {
	lock, err := readLock(filepath.Join(root, dir, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	var parts []part
	for path, p := range lock.Packages {
		name := packageName(path)
		if path == "" || p.Dev || !wanted(name) {
			continue
		}
		algorithm, hash, err := integrity(p.Integrity)
		if err != nil {
			return nil, fmt.Errorf("%s: %s: %w", dir, path, err)
		}
		parts = append(parts, part{
			ecosystem: "npm", name: name, version: p.Version, hash: hash, algorithm: algorithm, dir: filepath.Join(root, dir, path),
		})
	}
	if len(parts) == 0 {
		return nil, fmt.Errorf("%s/package-lock.json has none of what is shipped", dir)
	}
	return parts, nil
}

// packageName is what follows the last node_modules/ of a lock's path.
func packageName(path string) string {
	const folder = "node_modules/"
	if at := strings.LastIndex(path, folder); at >= 0 {
		return path[at+len(folder):]
	}
	return path
}

func readLock(file string) (lockFile, error) {
	var lock lockFile
	text, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(text, &lock)
	}
	if err != nil {
		return lock, fmt.Errorf("read %s: %w", file, err)
	}
	return lock, nil
}

// integrity reads what npm writes as sha512-<base64>.
func integrity(text string) (algorithm, hash string, err error) {
	encoded, is := strings.CutPrefix(text, "sha512-")
	if !is {
		return "", "", fmt.Errorf("its integrity is %q, not a SHA-512", text)
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return "", "", err
	}
	return "SHA-512", hex.EncodeToString(raw), nil
}

func output(dir string, environment []string, name string, args ...string) ([]byte, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), environment...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, stderr.String())
	}
	return out, nil
}
