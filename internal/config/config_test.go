package config

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func lookupIn(values map[string]string) Lookup {
	return func(name string) (string, bool) {
		value, set := values[name]
		return value, set
	}
}

// with returns a complete production environment with changes; an empty value
// removes the variable.
func with(changes ...string) map[string]string {
	values := map[string]string{
		"DATABASE_URL":       "postgres://u:dbpass-secret@db:5432/kikuai",
		"REDIS_URL":          "redis://:redispass-secret@cache:6379/0",
		"TELEGRAM_BOT_TOKEN": "123456:AAsecretAAsecretAAsecretAAsecretAAs",
		"WEBHOOK_SECRET":     "webhook-secret-0123456789",
		"KEY_PEPPER":         "pepper-secret-0123456789-0123456789-abc",
		"PUBLIC_URL":         "https://kikuai.example/",
	}
	for i := 0; i < len(changes); i += 2 {
		values[changes[i]] = changes[i+1]
	}
	return values
}

func load(t *testing.T, values map[string]string, need Need) *Config {
	t.Helper()
	c, err := Load(lookupIn(values), need)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// faultsOf returns which variables Load finds fault with.
func faultsOf(t *testing.T, values map[string]string, need Need) []string {
	t.Helper()
	_, err := Load(lookupIn(values), need)
	var faults *FaultsError
	if err != nil && !errors.As(err, &faults) {
		t.Fatalf("an error of another type: %v", err)
	}
	var names []string
	if faults != nil {
		for _, f := range faults.Faults {
			names = append(names, f.Variable)
		}
	}
	return names
}

func TestProductionIsTheDefaultAndDemands(t *testing.T) {
	c := load(t, with(), NeedServe)
	if c.Profile != Production || c.WelcomeCredit != 0 || c.Text() {
		t.Errorf("an unset profile is %+v", c)
	}
	if c.PublicURL != "https://kikuai.example" {
		t.Errorf("PUBLIC_URL became %q", c.PublicURL)
	}

	want := []string{"PUBLIC_URL", "DATABASE_URL", "REDIS_URL", "TELEGRAM_BOT_TOKEN", "WEBHOOK_SECRET", "KEY_PEPPER"}
	_, err := Load(lookupIn(nil), NeedServe)
	if err == nil {
		t.Fatal("an empty environment is enough for production")
	}
	if got := faultsOf(t, nil, NeedServe); !slices.Equal(got, want) {
		t.Errorf("missing: %v, want %v", got, want)
	}
	if lines := strings.Split(err.Error(), "\n"); len(lines) != len(want)+1 {
		t.Errorf("not one line each:\n%v", err)
	}
}

func TestProfiles(t *testing.T) {
	stores := []string{"DATABASE_URL", "REDIS_URL"}
	for _, profile := range []string{"development", "testing"} {
		if got := faultsOf(t, map[string]string{"KIKUAI_ENV": profile}, NeedServe); !slices.Equal(got, stores) {
			t.Errorf("%s lacks %v, want %v", profile, got, stores)
		}
		if got := faultsOf(t, map[string]string{"KIKUAI_ENV": profile}, NeedNothing); got != nil {
			t.Errorf("%s needs %v for nothing", profile, got)
		}
	}
	c := load(t, map[string]string{"KIKUAI_ENV": "development"}, NeedPepper)
	if c.WelcomeCredit != nanosPerUSD/2 || !c.Text() || c.LogLevel.String() != "DEBUG" || len(c.KeyPeppers) != 1 {
		t.Errorf("development: %v", c)
	}
	c = load(t, map[string]string{"KIKUAI_ENV": "development", "WELCOME_CREDIT_USD": "0", "LOG_LEVEL": "warn"}, NeedNothing)
	if c.WelcomeCredit != 0 || c.LogLevel.String() != "WARN" {
		t.Errorf("what is set loses against the profile: %v", c)
	}
	if got := faultsOf(t, with("KIKUAI_ENV", "staging", "PUBLIC_URL", "http://x"), NeedServe); !slices.Equal(got, []string{"KIKUAI_ENV", "PUBLIC_URL"}) {
		t.Errorf("an unknown profile is held to %v", got)
	}
}

func TestNeeds(t *testing.T) {
	for need, want := range map[Need][]string{
		NeedNothing:                nil,
		NeedDatabase:               {"DATABASE_URL"},
		NeedDatabase | NeedPepper:  {"DATABASE_URL", "KEY_PEPPER"},
		NeedTelegram | NeedWebhook: {"PUBLIC_URL", "TELEGRAM_BOT_TOKEN", "WEBHOOK_SECRET"},
	} {
		if got := faultsOf(t, nil, need); !slices.Equal(got, want) {
			t.Errorf("need %b: %v, want %v", need, got, want)
		}
	}
}

func TestFaultyValues(t *testing.T) {
	for _, row := range [][2]string{
		{"LISTEN_ADDR", "8080"},
		{"LISTEN_ADDR", ":99999"},
		{"OPS_ADDR", ":8080"}, // the same as LISTEN_ADDR
		{"LOG_LEVEL", "loud"},
		{"DRAIN_TIMEOUT", "soon"},
		{"DRAIN_TIMEOUT", "0"},
		{"DRAIN_TIMEOUT", "-5s"},
		{"PUBLIC_URL", "kikuai.example"},
		{"PUBLIC_URL", "http://kikuai.example"},
		{"PUBLIC_URL", "https://kikuai.example/?q=1"},
		{"TRUSTED_PROXIES", "10.0.0.0/99"},
		{"BODY_LIMIT_BYTES", "20MB"},
		{"BODY_LIMIT_BYTES", "-1"},
		{"DATABASE_URL", "host=db user=x"},
		{"DATABASE_URL", "postgres://db"},
		{"DATABASE_URL", "mysql://u:p@db/x"},
		{"DATABASE_REPLICA_URL", "db"},
		{"POSTGRES_MAX_CONNS", "1"},
		{"POSTGRES_MAX_CONNS", "99999999999"},
		{"REDIS_URL", "cache:6379"},
		{"REDIS_URL", "redis://cache/zero"},
		{"REDIS_URL", "redis://a:6379,,redis://b:6379"},
		{"REDIS_URL", "redis://a:6379/1,redis://b:6379/1"},
		{"CACHE_REDIS_URL", "http://cache"},
		{"REDIS_AUTOPIPELINE", "yes please"},
		{"TELEGRAM_BOT_TOKEN", "my bot"},
		{"TELEGRAM_API_URL", "ftp://api"},
		{"WEBHOOK_SECRET", "short"},
		{"WEBHOOK_SECRET", "with spaces and more of them"},
		{"BOT_CONCURRENCY", "0"},
		{"BOT_HANDLER_DEADLINE", "2h"},
		{"CHAT_MAX_OUTPUT", "1.5"},
		{"KEY_PEPPER", "short"},
		{"KEY_PEPPER", developmentPepper},
		{"KEY_PEPPER", strings.Repeat("a", 32) + "," + strings.Repeat("a", 32)},
		{"WELCOME_CREDIT_USD", "1e3"},
		{"WELCOME_CREDIT_USD", "-1"},
		{"WELCOME_CREDIT_USD", "101"},
		{"STAR_USD", "0"},
		{"STAR_USD", "0.0000000001"},
		{"STRIPE_API_URL", "api.stripe.com"},
		{"STRIPE_API_URL", "http://api.stripe.com"}, // in production
		{"CATALOG_FILE", "/does/not/exist.yaml"},
		{"RATE_LIMIT_REQUESTS_PER_MINUTE", "0"},
		{"RATE_LIMIT_PER_SECOND", "NaN"},
		{"RATE_LIMIT_PER_SECOND", "fast"},
		{"RATE_LIMIT_BURST_SIZE", "-10"},
		{"CACHE_MAX_SIZE", "many"},
		{"CACHE_DEFAULT_TTL", "1ms"},
		{"CACHE_COMPRESSION_THRESHOLD", "-1"},
		{"RATE_LIMIT_GLOBAL_PER_MINUTE", "-1"},
		{"RATE_LIMIT_GLOBAL_PER_MINUTE", "2147483648"},
		{"AUTH_FAILURES_PER_MINUTE", "many"},
		{"AUTH_FAILURES_PER_MINUTE", "-1"},
		{"TOPUPS_PER_HOUR", "1000001"},
		{"CACHE_POLICY", "fifo"},
		{"CACHE_MAX_VALUE_BYTES", "1023"},
		{"CACHE_MAX_VALUE_BYTES", "1 MiB"},
		{"ANSWER_CACHE_TTL", "25h"},
		{"ANSWER_CACHE_TTL", "10ms"},
		{"CIRCUIT_BREAKER_FAILURE_THRESHOLD", "0"},
		{"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "a minute"},
		{"CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS", "0"},
	} {
		if got := faultsOf(t, with(row[0], row[1]), NeedServe); !slices.Equal(got, []string{row[0]}) {
			t.Errorf("%s=%s: faults of %v", row[0], row[1], got)
		}
	}
}

// TestStripeIsWholeOrAbsent: one secret without the other takes payments that are never
// credited, or none.
func TestStripeIsWholeOrAbsent(t *testing.T) {
	const key, secret = "rk_test_51AbC", "whsec_0123456789abcdef"
	for _, row := range []struct{ key, secret, fault string }{
		{"", "", ""},
		{key, secret, ""},
		{key, "", "STRIPE_WEBHOOK_SECRET"},
		{"", secret, "STRIPE_SECRET_KEY"},
		{"pk_test_51AbC", secret, "STRIPE_SECRET_KEY"}, // the publishable one
		{key, "sk_test_51AbC", "STRIPE_WEBHOOK_SECRET"},
	} {
		var want []string
		if row.fault != "" {
			want = []string{row.fault}
		}
		if got := faultsOf(t, with("STRIPE_SECRET_KEY", row.key, "STRIPE_WEBHOOK_SECRET", row.secret), NeedServe); !slices.Equal(got, want) {
			t.Errorf("key %q, webhook secret %q: faults of %v, want %v", row.key, row.secret, got, want)
		}
	}
	c := load(t, with("STRIPE_SECRET_KEY", key, "STRIPE_WEBHOOK_SECRET", secret, "STRIPE_API_URL", "https://stripe.example/"), NeedServe)
	if text := c.String(); strings.Contains(text, "51AbC") || strings.Contains(text, "0123456789abcdef") {
		t.Errorf("a secret is printed:\n%s", text)
	}
	if c.StripeAPIURL != "https://stripe.example" {
		t.Errorf("STRIPE_API_URL is %s", c.StripeAPIURL)
	}
}

func TestAllFaultsAtOnceAndNoSecretInThem(t *testing.T) {
	values := with(
		"DATABASE_URL", "postgres://u:dbpass-secret@:bad port/x", "REDIS_URL", "redis://:redispass-secret@%zz",
		"TELEGRAM_BOT_TOKEN", "token-secret", "WEBHOOK_SECRET", "webhook secret", "KEY_PEPPER", "pepper-secret",
		"OPENAI_API_KEY", "openai-secret", "OPENAI_API_KEY_FILE", "/path-secret", "LOG_LEVEL", "loud",
		"ANTHROPIC_API_KEY_FILE", "sk-ant-secret", "BOT_CONCURRENCY", "x", "WELCOME_CREDIT_USD", "a lot",
	)
	_, err := Load(lookupIn(values), NeedServe)
	if err == nil {
		t.Fatal("no error")
	}
	for _, name := range []string{
		"DATABASE_URL", "REDIS_URL", "TELEGRAM_BOT_TOKEN", "WEBHOOK_SECRET", "KEY_PEPPER", "OPENAI_API_KEY",
		"LOG_LEVEL", "ANTHROPIC_API_KEY_FILE", "BOT_CONCURRENCY", "WELCOME_CREDIT_USD",
	} {
		if strings.Count(err.Error(), "\n  "+name+" ") != 1 {
			t.Errorf("not one line about %s", name)
		}
	}
	if strings.Contains(err.Error(), "-secret") || strings.Contains(err.Error(), "webhook secret") {
		t.Errorf("a secret stands in the error:\n%v", err)
	}
	if !strings.HasPrefix(err.Error(), "the configuration has 10 faults:\n") {
		t.Errorf("the error begins\n%v", err)
	}
}

func TestSecretsFromFiles(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	values := with("KEY_PEPPER", "", "KEY_PEPPER_FILE", file("pepper", strings.Repeat("n", 32)+", "+strings.Repeat("o", 32)+"\n"))
	c := load(t, values, NeedServe)
	if got := c.KeyPeppers.Reveal(); len(got) != 2 || got[0] != strings.Repeat("n", 32) || got[1] != strings.Repeat("o", 32) {
		t.Errorf("peppers %q", got)
	}

	for _, path := range []string{dir, filepath.Join(dir, "none"), file("empty", "\n"), file("large", strings.Repeat("x", maxSecretFile+1)), "/dev/zero"} {
		if got := faultsOf(t, with("KEY_PEPPER", "", "KEY_PEPPER_FILE", path), NeedDatabase); !slices.Equal(got, []string{"KEY_PEPPER_FILE"}) {
			t.Errorf("%s: faults of %v", path, got)
		}
	}
	if got := faultsOf(t, with("KEY_PEPPER_FILE", filepath.Join(dir, "pepper")), NeedDatabase); !slices.Equal(got, []string{"KEY_PEPPER"}) {
		t.Errorf("both set: faults of %v", got)
	}
}

func TestValues(t *testing.T) {
	c := load(t, with(
		"CIRCUIT_BREAKER_RECOVERY_TIMEOUT", "90", "CACHE_DEFAULT_TTL", "1m30s", "STAR_USD", "0.0135",
		"TRUSTED_PROXIES", "10.1.2.3/8, 192.0.2.7,2001:db8::/32", "REDIS_URL", "redis://a:6379,redis://b:6379",
	), NeedServe)
	if c.BreakerRecovery != 90*time.Second || c.CacheTTL != 90*time.Second {
		t.Errorf("durations %v, %v", c.BreakerRecovery, c.CacheTTL)
	}
	if c.StarValue.Nano() != 13_500_000 {
		t.Errorf("STAR_USD is %d nano", c.StarValue.Nano())
	}
	if got := c.Proxies.String(); got != "10.0.0.0/8,192.0.2.7/32,2001:db8::/32" {
		t.Errorf("TRUSTED_PROXIES is %s", got)
	}
	if len(c.RedisURLs) != 2 {
		t.Errorf("REDIS_URL has %d elements", len(c.RedisURLs))
	}
}

// TestBucketIsOffUnlessSet: the defaults alone shape nobody's calls; one variable of the
// two turns the bucket on, and an empty one is none.
func TestBucketIsOffUnlessSet(t *testing.T) {
	const rate, burst = "RATE_LIMIT_PER_SECOND", "RATE_LIMIT_BURST_SIZE"
	for _, row := range []struct {
		rate, burst    string
		refill, tokens int64
	}{
		{"", "", 0, 0},
		{"  ", "", 0, 0},
		{"2.0", "", 2000, 10},
		{"", "10", 2000, 10},
		{"0.0015", "3", 2, 3},
		{"1000000", "1000000", 1_000_000_000, 1_000_000},
	} {
		refill, tokens := load(t, with(rate, row.rate, burst, row.burst), NeedServe).Bucket()
		if refill != row.refill || tokens != row.tokens {
			t.Errorf("%s=%q, %s=%q: %d thousandths a second in a bucket of %d, want %d and %d",
				rate, row.rate, burst, row.burst, refill, tokens, row.refill, row.tokens)
		}
	}
}

// TestZeroTurnsOff: where zero means none it is no fault.
func TestZeroTurnsOff(t *testing.T) {
	c := load(t, with("RATE_LIMIT_GLOBAL_PER_MINUTE", "0", "AUTH_FAILURES_PER_MINUTE", "0", "TOPUPS_PER_HOUR", "0", "ANSWER_CACHE_TTL", "0", "PUBLIC_PROBE_EVERY", "0"), NeedServe)
	if c.GlobalPerMinute != 0 || c.AuthFailures != 0 || c.TopUpsPerHour != 0 || c.AnswerTTL != 0 || c.PublicProbe != 0 {
		t.Errorf("zeros became %v", c)
	}
}

// TestBounds: what is out of bounds is told how far it may go, as people write it.
func TestBounds(t *testing.T) {
	for _, c := range [][3]string{
		{"RATE_LIMIT_PER_SECOND", "0.0001", "RATE_LIMIT_PER_SECOND is out of bounds: set 0.001 to 1000000"},
		{"RATE_LIMIT_PER_SECOND", "0", "set 0.001 to 1000000; leave it and RATE_LIMIT_BURST_SIZE unset to turn it off"},
		{"RATE_LIMIT_BURST_SIZE", "0", "set 1 to 1000000"},
		{"HOLD_LIFE", "1s", "set 10s to 1h"},
		{"DRAIN_NOTICE", "2m", "set 0s to 1m"},
		{"LEDGER_MAX_LAG", "1ms", "set 1s to 168h"},
		{"CACHE_DEFAULT_TTL", "1ms", "set 100ms to 24h"},
		{"CATALOG_FILE", "/does/not/exist.yaml", `CATALOG_FILE names no file that can be read, "/does/not/exist.yaml": `},
	} {
		_, err := Load(lookupIn(with(c[0], c[1])), NeedServe)
		if err == nil || !strings.Contains(err.Error()+"\n", c[2]) || strings.Count(err.Error(), c[0]) != 1 {
			t.Errorf("%s=%s: %v", c[0], c[1], err)
		}
	}
}

// TestNoticeBeyondDrain: a notice that a stop has no time for is told at the start.
func TestNoticeBeyondDrain(t *testing.T) {
	for _, c := range []struct {
		notice, drain string
		told          bool
	}{{"", "", false}, {"5s", "10s", false}, {"6s", "10s", true}, {"20s", "", true}, {"0s", "1s", false}} {
		notes := load(t, with("DRAIN_NOTICE", c.notice, "DRAIN_TIMEOUT", c.drain), NeedServe).Notes()
		if told := len(notes) == 1 && strings.HasPrefix(notes[0], "DRAIN_NOTICE is more than half of DRAIN_TIMEOUT"); told != c.told || len(notes) > 1 {
			t.Errorf("%s of %s: %q", c.notice, c.drain, notes)
		}
	}
}
