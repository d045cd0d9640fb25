package texts

import (
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"
	"unicode/utf16"
)

func loaded(t *testing.T) *Book {
	t.Helper()
	b, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// base is a key without its plural form.
func base(key string) (string, bool) {
	for _, form := range []string{"zero", "one", "two", "few", "many", "other"} {
		if head, is := strings.CutSuffix(key, "."+form); is {
			return head, true
		}
	}
	return key, false
}

// pluralForms are the forms that whole numbers take in a language.
func pluralForms(t *tongue) []string {
	forms := map[string]bool{"other": true}
	for n := range int64(1000) {
		forms[t.form(n)] = true
	}
	return slices.Sorted(maps.Keys(forms))
}

// TestLanguagesAgree: what English says all say, with the same placeholders, each in all
// of its own plural forms. A form for exactly one or two may leave the number out.
func TestLanguagesAgree(t *testing.T) {
	b := loaded(t)
	english := b.tongues[English]
	wanted := map[string]map[string]bool{} // placeholders by base
	counted := map[string]bool{}
	for key, m := range english.messages {
		head, is := base(key)
		counted[head] = counted[head] || is
		if !is || strings.HasSuffix(key, ".other") {
			wanted[head] = m.names()
		}
	}
	for _, code := range Languages() {
		tongue := b.tongues[code]
		forms := pluralForms(tongue)
		for head, names := range wanted {
			keys := []string{head}
			if counted[head] {
				keys = keys[:0]
				for _, form := range forms {
					keys = append(keys, head+"."+form)
				}
			}
			for _, key := range keys {
				m, there := tongue.messages[key]
				if !there {
					t.Errorf("%s lacks %s", code, key)
					continue
				}
				got := m.names()
				if counted[head] && !strings.HasSuffix(key, ".other") && names["n"] {
					got["n"] = true
				}
				if !strings.HasPrefix(key, "format.") && !maps.Equal(got, names) {
					t.Errorf("%s: %s has placeholders %v, English %v", code, key, slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(names)))
				}
			}
		}
		for key := range tongue.messages {
			head, is := base(key)
			if _, there := wanted[head]; !there || is && !slices.Contains(forms, strings.TrimPrefix(key, head+".")) {
				t.Errorf("%s has %s, which nobody asks for", code, key)
			}
		}
	}
}

// TestAreasAgree: a key stands in the file of the same name in all languages.
func TestAreasAgree(t *testing.T) {
	english, err := files.ReadDir(English)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range Languages() {
		own, err := files.ReadDir(code)
		if err != nil {
			t.Fatal(err)
		}
		if len(own) != len(english) {
			t.Errorf("%s has %d files, English %d", code, len(own), len(english))
		}
		for i := range min(len(own), len(english)) {
			if own[i].Name() != english[i].Name() {
				t.Errorf("%s has %s where English has %s", code, own[i].Name(), english[i].Name())
			}
		}
	}
}

func TestVoices(t *testing.T) {
	b := loaded(t)
	for tag, want := range map[string]string{"": English, "en": English, "en-GB": English, "xx": English, "EN_us": English, "-": English, "🙂": English,
		"ru": "ru", "pt-BR": "pt", "pt_PT": "pt", "zh-hans": "zh", "ZH-Hant-TW": "zh", "es-419": "es", "ar": "ar"} {
		if got := b.Voice(tag).Language(); got != want {
			t.Errorf("%q speaks %s, want %s", tag, got, want)
		}
	}
}

