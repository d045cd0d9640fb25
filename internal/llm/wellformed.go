package llm

import "strings"

// wellness is what check finds a text to be.
type wellness int

const (
	wellFormed wellness = iota // one JSON value
	malformed
	tooDeep // it opens more than maxDepth objects and arrays inside each other
)

// check says in one pass, and without a stack that a text could exhaust, whether it is one
// JSON value. Most of a request is strings, and those are read eight bytes at a time.
// Like other parsers it lets bytes pass that are not UTF-8.
func check(text string) wellness {
	var objects [maxDepth]bool // of each level that is open, whether it is an object
	depth := 0
	for i := skipSpace(text, 0); ; { // here a value begins
		if i >= len(text) {
			return malformed
		}
		switch c := text[i]; c {
		case '{', '[':
			if depth == maxDepth {
				return tooDeep
			}
			objects[depth] = c == '{'
			depth++
			i = skipSpace(text, i+1)
			if i < len(text) && text[i] == c+2 { // its closing bracket
				depth--
				i++
				break
			}
			if c == '{' {
				if i = skipKey(text, i); i < 0 {
					return malformed
				}
			}
			continue
		case '"':
			i = skipString(text, i)
		default:
			i = skipScalar(text, i)
		}
		if i < 0 {
			return malformed
		}
		if i, depth = skipClosing(text, i, objects[:depth]); i < 0 {
			return malformed
		}
		if depth == 0 {
			return wellFormed
		}
	}
}

// skipClosing passes what may follow a value, up to where the next one begins, and returns
// how many levels are open there: none at the text's end. Below 0: it makes no sense.
func skipClosing(text string, i int, objects []bool) (int, int) {
	for {
		i = skipSpace(text, i)
		depth := len(objects)
		switch {
		case depth == 0 && i == len(text):
			return i, 0
		case depth == 0, i == len(text):
			return -1, 0
		}
		object := objects[depth-1]
		switch c := text[i]; {
		case c == ',' && object:
			return skipKey(text, skipSpace(text, i+1)), depth
		case c == ',':
			return skipSpace(text, i+1), depth
		case c == '}' && object, c == ']' && !object:
			objects = objects[:depth-1]
			i++
		default:
			return -1, 0
		}
	}
}

func skipSpace(text string, i int) int {
	for i < len(text) && (text[i] == ' ' || text[i] == '\n' || text[i] == '\r' || text[i] == '\t') {
		i++
	}
	return i
}

// skipKey passes a field's name, the colon, and the space behind it.
func skipKey(text string, i int) int {
	if i >= len(text) || text[i] != '"' {
		return -1
	}
	if i = skipString(text, i); i < 0 {
		return -1
	}
	if i = skipSpace(text, i); i >= len(text) || text[i] != ':' {
		return -1
	}
	return skipSpace(text, i+1)
}

// each holds a byte in all eight of a word, tops the highest bit of each.
const (
	each = 0x0101010101010101
	tops = 0x8080808080808080
)

// skipString passes a string, whose first quote is at i.
func skipString(text string, i int) int {
	for i++; i < len(text); {
		for i+8 <= len(text) {
			t := text[i : i+8]
			w := uint64(t[0]) | uint64(t[1])<<8 | uint64(t[2])<<16 | uint64(t[3])<<24 |
				uint64(t[4])<<32 | uint64(t[5])<<40 | uint64(t[6])<<48 | uint64(t[7])<<56
			quote, slash := w^each*'"', w^each*'\\'
			// A top bit is set where a byte is 0, and where it is below a space; in bytes
			// above such a one it may be set by mistake, which the bytes themselves settle.
			if ((quote-each)&^quote|(slash-each)&^slash|(w-each*' ')&^w)&tops != 0 {
				break
			}
			i += 8
		}
		for end := min(i+8, len(text)); i < end; i++ {
			switch c := text[i]; {
			case c == '"':
				return i + 1
			case c < ' ':
				return -1
			case c == '\\':
				if i = skipEscape(text, i+1); i < 0 {
					return -1
				}
			}
		}
	}
	return -1
}

// skipEscape returns where the last byte of an escape is that goes on at i.
func skipEscape(text string, i int) int {
	switch {
	case i >= len(text):
		return -1
	case strings.IndexByte(`"\/bfnrt`, text[i]) >= 0:
		return i
	case text[i] != 'u' || i+4 >= len(text):
		return -1
	}
	for _, c := range []byte(text[i+1 : i+5]) {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return -1
		}
	}
	return i + 4
}

// skipScalar passes a number, true, false or null.
func skipScalar(text string, i int) int {
	for _, word := range [...]string{"true", "false", "null"} {
		if strings.HasPrefix(text[i:], word) {
			return i + len(word)
		}
	}
	if text[i] == '-' {
		i++
	}
	if i < len(text) && text[i] == '0' {
		i++
	} else if i = skipDigits(text, i); i < 0 {
		return -1
	}
	if i < len(text) && text[i] == '.' {
		if i = skipDigits(text, i+1); i < 0 {
			return -1
		}
	}
	if i < len(text) && (text[i] == 'e' || text[i] == 'E') {
		if i++; i < len(text) && (text[i] == '+' || text[i] == '-') {
			i++
		}
		return skipDigits(text, i)
	}
	return i
}

// skipDigits passes digits, of which there must be one.
func skipDigits(text string, i int) int {
	from := i
	for i < len(text) && text[i] >= '0' && text[i] <= '9' {
		i++
	}
	if i == from {
		return -1
	}
	return i
}
