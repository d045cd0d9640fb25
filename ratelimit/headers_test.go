package ratelimit_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/ratelimit"
)

func headers(d ratelimit.Decision) map[string]string {
	got := map[string]string{}
	for _, h := range d.Headers() {
		got[h.Name] = h.Value
	}
	return got
}

// TestHeaders: every limit is a list member, and OpenAI's headers are of the tightest.
func TestHeaders(t *testing.T) {
	window := func(name, scope string, most, remaining int64, reset time.Duration) ratelimit.Result {
		return ratelimit.Result{
			Limit:     ratelimit.Limit{Kind: ratelimit.Window, Name: name, Scope: scope, Max: most, Span: time.Minute},
			Remaining: remaining, Reset: reset,
		}
	}
	bucket, places := window("burst", "key", 10, 9, 500*time.Millisecond), window("concurrency", "key", 4, 3, 0)
	bucket.Kind, bucket.Span = ratelimit.Bucket, 5*time.Second
	places.Kind, places.Span = ratelimit.Concurrency, 0
	for name, row := range map[string]struct {
		results []ratelimit.Result
		want    map[string]string
	}{
		"nothing limits": {nil, map[string]string{}},
		"one": {
			[]ratelimit.Result{window("requests", "key", 120, 0, 1_500_001*time.Microsecond)},
			map[string]string{
				"RateLimit-Policy":               `"requests";q=120;w=60`,
				"RateLimit":                      `"requests";r=0;t=2`,
				"X-Ratelimit-Limit-Requests":     "120",
				"X-Ratelimit-Remaining-Requests": "0",
				"X-Ratelimit-Reset-Requests":     "1.5s",
			},
		},
		"all": {
			[]ratelimit.Result{
				window("requests", "key", 120, 100, time.Minute), window("tokens", "key", 9000, 8000, 30*time.Second), bucket, places,
				window("requests", "account", 600, 99, 10*time.Second), window("tokens", "account", 90_000, 8000, time.Minute),
			},
			map[string]string{
				"RateLimit-Policy": `"requests";q=120;w=60, "tokens";q=9000;w=60;qu="tokens", "burst";q=10;w=5, ` +
					`"concurrency";q=4;qu="concurrent-requests", "account-requests";q=600;w=60, "account-tokens";q=90000;w=60;qu="tokens"`,
				"RateLimit": `"requests";r=100;t=60, "tokens";r=8000;t=30, "burst";r=9;t=1, "concurrency";r=3, ` +
					`"account-requests";r=99;t=10, "account-tokens";r=8000;t=60`,
				"X-Ratelimit-Limit-Requests":     "600",
				"X-Ratelimit-Remaining-Requests": "99",
				"X-Ratelimit-Reset-Requests":     "10s",
				"X-Ratelimit-Limit-Tokens":       "90000",
				"X-Ratelimit-Remaining-Tokens":   "8000",
				"X-Ratelimit-Reset-Tokens":       "1m0s",
			},
		},
		"of the program's own words alone": {
			[]ratelimit.Result{window("a\"b\r\nX: y", "s\\;\xff", ratelimit.MostUnits, ratelimit.MostUnits, 0)},
			map[string]string{
				"RateLimit-Policy": `"s_;_-a_b__X: y";q=999999999999999;w=60`,
				"RateLimit":        `"s_;_-a_b__X: y";r=999999999999999;t=0`,
			},
		},
	} {
		if diff := cmp.Diff(row.want, headers(ratelimit.Decision{Allowed: true, Results: row.results})); diff != "" {
			t.Errorf("%s:\n%s", name, diff)
		}
	}
}

// TestRetryAfterIsTrue: at the second that Retry-After names the call passes, and a
// second earlier it does not, for windows of both sizes and for buckets, at any cost.
func TestRetryAfterIsTrue(t *testing.T) {
	onAll(t, func(t *testing.T, s asked) {
		for _, limit := range []ratelimit.Limit{requests(5), tokens(100, 35), tokens(5000, 1700), burst(6, 7*time.Second)} {
			d, _ := s.take("fills", limit)
			for d.Allowed {
				s.Advance(370 * time.Millisecond)
				d, _ = s.take("fills", limit)
			}
			wait := d.Err().(*ratelimit.ExceededError).RetryAfterSeconds() //nolint:errorlint // Err's own type
			s.Advance(time.Duration(wait-1) * time.Second)
			if d, _ = s.take("early", limit); d.Allowed {
				t.Errorf("%s: passed a second before Retry-After of %d s", limit.Name, wait)
			}
			s.Advance(time.Second)
			if d, _ = s.take("in time", limit); !d.Allowed {
				t.Errorf("%s: denied at Retry-After of %d s", limit.Name, wait)
			}
		}
	})
}

func BenchmarkReport(b *testing.B) {
	report := "0;w|requests|key|120|60000000|119|60000000|1800000000000000|1|lim:{s07}:key:abcdefghijkl" +
		";w|tokens|key|90000|60000000|88000|60400000|1800000000000000|2000|lim:{s07}:key:abcdefghijkl:t"
	b.ReportAllocs()
	for b.Loop() {
		d, err := ratelimit.ParseReport(report)
		if err != nil || len(d.Headers()) != 8 {
			b.Fatal(err)
		}
	}
}
