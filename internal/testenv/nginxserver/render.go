package nginxserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/kikuai/kikuai/nginx"
)

// Reload renders the configuration anew, with the options as change leaves them, and has
// nginx take it over: answers under way stay with the workers that began them. It returns
// when new workers are there. change may be nil.
func (s *Server) Reload(ctx context.Context, change func(*Options)) error {
	if change != nil {
		change(&s.options)
	}
	if s.process == nil {
		return errors.New("nginx is stopped")
	}
	if err := s.render(ctx); err != nil {
		return err
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	old := s.workers()
	if err := s.process.Signal(syscall.SIGHUP); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, readyIn)
	defer cancel()
	return s.process.Await(ctx, readyPoll, func(context.Context) bool {
		now := s.workers()
		return slices.ContainsFunc(now, func(pid string) bool { return !slices.Contains(old, pid) }) &&
			!slices.ContainsFunc(now, func(pid string) bool { return slices.Contains(old, pid) && !leaving(pid) })
	})
}

// check is what nginx says of the configuration as it was rendered last.
func (s *Server) check(ctx context.Context) error {
	binary, err := find()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, binary, s.arguments("-t", "-q")...)
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nginx -t: %w\n%s", err, out)
	}
	return nil
}

// workers are the process ids of the master's children.
func (s *Server) workers() []string {
	pid := strconv.Itoa(s.process.PID())
	text, err := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	if err != nil {
		return nil
	}
	return strings.Fields(string(text))
}

// leaving tells whether a worker takes no more connections, or is gone.
func leaving(pid string) bool {
	name, err := os.ReadFile("/proc/" + pid + "/cmdline")
	return err != nil || len(name) == 0 || strings.Contains(string(name), "shutting down")
}

// render writes the configuration by the script that operators use.
func (s *Server) render(ctx context.Context) error {
	source := s.path("source")
	if err := errors.Join(os.RemoveAll(source), os.RemoveAll(s.Config())); err != nil {
		return err
	}
	if err := os.CopyFS(source, nginx.Files); err != nil {
		return fmt.Errorf("lay out nginx's templates: %w", err)
	}
	_, err := Render(ctx, source, s.Config(), s.variables())
	return err
}

// Render runs the script of the folder source with those variables and no others. It
// returns what the script had to say.
func Render(ctx context.Context, source, to string, variables map[string]string) (string, error) {
	cmd := exec.CommandContext(ctx, "/bin/sh", filepath.Join(source, "render"), to)
	cmd.WaitDelay = time.Second
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for name, value := range variables {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("render nginx's configuration: %w\n%s", err, out)
	}
	return string(out), nil
}

func (s *Server) variables() map[string]string {
	o := s.options
	telegram := o.Telegram
	if telegram == nil {
		telegram = []string{"127.0.0.0/8"}
	}
	webroot := o.Webroot
	if webroot == "" {
		webroot = s.path("none")
	}
	all := map[string]string{
		"PUBLIC_URL":         s.URL(),
		"FRONT_UPSTREAMS":    strings.Join(o.Upstreams, " "),
		"FRONT_HTTPS_LISTEN": s.Address(), "FRONT_HTTP_LISTEN": s.HTTPAddress(),
		"FRONT_TLS_CERTIFICATE": s.path("tls/fullchain.pem"), "FRONT_TLS_KEY": s.path("tls/privkey.pem"),
		"FRONT_ACME_ROOT": s.ACMERoot(), "FRONT_WEBROOT": absolute(webroot),
		"FRONT_TELEGRAM_NETWORKS": strings.Join(telegram, " "), "FRONT_REAL_IP_FROM": strings.Join(o.RealIPFrom, " "),
		"FRONT_RATE": number(o.Rate, unlimited), "FRONT_BURST": number(o.Burst, unlimited), "FRONT_CONNECTIONS": number(o.Connections, unlimitedOpen),
		"FRONT_USER": owner(), "FRONT_WORKERS": "2", "FRONT_PID": s.path("nginx.pid"), "FRONT_TEMP": s.path("temp"),
		"FRONT_ACCESS_LOG": s.path("access.log"), "FRONT_ERROR_LOG": s.path("error.log"),
	}
	for name, value := range o.Variables {
		all[name] = value
	}
	return all
}

func number(n, otherwise int) string {
	if n == 0 {
		n = otherwise
	}
	return strconv.Itoa(n)
}

// absolute is a path that nginx does not read as one below its own folder.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		return whole
	}
	return path
}

// owner is who the workers run as: who started them, so that they may read what tests write.
func owner() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "nobody"
}
