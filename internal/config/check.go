package config

import (
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	minWebhookSecret = 16 // characters, in production
	minPepper        = 32 // bytes, in production
	// maxWelcome is given to each new account: a slip of the pen in it is
	// multiplied by all of them.
	maxWelcome   = 100 * nanosPerUSD
	maxReferrals = 10_000 // of an account in a month
	// maxLowBalance would have nearly every owner told.
	maxLowBalance = 1000 * nanosPerUSD

	leastPerSecond, mostPerSecond = 0.001, 1_000_000.0
)

// checker gathers faults; its methods ignore variables that are faulty already.
type checker struct{ faults *FaultsError }

func (c *Config) check(faults *FaultsError, need Need) {
	check := checker{faults}
	if !slices.Contains([]Profile{Development, Testing, Production}, c.Profile) {
		check.fault("KIKUAI_ENV", "is none of the profiles", "set development, testing or production")
	}
	c.checkPresence(check, need)
	c.checkServer(check)
	c.checkStores(check)
	c.checkTelegram(check)
	c.checkMoney(check)
	c.checkStripe(check)
	c.checkNumbers(check)
}

// production holds an unknown profile to the strict rules, too.
func (c *Config) production() bool { return c.Profile != Development && c.Profile != Testing }

// checkPresence holds the command to what it needs.
func (c *Config) checkPresence(check checker, need Need) {
	if need&NeedServe != 0 {
		need |= NeedDatabase | NeedRedis
		if c.production() {
			need |= NeedPepper | NeedTelegram | NeedWebhook
		}
	}
	for _, row := range []struct {
		need     Need
		variable string
		set      bool
		mend     string
	}{
		{NeedDatabase, "DATABASE_URL", c.DatabaseURL.IsSet(), "set postgres://user:password@host:5432/kikuai"},
		{NeedRedis, "REDIS_URL", len(c.RedisURLs) > 0, "set redis://:password@host:6379/0"},
		{NeedPepper, "KEY_PEPPER", len(c.KeyPeppers) > 0, "set 32 random bytes or more, as from openssl rand -hex 32"},
		{NeedTelegram, "TELEGRAM_BOT_TOKEN", c.TelegramToken.IsSet(), "set the token that @BotFather gave you"},
		{NeedWebhook, "PUBLIC_URL", c.PublicURL != "", "set the https address at which Telegram and browsers reach this server"},
		{NeedWebhook, "WEBHOOK_SECRET", c.WebhookSecret.IsSet(), "set 16 characters or more of A-Za-z0-9_-, as from openssl rand -hex 32"},
	} {
		if need&row.need != 0 && !row.set {
			check.fault(row.variable, missing, row.mend)
		}
	}
}

func (c *Config) checkServer(check checker) {
	check.address("LISTEN_ADDR", c.ListenAddr)
	check.address("OPS_ADDR", c.OpsAddr)
	if c.ListenAddr == c.OpsAddr && !strings.HasSuffix(c.ListenAddr, ":0") {
		check.fault("OPS_ADDR", "is the same as LISTEN_ADDR", "metrics and profiles stay off the public listener: choose another port")
	}
	if c.PublicURL != "" {
		check.web("PUBLIC_URL", c.PublicURL)
		if c.production() && !strings.HasPrefix(c.PublicURL, "https://") {
			check.fault("PUBLIC_URL", "is not https, which Telegram demands", "put TLS in front and set its https:// address")
		}
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	}
	if c.CatalogFile != "" {
		if info, err := os.Stat(c.CatalogFile); err != nil || !info.Mode().IsRegular() {
			check.fault("CATALOG_FILE", "names no file that can be read, "+strconv.Quote(c.CatalogFile), "correct the path, or unset it to use the built-in catalogue")
		}
	}
}

