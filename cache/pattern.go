package cache

import "strings"

// pattern matches keys: '*' is any run of bytes, '?' one byte, '\' takes the next byte
// as it is; everything else stands for itself.
type pattern []glob

type glob struct {
	literal byte
	kind    byte // '*', '?', or 0 for a literal
}

func compile(text string) pattern {
	p := make(pattern, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '*' && len(p) > 0 && p[len(p)-1].kind == '*': // two are one
		case c == '*' || c == '?':
			p = append(p, glob{kind: c})
		case c == '\\' && i+1 < len(text):
			i++
			p = append(p, glob{literal: text[i]})
		default:
			p = append(p, glob{literal: c})
		}
	}
	return p
}

// match takes at most len(p)·len(key) steps: it goes back to the last '*' only.
func (p pattern) match(key string) bool {
	at, star, from := 0, -1, 0
	for i := 0; i < len(key); {
		switch {
		case at < len(p) && p[at].kind == '*':
			star, from = at, i
			at++
		case at < len(p) && (p[at].kind == '?' || p[at].kind == 0 && p[at].literal == key[i]):
			at++
			i++
		case star >= 0:
			from++
			at, i = star+1, from
		default:
			return false
		}
	}
	for at < len(p) && p[at].kind == '*' {
		at++
	}
	return at == len(p)
}

// scan is a pattern for SCAN that finds all keys of the space that p matches, with
// their states, and perhaps others: an escaped byte may hide a sign of the pattern, so
// what is found is matched again.
func (p pattern) scan(space string) string {
	var b strings.Builder
	b.WriteString(keyPrefix + space + ":{")
	for _, g := range p {
		if g.kind != 0 {
			b.WriteByte('*') // '?' too: a byte may be three, escaped
			continue
		}
		b.WriteString(escape(string([]byte{g.literal})))
	}
	if len(p) == 0 {
		b.WriteString(emptyKey)
	}
	b.WriteString("}*")
	return b.String()
}
