package texts

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/text/feature/plural"
)

// Voice speaks one language. Its zero value says keys; get one from [Book.Voice].
type Voice struct{ tongue *tongue }

// Language is the code of the language, such as "en".
func (v Voice) Language() string {
	if v.tongue == nil {
		return ""
	}
	return v.tongue.code
}

// Say returns the text of a key with its placeholders filled: names and values in turn,
// as in Say("balance.now", "amount", Dollars(5)). Values are strings, numbers, which are
// written as people of the language do, and [Dollars]. What is not filled stays as it is.
func (v Voice) Say(key string, fill ...any) string {
	if v.tongue == nil {
		return key
	}
	m, known := v.tongue.messages[key]
	if !known {
		return key
	}
	return v.fill(m, fill)
}

// Count is Say for n of something: the key's plural form for n, with n as {n}.
func (v Voice) Count(key string, n int64, fill ...any) string {
	if v.tongue == nil {
		return key
	}
	m, known := v.tongue.messages[key+"."+v.tongue.form(n)]
	if !known {
		if m, known = v.tongue.messages[key+".other"]; !known {
			return key
		}
	}
	return v.fill(m, append([]any{"n", n}, fill...))
}

// Has tells whether there is a text of that key.
func (v Voice) Has(key string) bool {
	if v.tongue == nil {
		return false
	}
	_, known := v.tongue.messages[key]
	return known
}

func (v Voice) fill(m message, fill []any) string {
	var text strings.Builder
	for _, p := range m {
		if p.name == "" {
			text.WriteString(p.text)
			continue
		}
		value, found := v.value(p.name, fill)
		if !found {
			value = "{" + p.name + "}"
		}
		text.WriteString(value)
	}
	return text.String()
}

// value writes what a placeholder is filled with.
func (v Voice) value(name string, fill []any) (string, bool) {
	for i := 0; i+1 < len(fill); i += 2 {
		if fill[i] != name {
			continue
		}
		var text string
		switch value := fill[i+1].(type) {
		case string:
			text = value
		case Dollars:
			text = v.Dollars(int64(value))
		case int64:
			text = v.Number(value)
		case int:
			text = v.Number(int64(value))
		default:
			text = fmt.Sprint(value)
		}
		return isolated(text, v.tongue.rightToLeft), true
	}
	return "", false
}

// pluralPeriod is what operands may be reduced by without another form coming out.
const pluralPeriod = 10_000_000

// form is the name of the plural form for n of something.
func (t *tongue) form(n int64) string {
	if n < 0 {
		n = -(n % pluralPeriod) // of the lowest number, too, there is then a negative
	}
	if n >= pluralPeriod {
		n = n%pluralPeriod + pluralPeriod
	}
	return formName(plural.Cardinal.MatchPlural(t.tag, int(n), 0, 0, 0, 0))
}

func formName(f plural.Form) string {
	switch f {
	case plural.Zero:
		return "zero"
	case plural.One:
		return "one"
	case plural.Two:
		return "two"
	case plural.Few:
		return "few"
	case plural.Many:
		return "many"
	default:
		return "other"
	}
}

// Plain is a number in digits alone, for what people are to type as they read it.
func Plain(n int64) string { return strconv.FormatInt(n, 10) }
