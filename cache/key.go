package cache

import (
	"errors"
	"regexp"
	"strings"
)

var (
	spaceName = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
	errEscape = errors.New("cache: not an escaped key")
)

const (
	hexDigits = "0123456789ABCDEF"
	emptyKey  = "%" // no key escapes to it
)

// plain says which bytes stand for themselves: letters, digits and signs without a
// meaning in hash tags, patterns and escapes.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return strings.IndexByte("-_.:@/=+,~", c) >= 0
}

// escape writes a key of any bytes so that it can stand in a Redis key: letters, digits
// and a few signs as they are, the rest as %XX. What comes out holds no brace and
// nothing that SCAN takes for a pattern, is never empty, and differs where keys differ.
func escape(key string) string {
	if key == "" {
		return emptyKey
	}
	odd := 0
	for i := range len(key) {
		if !plain(key[i]) {
			odd++
		}
	}
	if odd == 0 {
		return key
	}
	var b strings.Builder
	b.Grow(len(key) + 2*odd)
	for i := range len(key) {
		c := key[i]
		if plain(c) {
			b.WriteByte(c)
			continue
		}
		b.WriteByte('%')
		b.WriteByte(hexDigits[c>>4])
		b.WriteByte(hexDigits[c&15])
	}
	return b.String()
}

// unescape undoes escape, and refuses what escape does not write.
func unescape(text string) (string, error) {
	if text == emptyKey {
		return "", nil
	}
	if text == "" {
		return "", errEscape
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '%' {
			if i+2 >= len(text) {
				return "", errEscape
			}
			high, low := strings.IndexByte(hexDigits, text[i+1]), strings.IndexByte(hexDigits, text[i+2])
			if high < 0 || low < 0 || plain(byte(high<<4|low)) {
				return "", errEscape
			}
			c = byte(high<<4 | low)
			i += 2
		} else if !plain(c) {
			return "", errEscape
		}
		b.WriteByte(c)
	}
	return b.String(), nil
}

// Keys in Redis. The braces are the hash tag: a value and its state are on one node.
//
//	cache:<space>:{<key>}    the value
//	cache:<space>:{<key>}!   its tickets and lock, for a short time after each load
//	cache:<space>#{<tag>}    when the tag was invalidated last
const (
	keyPrefix   = "cache:"
	stateSuffix = "!"
)

func valueKey(space, key string) string { return keyPrefix + space + ":{" + escape(key) + "}" }

func tagKey(space, tag string) string { return keyPrefix + space + "#{" + escape(tag) + "}" }

// keyOf reads the caller's key out of a Redis key of the space.
func keyOf(space, name string) (string, error) {
	text, is := strings.CutPrefix(name, keyPrefix+space+":{")
	end := strings.LastIndexByte(text, '}')
	if !is || end < 0 {
		return "", errEscape
	}
	return unescape(text[:end])
}
