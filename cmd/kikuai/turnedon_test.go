package main

import (
	"strings"
	"testing"
	"time"
)

// TestTurnedOn: what is on is told, what is off for want of a setting too, and where
// people read the log it is a sentence.
func TestTurnedOn(t *testing.T) {
	most := turnedOn{
		version: "v1", profile: "development", listen: ":8080", ops: ":9091", postgres: "db:5432/kikuai", pooled: true, replica: "standby:5432/kikuai",
		redis: []string{"a:1", "b:2"}, cacheRedis: []string{"c:3/0"}, answers: time.Hour, perMinute: 120, global: 5000, perSecond: 2, burst: 10,
		bot: "kikuai_bot", updates: byPolling, telegram: "127.0.0.1:8081", miniApp: "https://x/webapp/", cards: true,
		providers: []string{"openai", "home"}, models: 7, traces: "otel:4318", logDays: 30,
	}
	for _, part := range []string{
		"kikuai v1, profile development: API on :8080, metrics on :9091;", "Postgres db:5432/kikuai through PgBouncer, replica standby:5432/kikuai;",
		"Redis a:1, b:2 (a cluster), the cache's c:3/0;", "120 requests a minute for a key, 2 a second with bursts of 10, 5000 for all together;",
		"bot @kikuai_bot by polling from 127.0.0.1:8081; Mini App https://x/webapp/;", "7 models by openai, home; cards by Stripe; traces to otel:4318; request log of 30 days.",
	} {
		if !strings.Contains(most.sentence(), part) {
			t.Errorf("%q is not in\n%s", part, most.sentence())
		}
	}
	least := turnedOn{updates: notThere}
	for _, part := range []string{"no bot (set TELEGRAM_BOT_TOKEN)", "0 models by no provider at all", " Off: card payments, traces, request log, kept answers."} {
		if !strings.Contains(least.sentence(), part) {
			t.Errorf("%q is not in\n%s", part, least.sentence())
		}
	}
	for address, want := range map[string]string{
		"postgres://u:p@db:5432/kikuai?sslmode=disable": "db:5432/kikuai", "redis://:p@r:6379/0": "r:6379/0", "http://otel:4318/": "otel:4318", "": "",
	} {
		if got := hostsOf(address); got != want {
			t.Errorf("%s leads to %q", address, got)
		}
	}
}
