package document

import (
	"bytes"
	"context"
	"strconv"
)

// What a PDF is made of: nil, bool, float64, name, str, list, dict, ref, *stream; and in
// content, operator.
type (
	name     string
	str      string
	list     []any
	dict     map[string]any
	ref      int
	operator string
	stream   struct {
		dict dict
		raw  []byte
	}
)

const (
	depthMost = 64         // of nested objects, pages and forms
	stepsMost = 20_000_000 // tokens, glyphs and objects of one file
	unpackMax = 96 << 20   // bytes unpacked of one file
	askEvery  = 4096       // steps between two looks at the context
)

// limit is what one file may still cost.
type limit struct {
	ctx    context.Context
	steps  int
	unpack int
}

// halt ends the reading of a file; it is a panic's value and never leaves the package.
type halt struct{ err error }

// step counts one step.
func (l *limit) step() {
	if l.steps--; l.steps <= 0 {
		panic(halt{ErrBroken})
	}
	if l.steps%askEvery == 0 && l.ctx.Err() != nil {
		panic(halt{l.ctx.Err()})
	}
}

// lexer reads objects from bytes.
type lexer struct {
	data  []byte
	at    int
	limit *limit
}

func isBlank(b byte) bool {
	return b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == '\f' || b == 0
}

func isDelimiter(b byte) bool { return bytes.IndexByte([]byte("()<>[]{}/%"), b) >= 0 }

func (l *lexer) skipBlanks() {
	for l.at < len(l.data) {
		switch b := l.data[l.at]; {
		case isBlank(b):
			l.at++
		case b == '%':
			for l.at < len(l.data) && l.data[l.at] != '\n' && l.data[l.at] != '\r' {
				l.at++
			}
		default:
			return
		}
	}
}

// peek is the next byte, 0 at the end.
func (l *lexer) peek() byte {
	if l.at < len(l.data) {
		return l.data[l.at]
	}
	return 0
}

// closing are what ends a list, a dictionary or the data.
type closing byte

// next reads one object. A closing bracket or the end comes as closing.
func (l *lexer) next(depth int) any {
	l.limit.step()
	if depth > depthMost {
		panic(halt{ErrBroken})
	}
	l.skipBlanks()
	switch b := l.peek(); {
	case l.at >= len(l.data):
		return closing(0)
	case b == '/':
		l.at++
		return name(l.name())
	case b == '(':
		return l.literal()
	case b == '<' && bytes.HasPrefix(l.data[l.at:], []byte("<<")):
		l.at += 2
		return l.dict(depth)
	case b == '<':
		return l.hex()
	case b == '[':
		l.at++
		return l.list(depth)
	case b == ']' || b == '}' || b == ')' || b == '{':
		l.at++
		return closing(b)
	case b == '>':
		l.at += min(2, len(l.data)-l.at)
		return closing(b)
	}
	return l.word()
}

// word reads a number, a reference or a keyword.
func (l *lexer) word() any {
	text := l.regular()
	switch text {
	case "true":
		return true
	case "false":
		return false
	case "null":
		return nil
	}
	n, err := strconv.ParseFloat(text, 64)
	if err != nil || text[0] > '9' { // "Inf" and the like
		return operator(text)
	}
	if n >= 0 && n == float64(int(n)) && n < 1<<31 {
		if l.isReference() {
			return ref(int(n))
		}
	}
	return n
}

// isReference takes the rest of "7 0 R", if that is what follows a number.
func (l *lexer) isReference() bool {
	at := l.at
	digits := 0
	for at < len(l.data) && isBlank(l.data[at]) {
		at++
	}
	for at < len(l.data) && l.data[at] >= '0' && l.data[at] <= '9' && digits < 6 {
		at, digits = at+1, digits+1
	}
	blanks := at
	for at < len(l.data) && isBlank(l.data[at]) {
		at++
	}
	if digits == 0 || at == blanks || at >= len(l.data) || l.data[at] != 'R' {
		return false
	}
	if at+1 < len(l.data) && !isBlank(l.data[at+1]) && !isDelimiter(l.data[at+1]) {
		return false
	}
	l.at = at + 1
	return true
}

