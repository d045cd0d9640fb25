package containers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

const (
	composeFile = "deploy/compose.yaml"
	settingsIn  = "/run/secrets/"
	// settling is what a server does after its drain: it settles, records and closes.
	settling = 15 * time.Second
)

// loadCompose reads compose.yaml as Compose does, with the variables of
// compose.env.example.
func loadCompose(text []byte) (*types.Project, error) {
	variables, err := dotenv.Read(filepath.Join(root, "deploy/compose.env.example"))
	if err != nil {
		return nil, err
	}
	dir, err := filepath.Abs(filepath.Join(root, "deploy"))
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir: dir, Environment: variables,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: text}},
	}, loader.WithProfiles([]string{"*"}))
}

// settings are the program's variables, as .env.example lists them: whether each is secret.
func settings(t *testing.T) map[string]bool {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(root, "deploy/.env.example"))
	if err != nil {
		t.Fatal(err)
	}
	names, above := map[string]bool{}, ""
	for line := range strings.Lines(string(raw)) {
		if found := regexp.MustCompile(`^#?([A-Z][A-Z0-9_]+)=`).FindStringSubmatch(line); found != nil {
			names[found[1]] = strings.Contains(above, "[secret]")
		}
		above = line
	}
	return names
}

// stack is a loaded compose.yaml with what its rules need to know.
type stack struct {
	*types.Project
	settings map[string]bool
	made     []string // files of deploy/ that prepare.sh makes
	faults   []string
}

func (s *stack) fault(format string, args ...any) {
	s.faults = append(s.faults, fmt.Sprintf(format, args...))
}

// check holds every service to the rules.
func (s *stack) check() []string {
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		service := s.Services[name]
		s.contained(name, service)
		s.supervised(name, service)
		s.furnished(name, service)
		if strings.HasPrefix(service.Image, "kikuai:") {
			s.programmed(name, service)
		}
	}
	s.wired()
	return s.faults
}

// contained: a service can do no more than it must.
func (s *stack) contained(name string, c types.ServiceConfig) {
	if !c.ReadOnly || !slices.Contains(c.CapDrop, "ALL") || !slices.Contains(c.SecurityOpt, "no-new-privileges:true") || c.Privileged {
		s.fault("%s is not hardened: read_only, cap_drop ALL, no-new-privileges", name)
	}
	if len(c.Ports) > 0 != (name == "nginx") {
		s.fault("%s publishes ports %v: nginx alone does", name, c.Ports)
	}
	if c.MemLimit <= 0 || c.PidsLimit <= 0 || c.CPUS <= 0 {
		s.fault("%s is not bounded: mem_limit, pids_limit, cpus", name)
	}
	if c.Logging == nil || c.Logging.Options["max-size"] == "" || c.Logging.Options["max-file"] == "" {
		s.fault("%s fills the disk with its log", name)
	}
	ours := strings.HasPrefix(c.Image, "kikuai")
	if !ours && !pinned.MatchString(c.Image) {
		s.fault("%s runs %s: name its version", name, c.Image)
	}
	if ours != (c.Build != nil) {
		s.fault("%s: what is ours is built here, and nothing else", name)
	}
}

// supervised: whether it serves can be asked, and it comes back.
func (s *stack) supervised(name string, c types.ServiceConfig) {
	once := c.Restart == "no"
	if !once && c.Restart != "unless-stopped" {
		s.fault("%s does not come back: restart is %q", name, c.Restart)
	}
	// The images made here bring a look of their own.
	if c.HealthCheck == nil && !strings.HasPrefix(c.Image, "kikuai") || c.HealthCheck != nil && c.HealthCheck.Disable && !once {
		s.fault("%s has no healthcheck", name)
	}
	for on, dependency := range c.DependsOn {
		target, is := s.Services[on]
		switch {
		case !is:
			s.fault("%s depends on %s, which is not there", name, on)
		case dependency.Condition == types.ServiceConditionCompletedSuccessfully && target.Restart != "no":
			s.fault("%s waits for the end of %s, which never ends", name, on)
		case dependency.Condition == types.ServiceConditionHealthy && target.HealthCheck == nil && !strings.HasPrefix(target.Image, "kikuai"):
			s.fault("%s waits for the health of %s, which has none", name, on)
		}
	}
}

// furnished: what is mounted is there, and secrets are files.
func (s *stack) furnished(name string, c types.ServiceConfig) {
	given := map[string]bool{}
	for _, one := range c.Secrets {
		if given[one.Source] = true; s.Secrets[one.Source].File == "" {
			s.fault("%s is given %s, which no file holds", name, one.Source)
		}
	}
	for variable, value := range c.Environment {
		if value == nil {
			s.fault("%s: %s is taken from whoever runs Compose", name, variable)
			continue
		}
		if file, is := strings.CutPrefix(*value, settingsIn); is && !given[file] {
			s.fault("%s: %s names the secret %s, which it is not given", name, variable, file)
		}
		if s.settings[variable] || secret.MatchString(variable) && !strings.HasSuffix(variable, "_FILE") {
			s.fault("%s: %s stands in the environment: name a file", name, variable)
		}
	}
	for _, v := range c.Volumes {
		path, err := filepath.Rel(s.WorkingDir, v.Source)
		if v.Type != types.VolumeTypeBind || err != nil || strings.HasPrefix(path, "..") || slices.Contains(s.made, path) {
			continue
		}
		if _, err := os.Stat(v.Source); err != nil {
			s.fault("%s mounts deploy/%s, which is not there", name, path)
		}
	}
}

// programmed: a service of the program has settings that the program knows, and time to
// end.
func (s *stack) programmed(name string, c types.ServiceConfig) {
	for variable := range c.Environment {
		if _, known := s.settings[strings.TrimSuffix(variable, "_FILE")]; !known && variable != "GOMEMLIMIT" {
			s.fault("%s: there is no setting %s", name, variable)
		}
	}
	if c.Restart == "no" {
		return
	}
	drain, err := time.ParseDuration(valueOf(c, "DRAIN_TIMEOUT"))
	if err != nil || c.StopGracePeriod == nil || time.Duration(*c.StopGracePeriod) < drain+settling {
		s.fault("%s is killed before it has ended: stop_grace_period above %s and %s", name, drain, settling)
	}
	limit := strings.TrimSuffix(valueOf(c, "GOMEMLIMIT"), "MiB")
	var mebibytes int64
	if _, err := fmt.Sscan(limit, &mebibytes); err != nil || mebibytes<<20 > int64(c.MemLimit)*9/10 {
		s.fault("%s: GOMEMLIMIT is not a tenth below mem_limit", name)
	}
}

func valueOf(c types.ServiceConfig, variable string) string {
	if value := c.Environment[variable]; value != nil {
		return *value
	}
	return ""
}

// wired: addresses are the same wherever they stand, and money has no way out.
func (s *stack) wired() {
	front := s.Services["nginx"]
	var upstreams []string
	for _, name := range slices.Sorted(maps.Keys(s.Services)) {
		service := s.Services[name]
		for network, at := range service.Networks {
			if at == nil || at.Ipv4Address == "" {
				continue
			}
			subnet, err := netip.ParsePrefix(s.Networks[network].Ipam.Config[0].Subnet)
			address, wrong := netip.ParseAddr(at.Ipv4Address)
			if err != nil || wrong != nil || !subnet.Contains(address) {
				s.fault("%s: %s is no address of %s", name, at.Ipv4Address, network)
			}
			if network == "front" && strings.HasPrefix(service.Image, "kikuai:") {
				upstreams = append(upstreams, at.Ipv4Address+":8080")
				if proxies := valueOf(service, "TRUSTED_PROXIES"); proxies != front.Networks["front"].Ipv4Address+"/32" {
					s.fault("%s believes %s, and nginx is another", name, proxies)
				}
			}
		}
	}
	if got := valueOf(front, "FRONT_UPSTREAMS"); len(upstreams) < 2 || got != strings.Join(upstreams, " ") {
		s.fault("nginx passes on to %s, and the servers are at %s", got, upstreams)
	}
	if len(front.DependsOn) > 0 {
		s.fault("nginx waits for others, and then nobody is told 503")
	}
	archive := func(name string) string {
		for _, v := range s.Services[name].Volumes {
			if v.Target == "/backups" {
				return v.Source
			}
		}
		return ""
	}
	if archive("backup") == "" || archive("backup") != archive("wal") || archive("backup") != archive("postgres") {
		s.fault("a restored Postgres does not find the log where restore.sh did: /backups")
	}
	if !s.Networks["stores"].Internal {
		s.fault("the stores' network has a way out")
	}
	for _, name := range []string{"redis", "cache", "postgres", "pgbouncer", "wal", "backup"} {
		if networks := slices.Collect(maps.Keys(s.Services[name].Networks)); !slices.Equal(networks, []string{"stores"}) {
			s.fault("%s is on %v: it belongs on stores alone", name, networks)
		}
	}
}

