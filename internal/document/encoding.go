package document

import (
	"bytes"
	"encoding/binary"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// oddMost is how much of a text may be control characters: a part of so many.
const oddMost = 100

// decode returns a file's text, as far as it is wanted. ErrUnknown: it is no text.
func decode(content []byte, most int) (string, error) {
	if len(content) == 0 {
		return "", ErrWordless
	}
	cutOff := len(content) > decodeMost(most)
	content = content[:min(len(content), decodeMost(most))]
	switch {
	case bytes.HasPrefix(content, []byte{0xFF, 0xFE}):
		return wide(content[2:], binary.LittleEndian)
	case bytes.HasPrefix(content, []byte{0xFE, 0xFF}):
		return wide(content[2:], binary.BigEndian)
	}
	if bytes.IndexByte(content, 0) >= 0 || odd(content) {
		return "", ErrUnknown
	}
	text := string(content)
	if cutOff {
		text = whole(text)
	}
	if utf8.ValidString(text) {
		return text, nil
	}
	return narrow(content), nil
}

// odd tells whether there are more control characters than a text has.
func odd(content []byte) bool {
	n := 0
	for _, b := range content {
		if b < ' ' && b != '\t' && b != '\n' && b != '\r' && b != '\f' && b != 0x1b {
			n++
		}
	}
	return n > len(content)/oddMost
}

// wide decodes UTF-16.
func wide(content []byte, order binary.ByteOrder) (string, error) {
	units := make([]uint16, len(content)/2)
	odd := 0
	for i := range units {
		units[i] = order.Uint16(content[2*i:])
		if units[i] < ' ' && units[i] != '\t' && units[i] != '\n' && units[i] != '\r' {
			odd++
		}
	}
	if odd > len(units)/oddMost {
		return "", ErrUnknown
	}
	return string(utf16.Decode(units)), nil
}

// narrow decodes a text of one byte a character: of Cyrillic letters where most bytes
// beyond ASCII are such, else of Western Europe.
func narrow(content []byte) string {
	letters, others := 0, 0
	before := byte(0)
	for _, b := range content {
		switch {
		case b >= 0xC0 && before >= 0xC0: // in Western texts, accents stand alone
			letters++
		case b >= 0x80:
			others++
		}
		before = b
	}
	encoding := charmap.Windows1252
	if letters > others {
		encoding = charmap.Windows1251
	}
	text, err := encoding.NewDecoder().Bytes(content)
	if err != nil {
		return string(bytes.ToValidUTF8(content, nil))
	}
	return string(text)
}
