package config

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// loadAll is Load with the names of all that is set.
func loadAll(values map[string]string) (*Config, error) {
	return Load(lookupIn(values), NeedServe, slices.Collect(maps.Keys(values))...)
}

// TestSlips: a variable that was misspelt would leave production on a default.
func TestSlips(t *testing.T) {
	for name, meant := range map[string]string{
		"REDIS_ULR": "REDIS_URL", "DATABSE_URL": "DATABASE_URL", "RATE_LIMIT_REQUEST_PER_MINUTE": "RATE_LIMIT_REQUESTS_PER_MINUTE",
		"WEBHOOK_SECRETS": "WEBHOOK_SECRET", "KEY_PEPER_FILE": "KEY_PEPPER_FILE", "Public_Url": "PUBLIC_URL", "STAR-USD": "STAR_USD",
		"KIKUAI_ENVI": "KIKUAI_ENV", "CIRCUIT_BREAKER_FAILURE_TRESHHOLD": "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
	} {
		_, err := loadAll(with(strings.TrimSuffix(meant, fileSuffix), "", name, "value-of-it"))
		if err == nil {
			t.Errorf("%s passes", name)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, name+" is set") || !strings.Contains(text, "did you mean "+meant+"?") || strings.Contains(text, "value-of-it") {
			t.Errorf("%s:\n%s", name, text)
		}
		if strings.Count(text, name) != 1 {
			t.Errorf("%s is told twice:\n%s", name, text)
		}
	}
}

// TestSlipsAreNoted: elsewhere, and where the right one is set too, or a word is wrong
// rather than a letter, it is said and no more.
func TestSlipsAreNoted(t *testing.T) {
	development := map[string]string{"KIKUAI_ENV": "development", "DATABASE_URL": "postgres://u@db/x", "REDIS_URL": "redis://r"}
	change := func(values map[string]string, changes ...string) map[string]string {
		values = maps.Clone(values)
		for i := 0; i < len(changes); i += 2 {
			values[changes[i]] = changes[i+1]
		}
		return values
	}
	for _, row := range []struct {
		values map[string]string
		note   string
	}{
		{change(development, "STAR_UDS", "1"), "STAR_UDS is set, and nothing reads it: did you mean STAR_USD?"},
		{with("REDIS_URI", "redis://x"), "REDIS_URI is set, and nothing reads it: did you mean REDIS_URL?"},
		{with("GROK_API_KEY", "x"), "GROK_API_KEY is set, and nothing reads it: did you mean GROQ_API_KEY?"},
		{with("RATE_LIMIT_PER_MINUTE", "5"), "RATE_LIMIT_PER_MINUTE is set, and nothing reads it: did you mean RATE_LIMIT_REQUESTS_PER_MINUTE?"},
		{with("REDIS_CACHE_URL", "redis://x"), "REDIS_CACHE_URL is set, and nothing reads it: did you mean CACHE_REDIS_URL?"},
		{with("CIRCUIT_BREAKER_TIMEOUT", "5"), "CIRCUIT_BREAKER_TIMEOUT is set, and nothing reads it: did you mean CIRCUIT_BREAKER_RECOVERY_TIMEOUT?"},
		{with("PUBLIC_URL_FILE", "/run/url"), "PUBLIC_URL_FILE is set, and nothing reads it: only secrets come from files: set PUBLIC_URL itself"},
	} {
		c, err := loadAll(row.values)
		if err != nil {
			t.Errorf("%s: %v", row.note, err)
		} else if !slices.Equal(c.Notes(), []string{row.note}) {
			t.Errorf("notes %q, want %q", c.Notes(), row.note)
		}
	}
	_, err := loadAll(with("TELEGRAM_BOT_TOKEN", "", "TELEGRAM_TOKEN", "1:x"))
	if err == nil || !strings.Contains(err.Error(), "TELEGRAM_BOT_TOKEN is missing, and TELEGRAM_TOKEN is set, which nothing reads: did you mean TELEGRAM_BOT_TOKEN?") {
		t.Errorf("a missing token: %v", err)
	}
}

