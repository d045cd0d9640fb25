//go:build prove

package containers

import (
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
)

const (
	proofVersion = "v0.0.0-proof"
	nobody       = 65532 // as the image's USER
	imageMost    = 64 << 20
	stepIn       = 15 * time.Minute
	answersIn    = time.Minute
	endsIn       = 45 * time.Second // above DRAIN_TIMEOUT
	// authorities come from the image that the program is built in.
	authorities = "/etc/ssl/certs/ca-certificates.crt"
)

// builder takes the steps of a Dockerfile below a folder, each stage in a root of its own.
// Commands run on this machine, with its Go and Node in the place of the base images'.
type builder struct {
	t       *testing.T
	dir     string
	context buildContext
	args    map[string]string
}

// stage is where a stage's steps have come to.
type stage struct {
	*builder
	root    string
	workdir string
	env     map[string]string
}

func (b *builder) root(name string) string { return filepath.Join(b.dir, name) }

// build takes all steps of a stage.
func (b *builder) build(s *instructions.Stage) {
	b.t.Helper()
	at := &stage{b, b.root(s.Name), "/", map[string]string{}}
	if err := os.MkdirAll(at.root, 0o755); err != nil {
		b.t.Fatal(err)
	}
	for _, c := range s.Commands {
		began := time.Now()
		if err := at.take(c); err != nil {
			b.t.Fatalf("%s: %s: %v", s.Name, c, err)
		}
		if _, is := c.(*instructions.RunCommand); is {
			b.t.Logf("%s: %s (%s)", s.Name, strings.Join(strings.Fields(fmt.Sprint(c)), " "), time.Since(began).Round(time.Second))
		}
	}
}

func (s *stage) take(c instructions.Command) error {
	switch c := c.(type) {
	case *instructions.WorkdirCommand:
		s.workdir = s.path(c.Path)
		return os.MkdirAll(s.root+s.workdir, 0o755)
	case *instructions.EnvCommand:
		for _, pair := range c.Env {
			s.env[pair.Key] = pair.Value
		}
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			value, given := s.args[arg.Key]
			if !given && arg.Value != nil {
				value = *arg.Value
			}
			s.env[arg.Key] = value
		}
	case *instructions.RunCommand:
		return s.run(strings.Join(c.CmdLine, " "))
	case *instructions.CopyCommand:
		return s.copy(c)
	}
	return nil
}

// path is where a path of a step is, from the stage's root.
func (s *stage) path(path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(s.workdir, path)
}

func (s *stage) run(line string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), stepIn)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sh", "-ec", line)
	cmd.Dir, cmd.Env = s.root+s.workdir, os.Environ()
	for name, value := range s.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

func (s *stage) copy(c *instructions.CopyCommand) error {
	to := s.path(c.DestPath)
	intoFolder := strings.HasSuffix(c.DestPath, "/") || len(c.SourcePaths) > 1
	for _, source := range c.SourcePaths {
		var err error
		switch {
		case c.From == "":
			err = s.copyContext(source, to, intoFolder)
		case source == authorities:
			err = copyFile(authorities, filepath.Join(s.root, to, filepath.Base(source)), 0o444)
		default:
			err = copyTree(s.builder.root(c.From)+source, s.root+to)
		}
		if err != nil {
			return err
		}
	}
	if c.Chmod == "" {
		return nil
	}
	mode, err := strconv.ParseUint(c.Chmod, 8, 32)
	if err != nil {
		return err
	}
	return os.Chmod(s.root+to, fs.FileMode(mode))
}

// copyContext copies a file, or what is in a folder, of the checkout as far as it is sent
// to a builder.
func (s *stage) copyContext(source, to string, intoFolder bool) error {
	info, err := os.Stat(filepath.Join(root, source))
	if err != nil {
		return err
	}
	return s.context.files(source, func(path string) error {
		into := to
		if info.IsDir() {
			below, err := filepath.Rel(source, path)
			if err != nil {
				return err
			}
			into = filepath.Join(to, below)
		} else if intoFolder {
			into = filepath.Join(to, filepath.Base(path))
		}
		return copyFile(filepath.Join(root, path), filepath.Join(s.root, into), 0)
	})
}

// copyFile copies a file with its mode, or with another one.
func copyFile(from, to string, mode fs.FileMode) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	if mode == 0 {
		mode = info.Mode().Perm()
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	target, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return copyFile(path, filepath.Join(to, below), 0)
	})
}

