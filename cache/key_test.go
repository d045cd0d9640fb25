package cache

import (
	"path"
	"strings"
	"testing"
)

// FuzzKey: escaping can be undone, keeps keys apart, and leaves nothing that has a
// meaning in a hash tag, in SCAN's patterns or in a message.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"", "plain", "account:17/a", "{", "}{", "*?[a]\\", "%", "%41", "\x00\xff", "héllo wörld\r\n", "!"} {
		f.Add(key, "x"+key)
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		x, y := escape(a), escape(b)
		if (x == y) != (a == b) {
			t.Fatalf("%q and %q are escaped to %q and %q", a, b, x, y)
		}
		if x == "" || strings.ContainsAny(x, "{}*?[]\\^! \r\n") {
			t.Fatalf("%q is escaped to %q", a, x)
		}
		if back, err := unescape(x); err != nil || back != a {
			t.Fatalf("%q came back as %q, %v", a, back, err)
		}
		if back, err := unescape(a); err == nil && escape(back) != a {
			t.Fatalf("%q was taken for an escaped key", a)
		}
		name := valueKey("s", a)
		for _, n := range []string{name, name + stateSuffix} {
			if key, err := keyOf("s", n); err != nil || key != a {
				t.Fatalf("%q was read as %q, %v", n, key, err)
			}
		}
		m := message{from: "i", order: order{space: "s", kind: oneKey, text: a}}
		if got, err := parseMessage(m.String()); err != nil || got != m {
			t.Fatalf("%+v came back as %+v, %v", m, got, err)
		}
		_, _ = parseMessage(a) // does not panic
	})
}

// FuzzPattern: matching agrees with a plain recursive matcher, and what matches is
// found by SCAN's pattern.
func FuzzPattern(f *testing.F) {
	for _, row := range [][2]string{{"*", ""}, {"", ""}, {"a*", "abc"}, {"*c", "abc"}, {"a?c", "a{c"}, {`\*`, "*"}, {"a**b", "ab"}, {"*00", "\x00"}, {"x*%", "x\xff%"}, {"*a*a*a*b", "aaaaaaaaaaaa"}} {
		f.Add(row[0], row[1])
	}
	f.Fuzz(func(t *testing.T, text, key string) {
		if len(text) > 12 || len(key) > 24 {
			return
		}
		p := compile(text)
		got := p.match(key)
		if want := matchSlowly(p, key); got != want {
			t.Fatalf("%q matches %q: %v, want %v", text, key, got, want)
		}
		if !got {
			return
		}
		// The scan pattern holds no '[', so path.Match is Redis' matching, but for '/'.
		scan := strings.ReplaceAll(p.scan("s"), "/", "|")
		name := strings.ReplaceAll(valueKey("s", key), "/", "|")
		if found, err := path.Match(scan, name); err != nil || !found {
			t.Fatalf("%q does not find %q: %v", scan, name, err)
		}
	})
}

func matchSlowly(p pattern, key string) bool {
	switch {
	case len(p) == 0:
		return key == ""
	case p[0].kind == '*':
		return matchSlowly(p[1:], key) || key != "" && matchSlowly(p, key[1:])
	case key == "":
		return false
	}
	return (p[0].kind == '?' || p[0].literal == key[0]) && matchSlowly(p[1:], key[1:])
}