func TestSay(t *testing.T) {
	v := loaded(t).Voice(English)
	for got, want := range map[string]string{
		v.Say("balance.now", "amount", Dollars(12_345)):     "Balance: $0.000012345",
		v.Say("balance.now"):                                "Balance: {amount}",
		v.Say("no.such"):                                    "no.such",
		v.Say("support.contact", "contact", "{contact} %s"): "\n\nSupport: {contact} %s",
		v.Count("wait.seconds", 1):                          "1 second",
		v.Count("wait.seconds", 0):                          "0 seconds",
		v.Count("wait.seconds", 12_345):                     "12,345 seconds",
		v.Count("no.such", 2):                               "no.such",
		v.Say("start.welcome", "name", "عمر")[:len("Hello, \u2068عمر\u2069!")]: "Hello, \u2068عمر\u2069!",
		Voice{}.Say("balance.now"):                                                    "balance.now",
		Voice{}.Dollars(5):                                                            "$0.000000005",
		v.Day(time.Date(2026, 11, 3, 9, 5, 0, 0, time.UTC)):                           "3 Nov 2026",
		v.Month(time.Date(2026, 11, 3, 9, 5, 0, 0, time.UTC)):                         "November 2026",
		v.Moment(time.Date(2026, 11, 3, 9, 5, 0, 0, time.UTC)):                        "3 Nov 2026 09:05",
		v.Decimal(1500) + " " + v.Decimal(2000):                                       "1.5 2",
		v.Number(999) + " " + v.Number(1_234_567) + " " + v.Number(-1234):             "999 1,234,567 -1,234",
		v.Dollars(0) + " " + v.Dollars(500_000_000) + " " + v.Dollars(-2_500_000_000): "$0.00 $0.50 -$2.50",
		v.Dollars(1) + " " + v.Dollars(1_234_567_890_123) + " " + v.Dollars(-5):       "$0.000000001 $1234.567890123 -$0.000000005",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestIs(t *testing.T) {
	b := loaded(t)
	for _, code := range Languages() {
		sent := b.Voice(code).Say("topup.ask", "least", "1", "most", "10000")
		if !b.Is(sent, "topup.ask", "least", "1", "most", "10000") || !b.Is(plain(sent), "topup.ask", "least", "1", "most", "10000") {
			t.Errorf("%s: not known again", code)
		}
		if b.Is(sent+"!", "topup.ask", "least", "1", "most", "10000") {
			t.Errorf("%s: something else is", code)
		}
	}
}

// TestFaults: texts that cannot be are refused when they are loaded.
func TestFaults(t *testing.T) {
	good, err := files.ReadFile("en/format.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for name, area := range map[string]string{
		"a brace":       `a.b: "a { b"`,
		"a stray brace": `a.b: "a } b"`,
		"an odd name":   `a.b: "{A b}"`,
		"twice":         "a.b: x\na.b: y",
		"in two files":  `format.day: "{day}"`,
		"no map":        "- a",
		"a nested map":  "a:\n  b:\n    - c",
	} {
		tree := fstest.MapFS{"en/format.yaml": {Data: good}, "en/area.yaml": {Data: []byte(area)}}
		if _, err := load(tree, []string{English}); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	if _, err := load(fstest.MapFS{"en/area.yaml": {Data: []byte("a.b: c")}}, []string{English}); err == nil {
		t.Error("no forms were taken")
	}
	if _, err := load(fstest.MapFS{}, []string{English}); err == nil {
		t.Error("no files were taken")
	}
}

// TestTelegramTakesThem: what Telegram bounds stays within its bounds in every language,
// filled with the longest that comes.
func TestTelegramTakesThem(t *testing.T) {
	const invoiceTitle, invoiceText, callbackAnswer, placeholder, message, description = 32, 255, 200, 64, 4096, 256
	bounds := map[string]int{
		"invoice.title": invoiceTitle, "invoice.monthly_title": invoiceTitle, "invoice.text": invoiceText, "invoice.monthly_text": invoiceText,
		"command.too_fast": callbackAnswer, "keys.gone": callbackAnswer, "keys.revoked": callbackAnswer, "monthly.none": callbackAnswer,
		"chat.not_running": callbackAnswer, "chat.not_yours": callbackAnswer, "topup.placeholder": placeholder,
	}
	b := loaded(t)
	for _, code := range Languages() {
		v := b.Voice(code)
		for key, m := range b.tongues[code].messages {
			most, bounded := bounds[key]
			if strings.HasPrefix(key, "menu.") {
				most, bounded = description, true
			}
			if !bounded {
				most = message / 2 // what is put in takes its place, too
			}
			text := v.fill(m, []any{"worth", "$130.00", "wait", v.Say("wait.both", "first", v.Count("wait.minutes", 59), "second", v.Count("wait.seconds", 59)),
				"name", strings.Repeat("n", 32)})
			if got := len(utf16.Encode([]rune(text))); got > most {
				t.Errorf("%s: %s has %d units, %d may be: %s", code, key, got, most, text)
			}
		}
	}
}

// TestLanguagesInTheirOwnWay: numbers, amounts, dates and plural forms.
func TestLanguagesInTheirOwnWay(t *testing.T) {
	at := time.Date(2026, 5, 3, 9, 5, 0, 0, time.UTC)
	for code, want := range map[string]string{
		"en": "1,234 12,345 $1234.50 3 May 2026 | May 2026 | 3 May 2026 09:05 | 1 second, 2 seconds, 5 seconds, 21 seconds, 100 seconds",
		"ru": "1234 12\u00a0345 $1234,50 3 мая 2026 | май 2026 | 3 мая 2026 09:05 | 1 секунду, 2 секунды, 5 секунд, 21 секунду, 100 секунд",
		"es": "1234 12\u202f345 $1234,50 3 may 2026 | mayo de 2026 | 3 may 2026 09:05 | 1 segundo, 2 segundos, 5 segundos, 21 segundos, 100 segundos",
		"pt": "1.234 12.345 $1234,50 3 de maio de 2026 | maio de 2026 | 3 de maio de 2026 09:05 | 1 segundo, 2 segundos, 5 segundos, 21 segundos, 100 segundos",
		"zh": "1,234 12,345 $1234.50 2026年5月3日 | 2026年5月 | 2026年5月3日 09:05 | 1 秒, 2 秒, 5 秒, 21 秒, 100 秒",
		"ar": "1,234 12,345 $1234.50 3 مايو 2026 | مايو 2026 | 3 مايو 2026، 09:05 | ثانية واحدة, ثانيتين, 5 ثوانٍ, 21 ثانية, 100 ثانية",
	} {
		v := loaded(t).Voice(code)
		var waits []string
		for _, n := range []int64{1, 2, 5, 21, 100} {
			waits = append(waits, plain(v.Count("wait.seconds", n)))
		}
		got := v.Number(1234) + " " + v.Number(12_345) + " " + v.Dollars(1_234_500_000_000) + " " + v.Day(at) + " | " + v.Month(at) + " | " + v.Moment(at) +
			" | " + strings.Join(waits, ", ")
		if got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
}

// TestRightToLeft: between Arabic letters, what is put in and commands are laid out by
// themselves, and each isolate ends where it should.
func TestRightToLeft(t *testing.T) {
	v := loaded(t).Voice("ar")
	if got, want := v.Say("balance.now", "amount", Dollars(-5_000_000)), "الرصيد: \u2068-$0.005\u2069"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got, want := v.Say("topup.amount", "least", "1", "most", "2"), "\u2066/topup 250\u2069"; !strings.Contains(got, want) {
		t.Errorf("no %q in %q", want, got)
	}
	for key, m := range v.tongue.messages {
		depth := 0
		for _, r := range v.fill(m, nil) {
			switch string(r) {
			case isolateFirst, isolateLeft:
				depth++
			case isolateEnd:
				depth--
			}
			if depth < 0 || depth > 1 {
				break
			}
		}
		if depth != 0 {
			t.Errorf("%s: isolates do not match: %q", key, m)
		}
	}
}

// TestPluralBounds: no number is without a form.
func TestPluralBounds(t *testing.T) {
	for _, code := range Languages() {
		v := loaded(t).Voice(code)
		for _, n := range []int64{0, 1, -1, 2, 10_000_000, 10_000_001, 11_000_000, math.MaxInt64, math.MinInt64 + 1, math.MinInt64} {
			if got := v.Count("keys.bounds.tokens", n); got == "keys.bounds.tokens" || strings.ContainsAny(got, "{}") {
				t.Errorf("%s: %d is %q", code, n, got)
			}
		}
		if code == English && v.Count("wait.days", 10_000_001) != "10,000,001 days" {
			t.Error("ten million and one is one day")
		}
	}
}
