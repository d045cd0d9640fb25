package units

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// asked are the secrets that an operator brings.
var asked = []string{"telegram_bot_token", "openai_api_key"}

// prepared is /etc/kikuai as prepare.sh makes it for services, with what was asked for, and
// what the script said.
func prepared(t *testing.T) (dir, said string) {
	t.Helper()
	dir = t.TempDir()
	texts := func() map[string]string {
		texts := map[string]string{}
		paths, err := filepath.Glob(filepath.Join(dir, "*"))
		more, err2 := filepath.Glob(filepath.Join(dir, "secrets", "*"))
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		for _, path := range append(paths, more...) {
			raw, _ := os.ReadFile(path) // a folder has no text
			texts[path] = string(raw)
		}
		return texts
	}
	prepare := []string{"PREPARE_DIR=" + dir}
	said = script(t, prepare, "deploy/prepare.sh", "--name", "bot.example.org", "--services")
	first := texts()
	if again := script(t, prepare, "deploy/prepare.sh", "--name", "other.example.org", "--services"); strings.Contains(again, "made") || !maps.Equal(first, texts()) {
		t.Errorf("prepare.sh changed what was there: %s", again)
	} else if !strings.Contains(again, "has the name bot.example.org, not other.example.org; to change it, set PUBLIC_URL") {
		t.Errorf("prepare.sh keeps a name and does not say so: %s", again)
	}
	for _, name := range asked {
		if !strings.Contains(said, "/etc/kikuai/secrets/"+name) {
			t.Errorf("prepare.sh does not ask for %s: %s", name, said)
		}
		if err := os.WriteFile(filepath.Join(dir, "secrets", name), []byte("asked"), 0o400); err != nil {
			t.Fatal(err)
		}
	}
	return dir, said
}

// TestPrepareAsks: a host's name is not guessed, what the script does not know is answered
// with how it is called, and then nothing is made.
func TestPrepareAsks(t *testing.T) {
	dir := t.TempDir()
	prepare := func(args ...string) (said string, code int) {
		t.Helper()
		cmd := exec.Command(filepath.Join(root, "deploy/prepare.sh"), args...)
		cmd.Env = append(os.Environ(), "PREPARE_DIR="+dir)
		out, err := cmd.CombinedOutput()
		if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "--name is missing, and there is no deploy/.env"},
		{[]string{"--services"}, 2, "--name is missing, and there is no /etc/kikuai/kikuai.env"},
		{[]string{"--name"}, 2, "--name lacks the name"},
		{[]string{"--nom", "x"}, 2, "there is no option --nom"},
		{[]string{"--help"}, 0, "Makes what a host needs"},
	} {
		said, code := prepare(c.args...)
		if code != c.code || !strings.Contains(said, c.says) || !strings.Contains(said, "deploy/prepare.sh --name kikuai.example  ") || strings.Contains(said, "set -euo") {
			t.Errorf("%q: exit %d: %s", c.args, code, said)
		}
	}
	if made, err := os.ReadDir(dir); err != nil || len(made) > 0 {
		t.Errorf("made %v, %v", made, err)
	}
	if said, code := prepare("--name", "bot.example.org"); code != 0 {
		t.Fatalf("exit %d: %s", code, said)
	}
	if said, code := prepare(); code != 0 || strings.Contains(said, "kept") {
		t.Errorf("again without a name: exit %d: %s", code, said)
	}
	if said, code := prepare("--name", "other.example.org"); code != 0 || !strings.Contains(said, "deploy/.env has the name bot.example.org, not other.example.org; to change it, set SERVER_NAME") {
		t.Errorf("again with another name: exit %d: %s", code, said)
	}
}

