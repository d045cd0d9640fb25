// Package config reads the program's settings from environment variables. It
// reports every fault at once and prints no secret. cmd alone imports it: the
// other packages are handed what they need.
package config

import (
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Profile is the kind of place the program runs in. It chooses defaults and
// how much is demanded:
//
//	                     development      testing          production
//	log lines            text             JSON             JSON
//	LOG_LEVEL            debug            info             info
//	WELCOME_CREDIT_USD   0.50             0                0
//	REFERRAL_CREDIT_USD  0.25             0                0
//	KEY_PEPPER           a published one  a published one  needed, 32 bytes or more each
//	TELEGRAM_BOT_TOKEN   may be absent    may be absent    needed by serve
//	WEBHOOK_SECRET       may be absent    may be absent    needed by serve, 16 characters or more
//	PUBLIC_URL           absent or http   absent or http   needed by serve, https
type Profile string

// The profiles. Production is what an unset KIKUAI_ENV means: forgetting it
// must not loosen anything.
const (
	Development Profile = "development"
	Testing     Profile = "testing"
	Production  Profile = "production"
)

// Config is every setting, each named by its env tag. A field of type Secret
// or Secrets may also come from the file that <name>_FILE names. The defaults
// of the tags hold in every profile; profileDefaults holds the others.
type Config struct {
	Profile      Profile       `env:"KIKUAI_ENV" envDefault:"production"`
	LogLevel     slog.Level    `env:"LOG_LEVEL"`
	ListenAddr   string        `env:"LISTEN_ADDR" envDefault:":8080"`
	OpsAddr      string        `env:"OPS_ADDR" envDefault:"127.0.0.1:9091"`
	DrainTimeout time.Duration `env:"DRAIN_TIMEOUT" envDefault:"25s"`
	DrainNotice  time.Duration `env:"DRAIN_NOTICE"` // of DRAIN_TIMEOUT: how long new connections are still taken
	PublicURL    string        `env:"PUBLIC_URL"`
	PublicProbe  time.Duration `env:"PUBLIC_PROBE_EVERY" envDefault:"1m"` // 0: nobody looks
	LogDays      int           `env:"REQUEST_LOG_DAYS" envDefault:"30"`   // 0: no request log
	TracesTo     string        `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`        // empty: nothing is traced
	Proxies      Networks      `env:"TRUSTED_PROXIES" envDefault:"127.0.0.0/8,::1/128"`
	BodyLimit    int           `env:"BODY_LIMIT_BYTES" envDefault:"20971520"`

	DatabaseURL        Secret        `env:"DATABASE_URL"`
	DatabaseReplicaURL Secret        `env:"DATABASE_REPLICA_URL"` // empty: all is read from DATABASE_URL
	ReplicaMaxLag      time.Duration `env:"DATABASE_REPLICA_MAX_LAG" envDefault:"2s"`
	PostgresMaxConns   int32         `env:"POSTGRES_MAX_CONNS" envDefault:"20"`

	RedisURLs         Secrets `env:"REDIS_URL"` // several: a cluster
	RedisAutoPipeline bool    `env:"REDIS_AUTOPIPELINE" envDefault:"true"`
	CacheRedisURLs    Secrets `env:"CACHE_REDIS_URL"`

	TelegramToken  Secret        `env:"TELEGRAM_BOT_TOKEN"`
	TelegramAPIURL string        `env:"TELEGRAM_API_URL" envDefault:"https://api.telegram.org"`
	WebhookSecret  Secret        `env:"WEBHOOK_SECRET"`
	BotConcurrency int           `env:"BOT_CONCURRENCY" envDefault:"256"`
	BotDeadline    time.Duration `env:"BOT_HANDLER_DEADLINE" envDefault:"120s"`
	ChatModel      string        `env:"CHAT_MODEL" envDefault:"gpt-4o-mini"`
	SummaryModel   string        `env:"CHAT_SUMMARY_MODEL"`
	HearingModel   string        `env:"CHAT_HEARING_MODEL" envDefault:"gpt-4o-mini-transcribe"`
	SupportContact string        `env:"SUPPORT_CONTACT"`    // shown by /paysupport
	Admins         TelegramIDs   `env:"ADMIN_TELEGRAM_IDS"` // who may /broadcast, /stats, /ban and /unban
	ChatMaxOutput  int64         `env:"CHAT_MAX_OUTPUT" envDefault:"1024"`

	KeyPeppers    Secrets `env:"KEY_PEPPER"` // newest first
	WelcomeCredit USD     `env:"WELCOME_CREDIT_USD" envDefault:"0"`
	Referral      USD     `env:"REFERRAL_CREDIT_USD" envDefault:"0"` // to both sides of an invitation
	ReferralMost  int     `env:"REFERRAL_MOST" envDefault:"10"`      // invitations of an account that count in a month
	StarValue     USD     `env:"STAR_USD" envDefault:"0.013"`
	LowBalance    USD     `env:"LOW_BALANCE_USD" envDefault:"0.10"` // 0: nobody is told

	LedgerMaxLag     time.Duration `env:"LEDGER_MAX_LAG" envDefault:"15m"`
	LedgerMaxBacklog int           `env:"LEDGER_MAX_BACKLOG" envDefault:"100000"` // events of one shard
	HoldLife         time.Duration `env:"HOLD_LIFE" envDefault:"1m"`              // of a hold that nobody renews

	StripeSecretKey     Secret `env:"STRIPE_SECRET_KEY"` // empty: no card payments
	StripeWebhookSecret Secret `env:"STRIPE_WEBHOOK_SECRET"`
	StripeAPIURL        string `env:"STRIPE_API_URL" envDefault:"https://api.stripe.com"`

	CatalogFile  string `env:"CATALOG_FILE"` // empty: the embedded catalogue
	OpenAIKey    Secret `env:"OPENAI_API_KEY"`
	AnthropicKey Secret `env:"ANTHROPIC_API_KEY"`
	GoogleKey    Secret `env:"GEMINI_API_KEY"`
	DeepSeekKey  Secret `env:"DEEPSEEK_API_KEY"`
	MistralKey   Secret `env:"MISTRAL_API_KEY"`
	XAIKey       Secret `env:"XAI_API_KEY"`
	GroqKey      Secret `env:"GROQ_API_KEY"`
	TogetherKey  Secret `env:"TOGETHER_API_KEY"`

	RequestsPerMinute int     `env:"RATE_LIMIT_REQUESTS_PER_MINUTE" envDefault:"120"`
	RatePerSecond     float64 `env:"RATE_LIMIT_PER_SECOND" envDefault:"2.0"` // see Bucket
	RateBurst         int     `env:"RATE_LIMIT_BURST_SIZE" envDefault:"10"`
	GlobalPerMinute   int     `env:"RATE_LIMIT_GLOBAL_PER_MINUTE" envDefault:"0"` // 0: none
	AuthFailures      int     `env:"AUTH_FAILURES_PER_MINUTE" envDefault:"300"`   // 0: none are limited
	TopUpsPerHour     int     `env:"TOPUPS_PER_HOUR" envDefault:"60"`             // 0: none are limited

	CacheSize        int           `env:"CACHE_MAX_SIZE" envDefault:"10000"` // entries
	CacheTTL         time.Duration `env:"CACHE_DEFAULT_TTL" envDefault:"5m"`
	CacheCompression int           `env:"CACHE_COMPRESSION_THRESHOLD" envDefault:"1024"` // bytes
	CachePolicy      string        `env:"CACHE_POLICY" envDefault:"tinylfu"`             // or lru, ttl
	CacheMaxValue    int           `env:"CACHE_MAX_VALUE_BYTES" envDefault:"1048576"`
	AnswerTTL        time.Duration `env:"ANSWER_CACHE_TTL" envDefault:"1h"` // 0: no answer is cached

	BreakerFailures      int           `env:"CIRCUIT_BREAKER_FAILURE_THRESHOLD" envDefault:"5"`
	BreakerRecovery      time.Duration `env:"CIRCUIT_BREAKER_RECOVERY_TIMEOUT" envDefault:"60"` // a bare number is seconds
	BreakerHalfOpenCalls int           `env:"CIRCUIT_BREAKER_HALF_OPEN_MAX_CALLS" envDefault:"3"`

	shaping bool     // whether one of the bucket's two variables is set
	notes   []string // see Notes
}

// Lookup finds a variable: os.LookupEnv, or a test's map.
type Lookup func(name string) (value string, set bool)

// Need says which variables a command cannot do without.
type Need uint8

// The needs; combine them with |.
const (
	NeedDatabase Need = 1 << iota // DATABASE_URL
	NeedRedis                     // REDIS_URL
	NeedPepper                    // KEY_PEPPER, in production
	NeedTelegram                  // TELEGRAM_BOT_TOKEN
	NeedWebhook                   // PUBLIC_URL and WEBHOOK_SECRET
	NeedServe                     // in production all of the above, elsewhere database and Redis

	NeedNothing Need = 0
)

// developmentPepper is no secret: anybody can read it here. It lets a fresh
// clone make keys that survive its restarts.
const developmentPepper = "kikuai-development-pepper-not-for-production"

func profileDefaults(p Profile) map[string]string {
	switch p {
	case Development:
		return map[string]string{"LOG_LEVEL": "debug", "WELCOME_CREDIT_USD": "0.50", "REFERRAL_CREDIT_USD": "0.25", "KEY_PEPPER": developmentPepper, "DRAIN_NOTICE": "0s"}
	case Testing:
		return map[string]string{"LOG_LEVEL": "info", "KEY_PEPPER": developmentPepper, "DRAIN_NOTICE": "0s"}
	default:
		return map[string]string{"LOG_LEVEL": "info", "DRAIN_NOTICE": "5s"}
	}
}

// Load reads and checks every variable, and those that need names for
// presence. names are those of all variables that are set: among them are those that
// somebody misspelt. Its error is a *FaultsError with all that is wrong.
func Load(lookup Lookup, need Need, names ...string) (*Config, error) {
	faults := &FaultsError{}
	values := collect(lookup, faults)
	c := &Config{shaping: values["RATE_LIMIT_PER_SECOND"] != "" || values["RATE_LIMIT_BURST_SIZE"] != ""}
	err := env.ParseWithOptions(c, env.Options{Environment: values, FuncMap: parsers()})
	faults.addParsing(err)
	c.check(faults, need)
	c.suspect(faults, suspects(names, lookup), lookup)
	if len(faults.Faults) > 0 {
		faults.sort()
		return nil, faults
	}
	return c, nil
}

// collect gathers what is set, from <name>_FILE where a secret comes from a
// file, and fills in the profile's defaults.
func collect(lookup Lookup, faults *FaultsError) map[string]string {
	values := map[string]string{}
	for _, v := range variables() {
		value, _ := lookup(v.name)
		if v.secret {
			var fault *Fault
			if value, fault = fromFile(lookup, v.name); fault != nil {
				faults.Faults = append(faults.Faults, *fault)
			}
		}
		if value = strings.TrimSpace(value); value != "" {
			values[v.name] = value
		}
	}
	profile := Profile(values["KIKUAI_ENV"])
	for name, value := range profileDefaults(profile) {
		if values[name] == "" {
			values[name] = value
		}
	}
	return values
}

// Bucket returns the token bucket of keys and chats without limits of their own: its
// refill in thousandths of a token per second, and its size in tokens. Both are zero, and
// there is no bucket, unless one of its two variables is set; the other's default then
// completes it.
func (c *Config) Bucket() (refill, burst int64) {
	if !c.shaping {
		return 0, 0
	}
	return int64(math.Round(c.RatePerSecond * 1000)), int64(c.RateBurst)
}

// Text reports whether log lines are for people rather than for machines.
func (c *Config) Text() bool { return c.Profile == Development }

// maxSecretFile bounds what is read of a secret's file, in bytes.
const maxSecretFile = 64 << 10

func fromFile(lookup Lookup, name string) (string, *Fault) {
	value, _ := lookup(name)
	path, _ := lookup(name + "_FILE")
	if path == "" {
		return value, nil
	}
	if value != "" {
		return "", &Fault{name, "is set, and so is " + name + "_FILE", "keep one of the two"}
	}
	raw, err := readSecret(path)
	if errors.Is(err, errSecretSize) {
		return "", &Fault{name + "_FILE", "names a file of more than 64 KiB", "name the file that holds the secret alone"}
	}
	if err != nil {
		reason := "" // the path stays out: somebody may have put the secret itself there
		var pathErr *fs.PathError
		if errors.As(err, &pathErr) {
			reason = " (" + pathErr.Err.Error() + ")"
		}
		return "", &Fault{name + "_FILE", "names a file that cannot be read" + reason, "name a file that this user may read"}
	}
	if value = strings.TrimSpace(string(raw)); value == "" {
		return "", &Fault{name + "_FILE", "names an empty file", "write the secret into it"}
	}
	return value, nil
}

var errSecretSize = errors.New("secret file too large")

func readSecret(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err == nil && len(raw) > maxSecretFile {
		err = errSecretSize
	}
	return raw, err
}

type variable struct {
	name     string
	field    string // of Config
	fallback string // the tag's default
	secret   bool
}

// variables lists what Config's tags name, in their order.
func variables() []variable {
	var list []variable
	t := reflect.TypeFor[Config]()
	for i := range t.NumField() {
		field := t.Field(i)
		name := field.Tag.Get("env")
		if name == "" {
			continue
		}
		list = append(list, variable{
			name: name, field: field.Name, fallback: field.Tag.Get("envDefault"),
			secret: field.Type == reflect.TypeFor[Secret]() || field.Type == reflect.TypeFor[Secrets](),
		})
	}
	return list
}