// TestProveImage takes the Dockerfile's steps and runs what its last stage holds with
// nothing else on its disk, as the user of the image: the program is whole, knows its
// version, serves, tells its health and ends in order.
func TestProveImage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("changing the root of a process needs root: sudo make prove-image")
	}
	began := time.Now()
	b := &builder{t: t, dir: t.TempDir(), context: readContext(t), args: map[string]string{
		"VERSION": proofVersion, "TARGETOS": runtime.GOOS, "TARGETARCH": runtime.GOARCH,
	}}
	d := readDockerfile(t, serverFile)
	for i := range d.stages {
		b.build(&d.stages[i])
	}
	took := time.Since(began)

	image := b.root("kikuai")
	var files []string
	var size int64
	err := filepath.WalkDir(image, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		files, size = append(files, strings.TrimPrefix(path, image)), size+info.Size()
		return err
	})
	if err != nil || len(files) != 3 || size > imageMost {
		t.Errorf("the image holds %v, %d bytes, %v", files, size, err)
	}
	static(t, filepath.Join(image, "kikuai"))
	page := filepath.Join(b.root("front"), "usr/share/kikuai/webapp/index.html")
	for _, file := range []string{page, page + ".br", page + ".gz"} {
		if info, err := os.Stat(file); err != nil || info.Size() == 0 {
			t.Errorf("the front lacks part of the Mini App: %v", err)
		}
	}

	box := &box{t: t, root: image, env: map[string]string{"USER": "kikuai", "HOME": "/"}}
	if out, code := box.run("version"); code != 0 || out != "kikuai "+proofVersion+"\n" {
		t.Errorf("version: %d %q", code, out)
	}
	if out, code := box.run("serve"); code != 1 || !strings.Contains(out, "DATABASE_URL") {
		t.Errorf("serve without settings: %d %q", code, out)
	}
	box.serves()
	t.Logf("image: %d stages in %s; %d files, %.1f MB, run with nothing else as user %d: alive, not ready without its stores, ended in order",
		len(d.stages), took.Round(time.Second), len(files), float64(size)/(1<<20), nobody)
}

// static fails the test where a binary needs libraries or a loader.
func static(t *testing.T, path string) {
	t.Helper()
	file, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it needs a loader")
		}
	}
}

// box runs the image's program with nothing but the image's files.
type box struct {
	t    *testing.T
	root string
	env  map[string]string
}

func (b *box) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/kikuai", args...)
	cmd.Dir, cmd.Env = "/", []string{}
	for name, value := range b.env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Chroot: b.root, Credential: &syscall.Credential{Uid: nobody, Gid: nobody},
	}
	return cmd
}

func (b *box) run(args ...string) (out string, code int) {
	cmd := b.command(args...)
	raw, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		b.t.Fatal(err)
	}
	return string(raw), cmd.ProcessState.ExitCode()
}

// serves starts a server whose stores are away, asks for its health as the image's
// HEALTHCHECK does, and ends it.
func (b *box) serves() {
	addresses := make([]string, 3)
	for i := range addresses {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.t.Fatal(err)
		}
		addresses[i] = listener.Addr().String()
		_ = listener.Close()
	}
	maps.Copy(b.env, map[string]string{
		"KIKUAI_ENV": "testing", "LISTEN_ADDR": addresses[0], "OPS_ADDR": addresses[1],
		"DATABASE_URL": "postgres://u:p@" + addresses[2] + "/kikuai", "REDIS_URL": "redis://" + addresses[2] + "/0",
	})
	var log bytes.Buffer
	cmd := b.command("serve")
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = cmd.Process.Kill() })
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	out, code := "", -1
	for deadline := time.Now().Add(answersIn); code != 0 && time.Now().Before(deadline); {
		out, code = b.run("health")
	}
	if code != 0 || !strings.Contains(out, "alive") {
		b.t.Errorf("health: %d %q", code, out)
	}
	if out, code := b.run("health", "--ready"); code != 1 || !strings.Contains(out, "503") {
		b.t.Errorf("ready without its stores: %d %q", code, out)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.t.Fatal(err)
	}
	select {
	case err := <-ended:
		if err != nil {
			b.t.Errorf("it ended with %v\n%s", err, log.String())
		}
	case <-time.After(endsIn):
		_ = cmd.Process.Kill()
		<-ended
		b.t.Errorf("it did not end\n%s", log.String())
	}
}