func (c *Config) checkStores(check checker) {
	check.database("DATABASE_URL", c.DatabaseURL)
	check.database("DATABASE_REPLICA_URL", c.DatabaseReplicaURL)
	check.redis("REDIS_URL", c.RedisURLs)
	check.redis("CACHE_REDIS_URL", c.CacheRedisURLs)
}

var (
	tokenShape     = regexp.MustCompile(`^[0-9]{1,16}:[A-Za-z0-9_-]{30,64}$`)
	simulatedShape = regexp.MustCompile(`^[0-9]{1,16}:[A-Za-z0-9_-]{1,64}$`)
	webhookShape   = regexp.MustCompile(`^[A-Za-z0-9_-]{1,256}$`)
	stripeKeyShape = regexp.MustCompile(`^[sr]k_[A-Za-z0-9_]{1,250}$`)
)

func (c *Config) checkTelegram(check checker) {
	shape := simulatedShape
	if c.production() {
		shape = tokenShape
	}
	if c.TelegramToken.IsSet() && !shape.MatchString(c.TelegramToken.Reveal()) {
		check.fault("TELEGRAM_BOT_TOKEN", "does not look like a bot's token", "copy it whole from @BotFather: digits, a colon, 35 characters")
	}
	check.web("TELEGRAM_API_URL", c.TelegramAPIURL)
	c.TelegramAPIURL = strings.TrimRight(c.TelegramAPIURL, "/")
	if secret := c.WebhookSecret.Reveal(); secret != "" {
		if !webhookShape.MatchString(secret) {
			check.fault("WEBHOOK_SECRET", "holds what Telegram refuses", "use 16 to 256 characters of A-Za-z0-9_-")
		}
		if c.production() && len(secret) < minWebhookSecret {
			check.fault("WEBHOOK_SECRET", "is too short to be a secret", "use 16 to 256 characters of A-Za-z0-9_-")
		}
	}
	if c.ChatModel == "" {
		check.fault("CHAT_MODEL", "is empty", "name a model of the catalogue")
	}
}

func (c *Config) checkMoney(check checker) {
	seen := map[string]bool{}
	for i, pepper := range c.KeyPeppers {
		text := pepper.Reveal()
		switch {
		case c.production() && text == developmentPepper:
			check.fault("KEY_PEPPER", "is the published one of development", "make a new one, as from openssl rand -hex 32")
		case c.production() && len(text) < minPepper:
			check.fault("KEY_PEPPER", fmt.Sprintf("has fewer than %d bytes in element %d", minPepper, i+1), "make one with openssl rand -hex 32")
		case seen[text]:
			check.fault("KEY_PEPPER", fmt.Sprintf("repeats an element as number %d", i+1), "name each pepper once, the newest first")
		}
		seen[text] = true
	}
	if c.WelcomeCredit > maxWelcome {
		check.fault("WELCOME_CREDIT_USD", "is more than 100 dollars for each new account", "set less")
	}
	if c.Referral > maxWelcome {
		check.fault("REFERRAL_CREDIT_USD", "is more than 100 dollars for each invitation", "set less")
	}
	if c.ReferralMost < 0 || c.ReferralMost > maxReferrals {
		check.fault("REFERRAL_MOST", "is not between 0 and 10000", "set how many invitations of an account count in a month, such as 10")
	}
	if c.LowBalance > maxLowBalance {
		check.fault("LOW_BALANCE_USD", "is more than 1000 dollars", "set the balance below which owners are told, such as 0.10, or 0 for never")
	}
	if c.StarValue <= 0 || c.StarValue > nanosPerUSD {
		check.fault("STAR_USD", "is not between 0 and 1 dollar", "set what one Star pays out, about 0.013")
	}
}

