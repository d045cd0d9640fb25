package nginx_test

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/internal/testenv/nginxserver"
	"github.com/kikuai/kikuai/nginx"
)

// rendered is the configuration for those variables, by file, with what the script said.
func rendered(t *testing.T, variables map[string]string) (files map[string]string, said string, err error) {
	t.Helper()
	to := t.TempDir()
	if said, err = nginxserver.Render(t.Context(), ".", to, variables); err != nil {
		return nil, said, err
	}
	files = map[string]string{}
	return files, said, filepath.WalkDir(to, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, to+"/")] = string(text)
		return err
	})
}

var variable = regexp.MustCompile(`\$\{?(FRONT_[A-Z_]+)`)

// TestRender: with its defaults the configuration is whole, each variable of the script is
// used, and the README names those that may be set.
func TestRender(t *testing.T) {
	files, said, err := rendered(t, map[string]string{"PUBLIC_URL": "https://kikuai.example"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(said, "/etc/letsencrypt/live/kikuai.example/fullchain.pem") || !strings.Contains(files["nginx.conf"], "include kikuai/bootstrap.conf;") {
		t.Errorf("a certificate that is missing is no matter: %s", said)
	}
	for name, text := range files {
		if at := variable.FindString(text); at != "" {
			t.Errorf("%s has %s in it", name, at)
		}
	}
	for file, want := range map[string][]string{
		"kikuai/site.conf":     {"listen 443 ssl http2 default_server; listen [::]:443 ssl http2 default_server;", "server_name kikuai.example;", "allow 149.154.160.0/20; allow 91.108.4.0/22;", "return 308 https://kikuai.example$request_uri;"},
		"kikuai/upstream.conf": {"server 127.0.0.1:8080 max_fails=2 fail_timeout=2s;"},
		"kikuai/answer.conf":   {"connect-src 'self' wss://kikuai.example;"},
		"kikuai/proxy.conf":    {"proxy_set_header Host kikuai.example;"},
	} {
		for _, line := range want {
			if !strings.Contains(files[file], line) {
				t.Errorf("%s has no %q", file, line)
			}
		}
	}
	used := map[string]bool{}
	err = fs.WalkDir(nginx.Files, "templates", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(nginx.Files, path)
		for _, match := range variable.FindAllStringSubmatch(string(text), -1) {
			used[match[1]] = true
		}
		return err
	})
	script, readErr := os.ReadFile("variables.envsh")
	if err != nil || readErr != nil {
		t.Fatal(err, readErr)
	}
	_, exports, _ := strings.Cut(string(script), "\nexport ")
	exported := regexp.MustCompile(`FRONT_[A-Z_]+`).FindAllString(exports, -1)
	slices.Sort(exported)
	if want := slices.Sorted(maps.Keys(used)); !slices.Equal(exported, want) {
		t.Errorf("the script exports %q, the templates use %q", exported, want)
	}
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range regexp.MustCompile(`(?m)^: "\$\{(FRONT_[A-Z_]+):?=`).FindAllStringSubmatch(string(script), -1) {
		if !strings.Contains(string(readme), "`"+match[1]+"`") {
			t.Errorf("the README does not name %s", match[1])
		}
	}
}

// TestRenderRefuses: a variable that cannot be meant is refused in a sentence, and nothing
// of it becomes a directive.
func TestRenderRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		variables map[string]string
		sentence  string
	}{
		"no address":      {map[string]string{}, "PUBLIC_URL is not set"},
		"plain HTTP":      {map[string]string{"PUBLIC_URL": "http://kikuai.example"}, "must begin with https://"},
		"no host":         {map[string]string{"PUBLIC_URL": "https:///x"}, "is no host name"},
		"a directive":     {map[string]string{"PUBLIC_URL": "https://kikuai.example;evil"}, "is no host name"},
		"no upstream":     {map[string]string{"PUBLIC_URL": "https://a.example", "FRONT_UPSTREAMS": ","}, "names no server"},
		"a list's end":    {map[string]string{"PUBLIC_URL": "https://a.example", "FRONT_UPSTREAMS": "a:1;evil"}, "may not stand in a list"},
		"a list's braces": {map[string]string{"PUBLIC_URL": "https://a.example", "FRONT_TELEGRAM_NETWORKS": "all}"}, "may not stand in a list"},
		"a rate of zero":  {map[string]string{"PUBLIC_URL": "https://a.example", "FRONT_RATE": "0"}, "FRONT_RATE is '0'"},
		"a rate in words": {map[string]string{"PUBLIC_URL": "https://a.example", "FRONT_BURST": "many"}, "FRONT_BURST is 'many'"},
	} {
		if _, said, err := rendered(t, c.variables); err == nil || !strings.Contains(said, c.sentence) || strings.Count(said, "\n") != 1 {
			t.Errorf("%s: %v\n%s", name, err, said)
		}
	}
}

// TestOnePlace: what nginx inherits only where nothing of the kind stands, stands in one
// place; and long waits and large bodies are for calls alone.
func TestOnePlace(t *testing.T) {
	files, _, err := rendered(t, map[string]string{"PUBLIC_URL": "https://kikuai.example"})
	if err != nil {
		t.Fatal(err)
	}
	where := map[string][]string{}
	for name, text := range files {
		for line := range strings.Lines(text) {
			if words := strings.Fields(line); len(words) > 0 && !slices.Contains(where[words[0]], name) {
				where[words[0]] = append(where[words[0]], name)
			}
		}
	}
	for directive, want := range map[string][]string{
		"add_header":        {"kikuai/bootstrap.conf", "kikuai/headers.conf"},
		"proxy_set_header":  {"kikuai/proxy.conf"},
		"proxy_buffering":   {"kikuai/call.conf"},
		"proxy_hide_header": nil, "proxy_intercept_errors": nil, "proxy_ignore_client_abort": nil,
	} {
		got := where[directive]
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s stands in %q, want %q", directive, got, want)
		}
	}
	if n := strings.Count(files["kikuai/site.conf"], "include kikuai/headers.conf;"); n != 1 {
		t.Errorf("the headers stand %d times", n)
	}
	for file, text := range files {
		if long := strings.Contains(text, "proxy_read_timeout 11m;"); long != (file == "kikuai/call.conf") {
			t.Errorf("%s: waits long is %v", file, long)
		}
	}
}

// TestRoutes: every address that the API's description names reaches a server.
func TestRoutes(t *testing.T) {
	text, err := os.ReadFile("../gateway/openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var api struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	if err := yaml.Unmarshal(text, &api); err != nil || len(api.Paths) < 20 {
		t.Fatalf("%d paths, %v", len(api.Paths), err)
	}
	r := newRig(t, testenv.NginxOptions{}, nil)
	parameter := regexp.MustCompile(`\{[^}]*\}`)
	for path, operations := range api.Paths {
		if path == "/readyz" || path == "/webapp" {
			continue // for the inside; a redirect of the front's own
		}
		for method := range operations {
			if method = strings.ToUpper(method); !slices.Contains([]string{"GET", "POST", "PATCH", "DELETE", "HEAD"}, method) {
				continue
			}
			if a := r.do(method, parameter.ReplaceAllString(path, "a%2Fb"), ""); a.here() {
				t.Errorf("%s %s is answered %d by the front", method, path, a.status)
			}
		}
	}
}
