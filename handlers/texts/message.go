package texts

import (
	"errors"
	"regexp"
	"strings"
)

// Marks of Unicode's bidirectional algorithm (UAX #9). What stands between an isolate and
// its end is laid out by itself and does not tear the sentence around it apart.
const (
	isolateFirst = "\u2068" // in the direction of its first letter
	isolateLeft  = "\u2066" // left to right
	isolateEnd   = "\u2069"
)

// message is a text, cut at its placeholders.
type message []piece

// piece is some text, or where name is not empty a placeholder.
type piece struct{ text, name string }

var (
	placeholderShape = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	// commandShape is a command as texts mention it, with a number, date, zone or word behind it.
	commandShape = regexp.MustCompile(`/[a-z]+(?: [0-9][0-9-]*| off| [A-Z][a-z]+/[A-Z][a-z]+)?`)
)

var errBraces = errors.New("a brace that belongs to no {placeholder}")

// parse reads a text with {placeholders}. Between right-to-left letters, commands are
// isolated: else the slash would jump to their other end.
func parse(text string, rightToLeft bool) (message, error) {
	var m message
	literal := func(s string) error {
		if strings.ContainsAny(s, "{}") {
			return errBraces
		}
		if rightToLeft {
			s = commandShape.ReplaceAllString(s, isolateLeft+"$0"+isolateEnd)
		}
		if s != "" {
			m = append(m, piece{text: s})
		}
		return nil
	}
	for text != "" {
		before, rest, found := strings.Cut(text, "{")
		if err := literal(before); err != nil {
			return nil, err
		}
		if !found {
			break
		}
		name, after, closed := strings.Cut(rest, "}")
		if !closed || !placeholderShape.MatchString(name) {
			return nil, errBraces
		}
		m = append(m, piece{name: name})
		text = after
	}
	return m, nil
}

// names are the placeholders of a message.
func (m message) names() map[string]bool {
	names := map[string]bool{}
	for _, p := range m {
		if p.name != "" {
			names[p.name] = true
		}
	}
	return names
}

// literal is a message without placeholders, as it is.
func (m message) literal() string {
	var text strings.Builder
	for _, p := range m {
		text.WriteString(p.text)
	}
	return text.String()
}

// isRightToLeft tells letters of scripts that are written from the right: Hebrew, Arabic
// and their neighbours, with the forms that Unicode keeps for old encodings.
func isRightToLeft(r rune) bool {
	return r >= 0x0590 && r <= 0x08FF || r >= 0xFB1D && r <= 0xFDFF || r >= 0xFE70 && r <= 0xFEFC || r >= 0x10800 && r <= 0x10FFF || r >= 0x1E800 && r <= 0x1EFFF
}

// isolated wraps what is put into a text and may run against it.
func isolated(value string, rightToLeft bool) string {
	if value == "" || !rightToLeft && strings.IndexFunc(value, isRightToLeft) < 0 {
		return value
	}
	return isolateFirst + value + isolateEnd
}

// plain is a text without marks of direction and space at its ends, which Telegram may
// change.
func plain(text string) string {
	return strings.TrimSpace(strings.NewReplacer(isolateFirst, "", isolateLeft, "", isolateEnd, "").Replace(text))
}