// checkStripe demands both secrets or none: without the second no payment would ever be
// credited, without the first none can be begun.
func (c *Config) checkStripe(check checker) {
	check.web("STRIPE_API_URL", c.StripeAPIURL)
	if c.production() && strings.HasPrefix(c.StripeAPIURL, "http://") {
		check.fault("STRIPE_API_URL", "is not https, and the secret key would travel in the open", "set an https:// address")
	}
	c.StripeAPIURL = strings.TrimRight(c.StripeAPIURL, "/")
	key, secret := c.StripeSecretKey.Reveal(), c.StripeWebhookSecret.Reveal()
	switch {
	case key == "" && secret != "":
		check.fault("STRIPE_SECRET_KEY", "is missing, and STRIPE_WEBHOOK_SECRET is set", "set both to take card payments, or none")
	case key != "" && secret == "":
		check.fault("STRIPE_WEBHOOK_SECRET", "is missing, and STRIPE_SECRET_KEY is set", "set both to take card payments, or none")
	}
	if key != "" && !stripeKeyShape.MatchString(key) {
		check.fault("STRIPE_SECRET_KEY", "does not look like a secret or restricted key", "copy it whole from Stripe's dashboard: it begins with sk_ or rk_")
	}
	if secret != "" && !strings.HasPrefix(secret, "whsec_") {
		check.fault("STRIPE_WEBHOOK_SECRET", "does not look like a webhook's signing secret", "copy it whole from the endpoint's page in Stripe's dashboard: it begins with whsec_")
	}
}

func (c *Config) checkNumbers(check checker) {
	between(check, "BODY_LIMIT_BYTES", c.BodyLimit, 1<<10, 512<<20)
	between(check, "REQUEST_LOG_DAYS", c.LogDays, 0, 3650)
	if c.TracesTo != "" {
		check.web("OTEL_EXPORTER_OTLP_ENDPOINT", c.TracesTo)
	}
	between(check, "POSTGRES_MAX_CONNS", c.PostgresMaxConns, 2, 1000)
	between(check, "BOT_CONCURRENCY", c.BotConcurrency, 1, 65536)
	between(check, "CHAT_MAX_OUTPUT", c.ChatMaxOutput, 1, 1<<20)
	between(check, "RATE_LIMIT_REQUESTS_PER_MINUTE", c.RequestsPerMinute, 1, 1<<31-1)
	if c.RatePerSecond == 0 {
		check.fault("RATE_LIMIT_PER_SECOND", "is out of bounds", bounds(leastPerSecond, mostPerSecond)+"; leave it and RATE_LIMIT_BURST_SIZE unset to turn it off")
	}
	between(check, "RATE_LIMIT_PER_SECOND", c.RatePerSecond, leastPerSecond, mostPerSecond)
	between(check, "RATE_LIMIT_BURST_SIZE", c.RateBurst, 1, 1_000_000)
	between(check, "RATE_LIMIT_GLOBAL_PER_MINUTE", c.GlobalPerMinute, 0, 1<<31-1)
	between(check, "AUTH_FAILURES_PER_MINUTE", c.AuthFailures, 0, 1_000_000)
	between(check, "TOPUPS_PER_HOUR", c.TopUpsPerHour, 0, 1_000_000)
	between(check, "LEDGER_MAX_BACKLOG", c.LedgerMaxBacklog, 1, 10_000_000)
	between(check, "CACHE_MAX_SIZE", c.CacheSize, 1, 100_000_000)
	between(check, "CACHE_COMPRESSION_THRESHOLD", c.CacheCompression, 0, 1<<30)
	between(check, "CACHE_MAX_VALUE_BYTES", c.CacheMaxValue, 1<<10, 64<<20)
	if !slices.Contains([]string{"tinylfu", "lru", "ttl"}, c.CachePolicy) {
		check.fault("CACHE_POLICY", "is none of the policies", "set tinylfu, lru or ttl")
	}
	between(check, "CIRCUIT_BREAKER_FAILURE_THRESHOLD", c.BreakerFailures, 1, 10_000)
	between(check, "CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS", c.BreakerHalfOpenCalls, 1, 1000)

	if c.PublicProbe != 0 {
		between(check, "PUBLIC_PROBE_EVERY", c.PublicProbe, 100*time.Millisecond, 24*time.Hour)
	}
	between(check, "DRAIN_TIMEOUT", c.DrainTimeout, time.Second, 10*time.Minute)
	between(check, "DRAIN_NOTICE", c.DrainNotice, 0, time.Minute)
	if c.DrainNotice > c.DrainTimeout/2 {
		c.notes = append(c.notes, "DRAIN_NOTICE is more than half of DRAIN_TIMEOUT, and half of that is what there will be: raise DRAIN_TIMEOUT, or lower DRAIN_NOTICE")
	}
	between(check, "DATABASE_REPLICA_MAX_LAG", c.ReplicaMaxLag, 100*time.Millisecond, 24*time.Hour)
	between(check, "BOT_HANDLER_DEADLINE", c.BotDeadline, time.Second, 10*time.Minute)
	between(check, "LEDGER_MAX_LAG", c.LedgerMaxLag, time.Second, 7*24*time.Hour)
	between(check, "HOLD_LIFE", c.HoldLife, 10*time.Second, time.Hour)
	between(check, "CACHE_DEFAULT_TTL", c.CacheTTL, 100*time.Millisecond, 24*time.Hour)
	if c.AnswerTTL != 0 {
		between(check, "ANSWER_CACHE_TTL", c.AnswerTTL, time.Second, 24*time.Hour)
	}
	between(check, "CIRCUIT_BREAKER_RECOVERY_TIMEOUT", c.BreakerRecovery, time.Second, time.Hour)
}