// script runs one of the checkout's scripts to its end and returns what it said.
func script(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(path, args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

// TestPrepareServices: a host gets every secret that a unit is given, nobody else may read
// them, and Redis' settings are those of deploy/redis on this host alone.
func TestPrepareServices(t *testing.T) {
	dir, said := prepared(t)
	texts := read(t)
	texts["kikuai@.service"] += providers(t)
	for name, text := range texts {
		for _, value := range parse(name, text).values["LoadCredential"] {
			credential, _, _ := strings.Cut(value, ":")
			info, err := os.Stat(filepath.Join(dir, "secrets", credential))
			if err != nil || info.Size() == 0 || info.Mode().Perm() != 0o400 {
				t.Errorf("%s is given %s: %v, %v", name, credential, info, err)
			}
		}
	}
	if info, err := os.Stat(filepath.Join(dir, "secrets")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may enter the secrets: %v, %v", info, err)
	}
	paths, _ := filepath.Glob(filepath.Join(dir, "secrets", "*"))
	for _, path := range paths {
		if secret, err := os.ReadFile(path); err != nil || strings.Contains(said, string(secret)) {
			t.Errorf("prepare.sh says what is in %s, %v", filepath.Base(path), err)
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, "secrets/redis_password"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, "redis.conf"))
	if err != nil {
		t.Fatal(err)
	}
	last := map[string]string{} // of each directive the last one counts
	for line := range strings.Lines(string(raw)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		last[name] = value
	}
	for name, want := range map[string]string{
		"bind": "127.0.0.1", "maxmemory-policy": "noeviction", "appendonly": "yes", "requirepass": string(password), "dir": "/var/lib/redis",
	} {
		if last[name] != want {
			t.Errorf("redis.conf: %s %s", name, last[name])
		}
	}
}

// TestFrontOfServices: nginx is rendered from what prepare.sh wrote, before both servers.
func TestFrontOfServices(t *testing.T) {
	dir, _ := prepared(t)
	raw, err := os.ReadFile(filepath.Join(dir, "front.env"))
	if err != nil {
		t.Fatal(err)
	}
	script(t, strings.Split(strings.ReplaceAll(string(raw), `"`, ""), "\n"), "nginx/render", dir)
	upstream, err := os.ReadFile(filepath.Join(dir, "kikuai/upstream.conf"))
	if err != nil || !strings.Contains(string(upstream), "server 127.0.0.1:8081 ") || !strings.Contains(string(upstream), "server 127.0.0.1:8082 ") {
		t.Errorf("%v in\n%s", err, upstream)
	}
}

// TestCommandOfServices: a command is given the settings and the secrets of a server, as
// systemd gives them, and no others.
func TestCommandOfServices(t *testing.T) {
	dir, _ := prepared(t)
	file, err := os.OpenFile(filepath.Join(dir, "kikuai.env"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("\n#CHAT_MODEL=none\nSUPPORT_CONTACT=\"somebody here\"\nADMIN_TELEGRAM_IDS=1,2"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.WriteFile(filepath.Join(bin, "kikuai"), []byte("#!/bin/sh\necho \"$@\"\nenv\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	said := script(t, []string{"KIKUAI_DIR=" + dir, "REDIS_URL=redis://the-shells-own", "PATH=" + bin + ":" + os.Getenv("PATH")}, "deploy/systemd/command.sh", "admin", "audit")
	lines := strings.Split(said, "\n")
	if strings.Contains(said, "the-shells-own") { // beside its file it would be refused
		t.Errorf("given the shell's own setting, too:\n%s", said)
	}
	for _, want := range []string{"admin audit", "PUBLIC_URL=https://bot.example.org", "SUPPORT_CONTACT=somebody here", "ADMIN_TELEGRAM_IDS=1,2"} {
		if !slices.Contains(lines, want) {
			t.Errorf("no %q in\n%s", want, said)
		}
	}
	have, want := map[string]string{}, map[string]string{}
	for _, line := range lines {
		if name, value, _ := strings.Cut(line, "="); strings.HasSuffix(name, "_FILE") {
			have[name] = value
		}
	}
	server := parse("kikuai@.service", read(t)["kikuai@.service"]+providers(t))
	for name, value := range server.environment() {
		if credential, is := strings.CutPrefix(value, "%d/"); is {
			want[name] = filepath.Join(dir, "secrets", credential)
		}
	}
	if !maps.Equal(have, want) {
		t.Errorf("given %v, a server is given %v", have, want)
	}
}

// providers is the file that gives servers their providers' keys.
func providers(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, unitsDir, "providers.conf"))
	if err != nil {
		t.Fatal(err)
	}
	return "\n" + string(raw)
}
