package telemetry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"time"
)

const hidden = "***"

// rule hides one shape of secret. A text without the hint is not searched: a
// regular expression costs more than most log lines are worth.
type rule struct {
	hint    string // in lower case; found in the lower-cased text
	pattern *regexp.Regexp
	with    string
}

// rules are read-only after the program's start.
var rules = []rule{
	// Our own API keys; the account stays, for it is what one searches for.
	{"kk_", regexp.MustCompile(`(?i)(kk_\d+_)[A-Za-z0-9]+(?:_[A-Za-z0-9]+)?`), "${1}" + hidden},
	// Tokens of the Mini App's sessions.
	{"kks_", regexp.MustCompile(`(?i)(kks_)[\w-]+`), "${1}" + hidden},
	// Telegram bot tokens, alone or in a URL's path; the bot's id stays.
	{":", regexp.MustCompile(`(\d{3,}:)[\w-]{30,}`), "${1}" + hidden},
	{"%3a", regexp.MustCompile(`(?i)(\d{3,}%3A)[\w-]{30,}`), "${1}" + hidden},
	// Providers' keys.
	{"sk-", regexp.MustCompile(`\bsk-[\w-]{8,}`), "sk-" + hidden},
	// Passwords in URLs. Those of the stores may hold any character; the last
	// @ of the word ends them.
	{"postgres", regexp.MustCompile(`(?i)(postgres(?:ql)?://[^\s:/@]*:)\S+@`), "${1}" + hidden + "@"},
	{"redis", regexp.MustCompile(`(?i)(rediss?://[^\s:/@]*:)\S+@`), "${1}" + hidden + "@"},
	{"://", regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*://[^\s:/@]*:)[^\s/@]+@`), "${1}" + hidden + "@"},
	// Credentials of HTTP headers: Bearer and Basic values, Mini App data.
	{"bearer", regexp.MustCompile(`(?i)(bearer[\s:="]+)[^\s",}]+`), "${1}" + hidden},
	{"basic ", regexp.MustCompile(`(?i)(basic\s+)[A-Za-z0-9+/=]{8,}`), "${1}" + hidden},
	{"tma ", regexp.MustCompile(`(?i)(\btma\s+)\S*=\S*`), "${1}" + hidden},
	{"hash=", regexp.MustCompile(`(?i)(\bhash=)[0-9a-f]{32,}`), "${1}" + hidden},
	{"signature=", regexp.MustCompile(`(?i)(\bsignature=)[\w-]{32,}`), "${1}" + hidden},
	{"api-key", regexp.MustCompile(`(?i)(api-key["']?\s*[:=]\s*["']?)[^\s"',}]+`), "${1}" + hidden},
	{"secret-token", regexp.MustCompile(`(?i)(secret-token["']?\s*[:=]\s*["']?)[^\s"',}]+`), "${1}" + hidden},
	// name=value, as in connection strings and queries.
	{"=", regexp.MustCompile(`(?i)((?:password|passwd|secret|token|api_?key)=)[^\s&"']+`), "${1}" + hidden},
}

// Redact takes what looks like a secret out of a text: KikuAI's, Telegram's
// and the providers' keys, Authorization values, passwords in URLs.
func Redact(text string) string {
	lower := strings.ToLower(text)
	for _, r := range rules {
		if strings.Contains(lower, r.hint) {
			text = r.pattern.ReplaceAllString(text, r.with)
		}
	}
	return text
}

// secretNames are attributes whose text is never written, whatever it looks
// like: secrets, and what people say to models. In the name's snake_case form,
// alone or as its last words (bot_token, webhook_secret).
var secretNames = []string{
	"token", "secret", "password", "passwd", "authorization", "cookie", "credential", "credentials",
	"key", "keys", "apikey", "pepper", "peppers", "mac", "dsn", "init_data", "initdata",
	"prompt", "prompts", "content", "completion", "messages", "text", "body", "payload", "answer", "question",
}

func secretName(name string) bool {
	name = snake(name)
	for _, s := range secretNames {
		if name == s || strings.HasSuffix(name, s) && name[len(name)-len(s)-1] == '_' {
			return true
		}
	}
	return false
}

// snake turns botToken, X-Api-Key and bot.token into bot_token and so on.
func snake(name string) string {
	var b strings.Builder
	lower := false
	for _, c := range []byte(name) {
		switch {
		case c == '-' || c == '.' || c == ' ':
			c = '_'
		case c >= 'A' && c <= 'Z':
			if lower {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
			lower = false
			b.WriteByte(c)
			continue
		}
		lower = c != '_'
		b.WriteByte(c)
	}
	return b.String()
}

// redactAttr is the handlers' hook. They call it for every attribute but
// groups themselves, for the members of groups with the groups' names, and for
// the message.
func redactAttr(groups []string, a slog.Attr) slog.Attr {
	named := secretName(a.Key)
	for _, group := range groups {
		named = named || secretName(group)
	}
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(redactString(a.Value.String(), named))
	case slog.KindAny:
		a.Value = redactAny(a.Value.Any(), named)
	}
	return a // numbers, times and truth values are no secrets: prompt=12 counts tokens
}

func redactString(text string, named bool) string {
	if named && text != "" {
		return hidden
	}
	return Redact(text)
}

func redactAny(value any, named bool) slog.Value {
	switch v := value.(type) {
	case nil, *slog.Source, slog.Level, time.Time:
		return slog.AnyValue(value)
	case error:
		return slog.StringValue(redactString(errorText(v), named))
	}
	if named {
		return slog.StringValue(hidden)
	}
	if raw, is := value.([]byte); is {
		return slog.StringValue(Redact(string(raw)))
	}
	raw, err := json.Marshal(value)
	if err != nil {
		return slog.StringValue(Redact(fmt.Sprint(value)))
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var tree any
	if decoder.Decode(&tree) != nil {
		return slog.StringValue(Redact(fmt.Sprint(value)))
	}
	if text, is := tree.(string); is {
		return slog.StringValue(Redact(text))
	}
	return slog.AnyValue(redactTree(tree, false))
}

// errorText survives an error whose value is a nil pointer.
func errorText(err error) (text string) {
	defer func() {
		if p := recover(); p != nil {
			text = fmt.Sprintf("!PANIC in Error: %v", p)
		}
	}()
	return err.Error()
}

// redactTree works on what encoding/json decodes.
func redactTree(node any, named bool) any {
	switch v := node.(type) {
	case string:
		return redactString(v, named)
	case []any:
		for i := range v {
			v[i] = redactTree(v[i], named)
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for key, value := range v {
			clean[Redact(key)] = redactTree(value, named || secretName(key))
		}
		return clean
	}
	return node
}