// prepared runs prepare.sh into an empty folder and returns the folder and the files that
// it made.
func prepared(t *testing.T) (dir string, made []string) {
	t.Helper()
	dir = t.TempDir()
	run := func() {
		cmd := exec.Command(filepath.Join(root, "deploy/prepare.sh"), "--name", "bot.example.org")
		cmd.Env = append(os.Environ(), "PREPARE_DIR="+dir)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("prepare.sh: %v\n%s", err, out)
		}
	}
	read := func() map[string]string {
		texts := map[string]string{}
		err := filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
			name, _ := filepath.Rel(dir, path)
			if err != nil || entry.IsDir() {
				texts[name] = ""
				return err
			}
			raw, err := os.ReadFile(path)
			texts[name] = string(raw)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return texts
	}
	run()
	first := read()
	run()
	if again := read(); !maps.Equal(first, again) {
		t.Error("prepare.sh changed what was there")
	}
	if !strings.Contains(first[".env"], "SERVER_NAME=bot.example.org\n") {
		t.Errorf("no name in %s", first[".env"])
	}
	return dir, slices.Collect(maps.Keys(first))
}

func newStack(t *testing.T, text []byte) *stack {
	t.Helper()
	project, err := loadCompose(text)
	if err != nil {
		t.Fatal(err)
	}
	return &stack{Project: project, settings: settings(t)}
}

// TestCompose: the file is what Compose takes, keeps the rules, and has all its secrets
// from prepare.sh, but for the bot's token.
func TestCompose(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, composeFile))
	if err != nil {
		t.Fatal(err)
	}
	dir, made := prepared(t)
	s := newStack(t, text)
	s.made = made
	for _, fault := range s.check() {
		t.Error(fault)
	}
	info, err := os.Stat(filepath.Join(dir, "secrets"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("others may enter the secrets: %v, %v", info, err)
	}
	for name, one := range s.Secrets {
		path, err := filepath.Rel(s.WorkingDir, one.File)
		if err != nil || name != "telegram_bot_token" && !slices.Contains(made, path) {
			t.Errorf("prepare.sh makes no %s: %v", one.File, err)
		}
		if name == "telegram_bot_token" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(dir, path))
		if err != nil || len(strings.TrimSpace(string(raw))) < 32 {
			t.Errorf("%s is no secret: %d bytes, %v", name, len(raw), err)
		}
	}
}

// TestComposeFaults seeds each fault once.
func TestComposeFaults(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, composeFile))
	if err != nil {
		t.Fatal(err)
	}
	_, made := prepared(t)
	for _, row := range []struct{ old, new, fault string }{
		{"  read_only: true\n", "", "not hardened"},
		{"  cap_drop: [ALL]\n", "", "not hardened"},
		{"  mem_limit: 1g\n  pids", "  pids", "not bounded"},
		{"options: {max-size: 20m", "options: {max-sizes: 20m", "fills the disk"},
		{"image: redis:7.2.11-bookworm", "image: redis:latest", "name its version"},
		{"    image: redis:7.2.11-bookworm\n", "    image: redis:7.2.11-bookworm\n    ports: [\"6379:6379\"]\n", "nginx alone"},
		{"  restart: unless-stopped", "  restart: on-failure", "does not come back"},
		{"    restart: \"no\"\n    environment: {KIKUAI_ENV", "    environment: {KIKUAI_ENV", "never ends"},
		{"  secrets: [database_url, redis_url", "  secrets: [database_url", "which it is not given"},
		{"    KEY_PEPPER_FILE: /run/secrets/key_pepper", "    KEY_PEPPER: plain", "name a file"},
		{"    DRAIN_TIMEOUT: 25s", "    DRAIN_TIMOUT: 25s", "no setting DRAIN_TIMOUT"},
		{"stop_grace_period: 60s # DRAIN", "stop_grace_period: 30s # DRAIN", "killed before"},
		{"GOMEMLIMIT: 850MiB", "GOMEMLIMIT: 1000MiB", "a tenth below"},
		{"172.30.7.12}", "172.30.7.13}", "nginx passes on"},
		{"172.30.7.12}", "172.31.7.12}", "no address of front"},
		{"TRUSTED_PROXIES: 172.30.7.2/32", "TRUSTED_PROXIES: 172.30.7.0/24", "nginx is another"},
		{"kikuai}:/backups:ro", "kikuai}:/backup:ro", "does not find the log"},
		{"stores: {internal: true}", "stores: {}", "a way out"},
		{"./postgres/roles.sql:", "./postgres/rolls.sql:", "which is not there"},
	} {
		bad := strings.Replace(string(text), row.old, row.new, 1)
		if bad == string(text) {
			t.Fatalf("%q is not in the file", row.old)
		}
		s := newStack(t, []byte(bad))
		s.made = made
		if faults := s.check(); !slices.ContainsFunc(faults, func(f string) bool { return strings.Contains(f, row.fault) }) {
			t.Errorf("%q is not seen as %q: %v", row.new, row.fault, faults)
		}
	}
	if _, err := loadCompose([]byte(strings.Replace(string(text), "mem_limit: 1g", "mem_limits: 1g", 1))); err == nil {
		t.Error(errors.New("an unknown field passes"))
	}
}