// TestOthersAreNotSuspected: what belongs to the system, to Kubernetes' services or to
// other programs is nobody's slip, and what is ours is none either.
func TestOthersAreNotSuspected(t *testing.T) {
	values := with(
		"PATH", "/bin", "HOME", "/root", "LANG", "C", "HOSTNAME", "x", "TZ", "UTC", "URL", "x", "PORT", "80", "GOMEMLIMIT", "1GiB",
		"REDIS_PORT", "tcp://10.0.0.1:6379", "REDIS_SERVICE_HOST", "10.0.0.1", "KIKUAI_PORT", "tcp://10.0.0.2:80", "KIKUAI_SERVICE_HOST", "10.0.0.2",
		"DATABASE_HOST", "db", "POSTGRES_USER", "u", "POSTGRES_PASSWORD", "p", "PGHOST", "db", "TELEGRAM_API_ID", "1", "OTEL_SERVICE_NAME", "x",
		"DATABASE_MIGRATE_URL", "postgres://x", "ZHIPU_API_KEY", "x", "SSL_CERT_FILE", "/x", "REDIS_ULR", "",
	)
	for _, v := range variables() {
		if _, set := values[v.name]; !set && v.fallback != "" {
			values[v.name] = v.fallback
		}
	}
	c, err := loadAll(values)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Notes()) > 0 {
		t.Errorf("suspected: %q", c.Notes())
	}
}

// TestDistance holds it to its definition: edits of a text are never farther than their
// number, and it is symmetrical.
func TestDistance(t *testing.T) {
	for _, row := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "abc", 0}, {"abc", "acb", 1}, {"abc", "ab", 1}, {"abc", "xbc", 1}, {"abc", "bcd", 2}, {"abcd", "badc", 2}, {"abc", "xyz", 3}, {"", "abcdef", 5}} {
		if got := distance(row.a, row.b, 4); got != row.want {
			t.Errorf("%q to %q: %d, want %d", row.a, row.b, got, row.want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-C_]{0,12}`)
		a, edits := word.Draw(t, "a"), rapid.IntRange(0, 3).Draw(t, "edits")
		b := []byte(a)
		for range edits {
			if len(b) > 0 && rapid.Bool().Draw(t, "change") {
				b[rapid.IntRange(0, len(b)-1).Draw(t, "at")] = 'D'
			} else {
				b = slices.Insert(b, rapid.IntRange(0, len(b)).Draw(t, "into"), 'E')
			}
		}
		there, back := distance(a, string(b), 8), distance(string(b), a, 8)
		if there > edits || there != back || (there == 0) != (a == string(b)) {
			t.Fatalf("%q to %q after %d edits: %d, back %d", a, b, edits, there, back)
		}
	})
}

// TestOurDeploymentsAreNotSuspected: no name in the files that deploy the program would
// keep it from running.
func TestOurDeploymentsAreNotSuspected(t *testing.T) {
	name := regexp.MustCompile(`\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b`)
	known, seen := knownNames(), 0
	for _, root := range []string{"../../deploy/compose.yaml", "../../deploy/compose.env.example", "../../deploy/prepare.sh", "../../deploy/Dockerfile", "../../deploy/systemd", "../../deploy/helm", "../../nginx/variables.envsh"} {
		err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
			if entry != nil && entry.Name() == "testdata" {
				return fs.SkipDir // which holds mistakes on purpose
			}
			if err != nil || !entry.Type().IsRegular() { // links lead to what is read elsewhere
				return err
			}
			text, err := os.ReadFile(path)
			for _, found := range name.FindAllString(string(text), -1) {
				if slices.Contains(known, found) {
					seen++
					continue
				}
				if s, is := suspected(found, known); is && s.slip {
					t.Errorf("%s: %s would be taken for %s", path, found, s.meant)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if seen < 20 {
		t.Errorf("only %d of our names were found", seen)
	}
}
