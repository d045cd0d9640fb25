package llm

import (
	"strings"

	"github.com/tidwall/gjson"
)

// The way through a request's JSON once [check] has found it well-formed. A prompt is
// mostly long strings, which are passed here with strings.IndexByte; a parser that reads
// them byte by byte, once for each level they are in, took a third of a long call.

// eachField calls yield with where each name and value of the object stands that begins
// at text[i], until it returns false.
func eachField(text string, i int, yield func(at member) bool) {
	for i = skipSpace(text, i+1); text[i] != '}'; {
		at := member{key: i, keyEnd: passString(text, i)}
		at.start = skipSpace(text, skipSpace(text, at.keyEnd)+1) // behind the colon
		at.end = passValue(text, at.start)
		if !yield(at) {
			return
		}
		if i = skipSpace(text, at.end); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
}

// eachElement calls yield with where each element of the array stands that the text begins
// with, until it returns false.
func eachElement(text string, yield func(start, end int) bool) {
	for i := skipSpace(text, 1); text[i] != ']'; {
		end := passValue(text, i)
		if !yield(i, end) {
			return
		}
		if i = skipSpace(text, end); text[i] == ',' {
			i = skipSpace(text, i+1)
		}
	}
}

// unquoted is what a string says, from how it is written.
func unquoted(quoted string) string {
	if strings.IndexByte(quoted, '\\') >= 0 {
		return gjson.Parse(quoted).Str
	}
	return quoted[1 : len(quoted)-1]
}

// passValue returns where the value ends that begins at text[i].
func passValue(text string, i int) int {
	switch text[i] {
	case '"':
		return passString(text, i)
	case '{', '[':
	default:
		for ; i < len(text); i++ {
			if c := text[i]; c <= ' ' || c == ',' || c == '}' || c == ']' {
				break
			}
		}
		return i
	}
	for depth := 0; ; {
		switch text[i] {
		case '"':
			i = passString(text, i)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if i++; depth == 0 {
			return i
		}
	}
}

// passString returns where the string ends whose first quote is at text[i].
func passString(text string, i int) int {
	for from := i + 1; ; {
		quote := from + strings.IndexByte(text[from:], '"')
		slashes := 0
		for text[quote-1-slashes] == '\\' {
			slashes++
		}
		if slashes%2 == 0 {
			return quote + 1
		}
		from = quote + 1
	}
}
