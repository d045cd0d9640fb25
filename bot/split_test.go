package bot

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSplit(t *testing.T) {
	for _, c := range []struct {
		name, text string
		most       int
		want       []string
	}{
		{"nothing", "", 10, nil},
		{"white space", " \n ", 10, nil},
		{"fits", "0123456789", 10, []string{"0123456789"}},
		{"no boundary", "0123456789abc", 10, []string{"0123456789", "abc"}},
		{"words", "aaa bbb ccc ddd", 10, []string{"aaa bbb", "ccc ddd"}},
		{"lines before words", "aaaa bb\nc d eeee", 10, []string{"aaaa bb", "c d eeee"}},
		{"paragraphs before lines", "aaaaa\n\nb\nc dddd", 10, []string{"aaaaa", "b\nc dddd"}},
		{"a boundary too early", "a bbbbbbbbbbbbbb", 10, []string{"a bbbbbbbb", "bbbbbb"}},
		{"surrogate pairs", strings.Repeat("🙂", 7), 5, []string{"🙂🙂", "🙂🙂", "🙂🙂", "🙂"}},
		{"white space at the cut", "aaaaaaaa     \n\n   bbb", 10, []string{"aaaaaaaa", "bbb"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, p := range split(c.text, c.most) {
				got = append(got, p.text)
			}
			if strings.Join(got, "|") != strings.Join(c.want, "|") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

// Whatever the text: parts fit, are where they say they are, and hold all that is not
// white space, in order.
func TestSplitLosesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.SampledFrom([]rune("aб🙂 \n👩‍\u0301.\t"))).Draw(t, "text")
		most := rapid.IntRange(4, 40).Draw(t, "most")
		units := utf16.Encode([]rune(text))
		var kept strings.Builder
		for _, p := range split(text, most) {
			n := utf16Len(p.text)
			if n == 0 || n > most || !utf8.ValidString(p.text) {
				t.Fatalf("part %q of %d units", p.text, n)
			}
			if there := string(utf16.Decode(units[p.from : p.from+n])); there != p.text {
				t.Fatalf("part %q is not at %d, there is %q", p.text, p.from, there)
			}
			kept.WriteString(p.text)
		}
		bare := func(s string) string {
			return strings.Map(func(r rune) rune {
				if unicode.IsSpace(r) {
					return -1
				}
				return r
			}, s)
		}
		if bare(kept.String()) != bare(text) {
			t.Fatalf("kept %q of %q", kept.String(), text)
		}
	})
}

func TestPace(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	p := newPacer(func() time.Time { return now })
	take := func(chat int64, frame bool) time.Duration {
		t.Helper()
		wait, err := p.take(t.Context(), chat, frame)
		if err != nil {
			t.Fatal(err)
		}
		return wait
	}
	for range privateBurst - privateSpare {
		if take(7, true) != 0 {
			t.Fatal("a frame within the burst waits")
		}
	}
	if take(7, true) == 0 {
		t.Error("a frame took what is kept for the final")
	}
	if take(7, false) != 0 {
		t.Error("the final waits")
	}
	if wait := take(7, false); wait != privateEvery {
		t.Errorf("beyond the burst: %v", wait)
	}
	now = now.Add(privateEvery)
	if take(7, false) != 0 {
		t.Error("after a second it still waits")
	}

	for i := range groupMost - groupSpare {
		if take(-7, true) != 0 {
			t.Fatalf("frame %d in a group waits", i)
		}
	}
	if take(-7, true) == 0 {
		t.Error("a frame took what is kept for finals")
	}
	for range groupSpare {
		if take(-7, false) != 0 {
			t.Error("a final in a group waits")
		}
	}
	if wait := take(-7, false); wait != groupWindow {
		t.Errorf("beyond twenty: %v", wait)
	}
	now = now.Add(groupWindow)
	if take(-7, false) != 0 {
		t.Error("after a minute it still waits")
	}
	for chat := range int64(2 * pacesKept) {
		take(1000+chat, false)
		now = now.Add(time.Second)
	}
	if n := len(p.chats); n > pacesKept {
		t.Errorf("%d chats are remembered", n)
	}
}
