package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// Secrets of every kind, none of them real. Each holds "hush", which no line
// may show.
const (
	apiKey   = "kk_42_hushABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklm_hush12"
	botToken = "123456789:AAhushAAhushAAhushAAhushAAhushAAhus"
	openAI   = "sk-proj-hushABCDEFGH1234"
	database = "postgres://kikuai:hu@sh/hush@db:5432/kikuai"
	cache    = "rediss://:hush@cache:6379/0"
	initData = "auth_date=1&user=%7B%22hush%22%7D&hash=0123456789abcdef0123456789abcdef"
)

func TestRedact(t *testing.T) {
	for in, want := range map[string]string{
		"key " + apiKey + " refused": "key kk_42_*** refused",
		"cut kk_42_hushABC":          "cut kk_42_***",
		"session kks_AQAAhush-hu_sh": "session kks_***",
		"Post \"https://api.telegram.org/bot" + botToken + "/sendMessage\": EOF": "Post \"https://api.telegram.org/bot123456789:***/sendMessage\": EOF",
		"https://x/bot" + strings.Replace(botToken, ":", "%3A", 1) + "/getMe":    "https://x/bot123456789%3A***/getMe",
		"Authorization: Bearer " + apiKey:                                        "Authorization: Bearer ***",
		"authorization: bearer hush.hush-hush":                                   "authorization: bearer ***",
		`{"Authorization":"Bearer hush"}`:                                        `{"Authorization":"Bearer ***"}`,
		"Authorization: Basic aHVzaDpodXNo==":                                    "Authorization: Basic ***",
		"x-api-key: hush-hush":                                                   "x-api-key: ***",
		"Authorization: tma " + initData:                                         "Authorization: tma ***",
		"X-Telegram-Bot-Api-Secret-Token: hush":                                  "X-Telegram-Bot-Api-Secret-Token: ***",
		"initData " + "hash=0123456789abcdef0123456789abcdef":                    "initData hash=***",
		"incorrect API key: " + openAI:                                           "incorrect API key: sk-***",
		"dial " + database + ": refused":                                         "dial postgres://kikuai:***@db:5432/kikuai: refused",
		"dial " + cache:                                                          "dial rediss://:***@cache:6379/0",
		"https://user:hush@host/path":                                            "https://user:***@host/path",
		"host=db user=x password=hush dbname=y":                                  "host=db user=x password=*** dbname=y",
		"GET /x?token=hush&a=1":                                                  "GET /x?token=***&a=1",
		"plain: 12:30:45 at http://host:8080/path?x=1, kk_ and sk-, task-force, 1234:short, a@b": "plain: 12:30:45 at http://host:8080/path?x=1, kk_ and sk-, task-force, 1234:short, a@b",
	} {
		if got := Redact(in); got != want {
			t.Errorf("Redact(%q)\n got %q\nwant %q", in, got, want)
		}
	}
}

type stringer struct{ text string }

func (s stringer) String() string { return s.text }

type valuer struct{}

func (valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("token", "hush"), slog.String("note", apiKey))
}

type nilError struct{ text string }

func (e *nilError) Error() string { return e.text }

func TestLoggersWriteNoSecret(t *testing.T) {
	for name, newLogger := range map[string]func(*bytes.Buffer) *slog.Logger{
		"json": func(b *bytes.Buffer) *slog.Logger { return NewLogger(b, slog.LevelDebug) },
		"text": func(b *bytes.Buffer) *slog.Logger { return NewTextLogger(b, slog.LevelDebug) },
	} {
		var out bytes.Buffer
		log := newLogger(&out)
		log.Info("message with "+apiKey, "err", fmt.Errorf("wrapped: %w", errors.New("bad "+openAI)))
		log.Info("joined", "err", errors.Join(errors.New(cache), errors.New(database)))
		for _, key := range []string{
			"token", "bot_token", "botToken", "X-Api-Key", "password", "webhook_secret", "authorization",
			"Authorization", "key", "pepper", "prompt", "content", "messages", "answer", "initData", "text", "DSN",
		} {
			log.Info("named", key, "hush")
			log.Info("named", key, errors.New("hush"))
			log.Info("named", key, []string{"hush"})
		}
		log.Info("group", slog.Group("outer", slog.Group("inner", "secret", "hush", "url", database)))
		log.Info("secret group", slog.Group("prompt", "first", "hush"))
		log.WithGroup("password").Info("within", "value", "hush")
		log.With("token", "hush", "note", apiKey).WithGroup("g").With("key", "hush").Info("kept")
		log.Info("values", "v", valuer{}, "s", stringer{apiKey}, "b", []byte("Bearer hush"), "l", []string{openAI})
		log.Info("structures", "m", map[string]any{"deep": []any{map[string]string{"api_key": "hush", "note": botToken}}, apiKey: 1},
			"s", struct{ Token, Note string }{"hush", cache})
		log.Info("odd", "f", func() {}, "c", newLogger, "e", (*nilError)(nil), "n", nil)
		if strings.Contains(strings.ToLower(out.String()), "hush") {
			for line := range strings.SplitSeq(out.String(), "\n") {
				if strings.Contains(strings.ToLower(line), "hush") {
					t.Errorf("%s: %s", name, line)
				}
			}
		}
	}
}

func TestLoggerKeepsWhatIsHarmless(t *testing.T) {
	var out bytes.Buffer
	log := NewLogger(&out, slog.LevelInfo)
	log.Debug("below the level")
	log.Info("done", "prompt", 12, "key_id", "17", "prompt_tokens", int64(9), "took", time.Second, "ok", true,
		"monkey", "banana", "tokens", "many", "err", errors.New("no route to host"), "m", map[string]int{"n": 1}, "account", 42)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	for key, want := range map[string]string{
		"msg": "done", "prompt": "12", "key_id": "17", "prompt_tokens": "9", "took": "1e+09", "ok": "true",
		"monkey": "banana", "tokens": "many", "err": "no route to host", "m": "map[n:1]", "account": "42", "level": "INFO",
	} {
		if got := fmt.Sprint(line[key]); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
}

func BenchmarkLogger(b *testing.B) {
	log := NewLogger(discard{}, slog.LevelInfo)
	b.ReportAllocs()
	for b.Loop() {
		log.Info("request answered", "request_id", "0192f5a0", "route", "/v1/chat/completions", "status", 200, "err", errShort)
	}
}

var errShort = errors.New("upstream closed the stream: unexpected EOF")

type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }
