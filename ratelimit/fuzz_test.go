package ratelimit_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kikuai/kikuai/internal/testenv"
	"github.com/kikuai/kikuai/ratelimit"
)

// FuzzReport: no report panics; one that is read can be explained, headed and read
// again from what Redis would say of it.
func FuzzReport(f *testing.F) {
	for _, seed := range []string{
		"0", "", "1;", "-1", "2;w|requests|key|1|1|0|0|0|1|k",
		"1;w|requests|key|120|60000000|0|1500001|1800000000000000|1|lim:{s07}:key:%7C%3b%25",
		"0;b|burst|key|10|5000000|9|500000|1800000000000000|1|b;c|concurrency|key|4|0|3|0|1800000000000000|1|c",
		"0;w|a|b|9223372036854775807|9223372036854775807|1|1|1|1|%", "0;w|||0|0|0|0|0|0|%zz", "0;ww|||0|0|0|0|0|0|",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, report string) {
		d, err := ratelimit.ParseReport(report)
		if err != nil {
			if d.Allowed {
				t.Fatalf("allowed by %q", report)
			}
			return
		}
		if !d.Allowed && d.Err() == nil {
			t.Fatalf("denied without an error: %q", report)
		}
		for _, h := range d.Headers() {
			if strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%s: %q", h.Name, h.Value)
			}
		}
	})
}

// FuzzHeaders: whatever a limit is called and counts, its headers are printable and its
// list has as many members as there are limits.
func FuzzHeaders(f *testing.F) {
	f.Add("requests", "key", int64(120), int64(119), int64(60), byte('w'))
	f.Add("a\", \"b", "c\r\nd", int64(-1), int64(1)<<62, int64(-5), byte(0))
	f.Fuzz(func(t *testing.T, name, scope string, most, remaining, micros int64, kind byte) {
		r := ratelimit.Result{
			Limit:     ratelimit.Limit{Kind: ratelimit.Kind(kind), Name: name, Scope: scope, Max: most, Span: time.Duration(micros)},
			Remaining: remaining, Reset: time.Duration(micros),
		}
		d := ratelimit.Decision{Results: []ratelimit.Result{r, r}}
		for _, h := range d.Headers() {
			if strings.ContainsFunc(h.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Fatalf("%s: %q", h.Name, h.Value)
			}
			if strings.HasPrefix(h.Name, "RateLimit") && strings.Count(h.Value, `"`) < 4 {
				t.Fatalf("%s: %q", h.Name, h.Value)
			}
		}
		if d.Err() == nil {
			t.Fatal("denied without an error")
		}
	})
}

// FuzzKey: a key keeps its tag and its scope whatever the id, and is no other id's.
func FuzzKey(f *testing.F) {
	f.Add("42", "43")
	f.Add("}{s01}", "a:t")
	f.Add("", strings.Repeat("x", 65))
	f.Add("~", "a|b;c%")
	f.Fuzz(func(t *testing.T, a, b string) {
		one, other := ratelimit.Key("s07", "ip", a), ratelimit.Key("s07", "ip", b)
		if (one == other) != (a == b) {
			t.Fatalf("%q and %q are %q and %q", a, b, one, other)
		}
		rest, ok := strings.CutPrefix(one, "lim:{s07}:ip:")
		if !ok || rest == "" || strings.ContainsAny(rest, "|;%{}: \r\n") || len(one) > 100 {
			t.Fatalf("%q is %q", a, one)
		}
	})
}

// FuzzExpand: the two expansions of a packed string agree, in what they refuse too, and
// what they make are limits.
func FuzzExpand(f *testing.F) {
	client := testenv.Redis(f)
	for _, seed := range []string{
		"120|0|0|0|0", "1|2|3|4|5", "0|0|0|2000|10", "0|0|0|1|2147483647", "0|0|0|2147483647|1", "0|0|0|3|7",
		"99999999999999999999999|1|1|1|1", "99999999999999999999A|0|0|0|0", "", "1|2|3|4", "1|2|3|4|5|6", "-1|0|0|0|0", "+1|0|0|0|0", "1_0|0|0|0|0", " 1|0|0|0|0", "1|0|0|0|0\n", "00|0|0|0|007",
	} {
		f.Add(seed)
	}
	const script = `
local list = {}
if not limits_expand(list, ARGV[1], 'base', 'key', 7) then return false end
for _, e in ipairs(list) do e.left, e.reset, e.at = 0, 0, 0 end
return limits_report(list, nil)`
	f.Fuzz(func(t *testing.T, packed string) {
		limits, err := ratelimit.Expand(packed, "base", "key", 7)
		report, luaErr := client.Eval(context.Background(), ratelimit.Lua()+script, nil, packed).Text()
		if (err == nil) != (luaErr == nil) {
			t.Fatalf("%q: Go says %v, Lua says %v", packed, err, luaErr)
		}
		if err != nil {
			return
		}
		d, err := ratelimit.ParseReport(report)
		if err != nil {
			t.Fatal(err)
		}
		got := make([]ratelimit.Limit, 0, 4)
		for _, r := range d.Results {
			got = append(got, r.Limit)
		}
		if diff := cmp.Diff(limits, got); diff != "" {
			t.Fatalf("%q: Go is -, Lua is +:\n%s", packed, diff)
		}
		source := ratelimit.NewMemory(time.Now)
		if _, _, err := source.Take(context.Background(), "id", time.Minute, limits); err != nil {
			t.Fatalf("%q: %v", packed, err)
		}
	})
}
