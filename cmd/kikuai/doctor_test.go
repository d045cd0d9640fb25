package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kikuai/kikuai/internal/doctor"
	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/webapp"
)

// TestDoctorOfFaultyConfiguration: what is wrong with the configuration is what the doctor
// finds, fault by fault, when it can look at nothing else.
func TestDoctorOfFaultyConfiguration(t *testing.T) {
	values := map[string]string{"KIKUAI_ENV": "production", "KEY_PEPPER": "short-and-secret", "REDIS_ULR": "redis://:hidden-word@r"}
	var names []string
	for name := range values {
		names = append(names, name)
	}
	var out, errs bytes.Buffer
	code := run(t.Context(), []string{"doctor", "--json"}, func(name string) (string, bool) { value, set := values[name]; return value, set }, &out, &errs, names...)
	var answer struct {
		Findings []doctor.Finding
		Faults   int
	}
	if err := json.Unmarshal(out.Bytes(), &answer); err != nil || code != 1 {
		t.Fatalf("exit code %d, %v\n%s%s", code, err, &out, &errs)
	}
	said := ""
	for _, f := range answer.Findings {
		said += string(f.Level) + " " + f.Check + " " + f.Says + " " + f.Mend + "\n"
	}
	for _, want := range []string{
		"fault configuration DATABASE_URL is missing.", "fault configuration REDIS_URL is missing, and REDIS_ULR is set, which nothing reads. did you mean REDIS_URL?",
		"fault configuration KEY_PEPPER has fewer than 32 bytes", "warning configuration Nothing else was looked at.",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("not found: %s\n%s", want, said)
		}
	}
	if answer.Faults != len(answer.Findings)-1 || strings.Contains(said+errs.String(), "secret-") || strings.Contains(said, "short-and-secret") || strings.Contains(said, "hidden-word") {
		t.Errorf("%d faults:\n%s%s", answer.Faults, said, &errs)
	}
	out.Reset()
	if code := run(t.Context(), []string{"doctor", "nothing-of-that-name"}, func(name string) (string, bool) { value, set := values[name]; return value, set }, &out, &errs); code != 1 || out.Len() > 0 {
		t.Errorf("exit code %d: %s", code, &out)
	}
}

// TestDoctorUnseen: of a word that chooses nothing it is said why, and one that means nothing
// is answered with those that do.
func TestDoctorUnseen(t *testing.T) {
	t.Parallel()
	all := []doctor.Check{{Name: "configuration"}, {Name: "redis.answers"}, {Name: "telegram.bot"}}
	without := all[:2]
	for _, c := range []struct {
		checks []doctor.Check
		word   string
		notes  []string
		err    string
	}{
		{all, "telegram", nil, ""},
		{without, "telegram", []string{"telegram was not looked at: TELEGRAM_BOT_TOKEN is not set"}, ""},
		{without, "telegram.bot", []string{"telegram.bot was not looked at: TELEGRAM_BOT_TOKEN is not set"}, ""},
		{without, "cards", []string{"cards was not looked at: STRIPE_SECRET_KEY is not set"}, ""},
		{without, "redis.cache", []string{"redis.cache was not looked at: CACHE_REDIS_URL is not set"}, ""},
		{without, "redis.nothing", nil, "nothing called redis.nothing to look at: there are configuration, secrets, redis,"},
		{without, "nonsense", nil, "nothing called nonsense to look at: there are configuration, secrets, redis,"},
		{all[:1], "redis", []string{"redis was not looked at: the configuration has faults, which kikuai doctor configuration shows"}, ""},
		{all[:1], "nonsense", nil, "nothing called nonsense"},
	} {
		notes, err := doctorCommand{Only: []string{c.word}}.unseen(c.checks)
		if !slices.Equal(notes, c.notes) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %q, %v", c.word, notes, err)
		}
	}
}

// TestE2EDoctor: a deployment as it should be, with the production front before it, has
// nothing wrong; what is then spoilt is found, and only that.
func TestE2EDoctor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	onDisk(s)
	if err := s.redis.Client().ConfigSet(t.Context(), "maxmemory", "512mb").Err(); err != nil {
		t.Fatal(err)
	}
	front := testenv.Nginx(t, testenv.NginxOptions{Upstreams: []string{s.env["LISTEN_ADDR"]}, Webroot: miniature(t), Telegram: []string{"149.154.160.0/20"}})
	s.env["KIKUAI_ENV"], s.env["PUBLIC_URL"], s.env["SSL_CERT_FILE"] = "production", front.URL(), front.CAFile()
	s.env["WEBHOOK_SECRET"], s.env["KEY_PEPPER"] = strings.ToLower(rand.Text()), rand.Text()+rand.Text()
	serve := s.serve()
	s.command("webhook", "set")
	// Of this machine's disk and of what a bot may leave off, nothing can be demanded here.
	beside := []string{"host.disk", "telegram.bot"}
	if !webapp.Built() {
		beside = append(beside, "web.app") // which servers answer for where the front has no file
	}
	examine := func(spoilt map[string]doctor.Level, only ...string) {
		t.Helper()
		if len(only) == 0 || only[0] == "web" {
			spoilt["web.certificate"] = doctor.Fault // the front's is for two days
		}
		levels := s.examined(only...)
		for check, level := range levels {
			want, is := spoilt[check]
			if !is {
				want = doctor.OK
			}
			if level != want && !slices.Contains(beside, check) {
				t.Errorf("%s is %s and should be %s", check, level, want)
			}
		}
		for check := range spoilt {
			if levels[check] == "" {
				t.Errorf("%s found nothing", check)
			}
		}
		if len(only) == 0 && len(levels) < 25 {
			t.Errorf("only %d checks found something: %v", len(levels), levels)
		}
	}
	examine(map[string]doctor.Level{})

	front.Reload(func(o *testenv.NginxOptions) { o.Telegram = nil })
	examine(map[string]doctor.Level{"web.webhook": doctor.Warning}, "web")
	pepper := s.env["KEY_PEPPER"]
	s.env["KEY_PEPPER"] = rand.Text() + rand.Text()
	examine(map[string]doctor.Level{"web.address": doctor.Fault, "web.webhook": doctor.Warning}, "web")
	s.env["KEY_PEPPER"], s.env["PUBLIC_URL"] = pepper, s.url // past the front, as nobody should
	s.env["KIKUAI_ENV"] = "testing"
	levels := s.examined("web", "telegram")
	for check, want := range map[string]doctor.Level{
		"web.address": doctor.Fault, "web.certificate": doctor.Warning, "web.private": doctor.Warning, "web.webhook": doctor.Warning, "telegram.webhook": doctor.Fault,
	} {
		if levels[check] != want {
			t.Errorf("past the front: %s is %q and should be %s", check, levels[check], want)
		}
	}
	s.env["PUBLIC_URL"] = front.URL()
	serve.stop()
	examine(map[string]doctor.Level{"web.answers": doctor.Fault, "configuration": doctor.Warning}, "web.answers", "configuration")
	s.reconciled()
}

// miniature is a folder with the smallest Mini App there is.
func miniature(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"index.html": `<!doctype html><script type="module" src="/webapp/assets/index-BxK3_9aQ.js"></script>`, "assets/index-BxK3_9aQ.js": "1;",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, suffix := range []string{"", ".gz", ".br"} {
			if err := os.WriteFile(file+suffix, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}