func (c checker) fault(variable, problem, mend string) { c.faults.add(variable, problem, mend) }

func between[T int | int32 | int64 | float64 | time.Duration](c checker, variable string, value, least, most T) {
	if !(value >= least && value <= most) { // so that NaN is out, too
		c.fault(variable, "is out of bounds", bounds(least, most))
	}
}

// bounds are least and most as people write them.
func bounds(least, most any) string {
	written := func(bound any) string {
		switch v := bound.(type) {
		case float64:
			return strconv.FormatFloat(v, 'f', -1, 64)
		case time.Duration:
			text := v.String() // 1h0m0s
			for _, none := range []string{"m0s", "h0m"} {
				if strings.HasSuffix(text, none) {
					text = text[:len(text)-2]
				}
			}
			return text
		}
		return fmt.Sprint(bound)
	}
	return "set " + written(least) + " to " + written(most)
}

func (c checker) address(variable, value string) {
	_, port, err := net.SplitHostPort(value)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		c.fault(variable, "is not an address to listen on", "write host:port, or :port for every interface")
	}
}

func (c checker) web(variable, value string) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		c.fault(variable, "is not a web address", "write https://host, perhaps with a port and a path, and nothing after")
	}
}

// database and redis must not quote what they refuse: it holds a password.
func (c checker) database(variable string, value Secret) {
	if !value.IsSet() {
		return
	}
	u, err := url.Parse(value.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || strings.Trim(u.Path, "/") == "" || u.Host == "" && u.Query().Get("host") == "" {
		c.fault(variable, "is not a Postgres URL", "write postgres://user:password@host:5432/kikuai, and % for what is special in the password")
	}
}

func (c checker) redis(variable string, values Secrets) {
	for _, value := range values {
		u, err := url.Parse(value.Reveal())
		if err != nil || u.Scheme != "redis" && u.Scheme != "rediss" || u.Hostname() == "" {
			c.fault(variable, "is not a Redis URL", "write redis://:password@host:6379/0 (rediss:// for TLS); several, with commas between, are a cluster")
			return
		}
		base := strings.Trim(u.Path, "/")
		if _, err := strconv.ParseUint(base, 10, 8); base != "" && err != nil {
			c.fault(variable, "does not end in a database's number", "write /0 after the port, or nothing")
		}
		if len(values) > 1 && base != "" && base != "0" {
			c.fault(variable, "chooses a database other than 0, and a cluster has no other", "drop what follows the port")
		}
	}
}