// regular reads characters that are neither blank nor delimiters; at least one.
func (l *lexer) regular() string {
	from := l.at
	for l.at < len(l.data) && !isBlank(l.data[l.at]) && !isDelimiter(l.data[l.at]) {
		l.at++
	}
	if l.at == from {
		l.at++
	}
	return string(l.data[from:l.at])
}

func (l *lexer) name() string {
	from := l.at
	for l.at < len(l.data) && !isBlank(l.data[l.at]) && !isDelimiter(l.data[l.at]) {
		l.at++
	}
	text := l.data[from:l.at]
	if bytes.IndexByte(text, '#') < 0 {
		return string(text)
	}
	var to []byte
	for i := 0; i < len(text); i++ {
		if text[i] == '#' && i+2 < len(text) {
			if n, err := strconv.ParseUint(string(text[i+1:i+3]), 16, 8); err == nil {
				to = append(to, byte(n))
				i += 2
				continue
			}
		}
		to = append(to, text[i])
	}
	return string(to)
}

// literal reads a string in parentheses.
func (l *lexer) literal() str {
	var to []byte
	l.at++
	for open := 1; l.at < len(l.data); l.at++ {
		switch b := l.data[l.at]; b {
		case '(':
			open++
			to = append(to, b)
		case ')':
			if open--; open == 0 {
				l.at++
				return str(to)
			}
			to = append(to, b)
		case '\\':
			l.at++
			to = l.escaped(to)
		default:
			to = append(to, b)
		}
	}
	return str(to)
}

// escaped appends what follows a backslash, and leaves the lexer at its last byte.
func (l *lexer) escaped(to []byte) []byte {
	const plain, meant = "nrtbf", "\n\r\t\b\f"
	b := l.peek()
	if at := bytes.IndexByte([]byte(plain), b); at >= 0 {
		return append(to, meant[at])
	}
	switch {
	case b >= '0' && b <= '7':
		n := 0
		for digits := 0; digits < 3 && l.at < len(l.data) && l.data[l.at] >= '0' && l.data[l.at] <= '7'; digits++ {
			n = 8*n + int(l.data[l.at]-'0')
			l.at++
		}
		l.at--
		return append(to, byte(n))
	case b == '\r':
		if l.at+1 < len(l.data) && l.data[l.at+1] == '\n' {
			l.at++
		}
		return to
	case b == '\n' || l.at >= len(l.data):
		return to
	}
	return append(to, b)
}

// hex reads a string of hexadecimal digits.
func (l *lexer) hex() str {
	var to []byte
	high, half := byte(0), false
	for l.at++; l.at < len(l.data); l.at++ {
		b := l.data[l.at]
		if b == '>' {
			l.at++
			break
		}
		digit, ok := hexDigit(b)
		switch {
		case !ok:
		case half:
			to, half = append(to, high<<4|digit), false
		default:
			high, half = digit, true
		}
	}
	if half {
		to = append(to, high<<4)
	}
	return str(to)
}

func hexDigit(b byte) (byte, bool) {
	switch {
	case b >= '0' && b <= '9':
		return b - '0', true
	case b >= 'a' && b <= 'f':
		return b - 'a' + 10, true
	case b >= 'A' && b <= 'F':
		return b - 'A' + 10, true
	}
	return 0, false
}

func (l *lexer) list(depth int) list {
	var to list
	for {
		one := l.next(depth + 1)
		if end, is := one.(closing); is {
			if end == ']' || end == 0 {
				return to
			}
			continue
		}
		to = append(to, one)
	}
}

func (l *lexer) dict(depth int) dict {
	to := dict{}
	for {
		key := l.next(depth + 1)
		if end, is := key.(closing); is {
			if end == '>' || end == 0 {
				return to
			}
			continue
		}
		field, is := key.(name)
		if !is {
			continue // damage: what follows may be whole
		}
		value := l.next(depth + 1)
		if end, is := value.(closing); is {
			if end == '>' || end == 0 {
				return to
			}
			continue
		}
		to[string(field)] = value
	}
}
