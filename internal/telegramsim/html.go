package telegramsim

import (
	"html"
	"strings"
	"unicode/utf8"
)

// openEntity is an entity whose end has not come yet.
type openEntity struct {
	Entity
	tag  string
	from int // where its text begins, in bytes of the parsed text
	at   int // where it begins, in bytes of the input
}

// htmlTags are the supported tags and their entity (Bot API: "HTML style"; descriptions as TDLib gives them).
var htmlTags = map[string]string{
	"b": "bold", "strong": "bold", "i": "italic", "em": "italic", "u": "underline", "ins": "underline",
	"s": "strikethrough", "strike": "strikethrough", "del": "strikethrough", "tg-spoiler": "spoiler", "span": "spoiler",
	"a": "text_link", "code": "code", "pre": "pre", "blockquote": "blockquote", "tg-emoji": "custom_emoji",
	"tg-time": "date_time",
}

// textBuilder collects parsed text and counts its UTF-16 units.
type textBuilder struct {
	strings.Builder
	units int
}

func (b *textBuilder) add(s string) {
	b.WriteString(s)
	b.units += utf16Len(s)
}

// parseHTML parses the HTML style.
func parseHTML(text string) (string, []Entity, error) {
	var out textBuilder
	var open []openEntity
	var entities []Entity
	for i := 0; i < len(text); {
		switch text[i] {
		case '&':
			decoded, size := htmlEntity(text[i:])
			out.add(decoded)
			i += size
		case '<':
			begin := i
			if strings.HasPrefix(text[i:], "</") {
				end, err := closeTag(text, begin, open)
				if err != nil {
					return "", nil, err
				}
				top := open[len(open)-1]
				open = open[:len(open)-1]
				top.Length = out.units - top.Offset
				entities = closeHTML(entities, top, out.String())
				i = end
				continue
			}
			e, end, err := openTag(text, begin)
			if err != nil {
				return "", nil, err
			}
			e.Offset, e.from = out.units, out.Len()
			open = append(open, e)
			i = end
		default:
			_, size := utf8.DecodeRuneInString(text[i:])
			out.add(text[i : i+size])
			i += size
		}
	}
	if len(open) > 0 {
		return "", nil, badMarkup(`Can't find end tag corresponding to start tag "%s"`, open[len(open)-1].tag)
	}
	for i := range entities {
		if entities[i].Type == "code" {
			entities[i].Language = "" // it was not alone inside a <pre>
		}
	}
	return out.String(), entities, nil
}

// closeHTML adds a closed entity, or what it amounts to.
func closeHTML(entities []Entity, e openEntity, text string) []Entity {
	if e.Length == 0 {
		return entities
	}
	switch {
	case e.tag == "pre": // <pre><code class="language-x">: the language belongs to the <pre>
		if n := len(entities); n > 0 {
			if inner := entities[n-1]; inner.Type == "code" && inner.Offset == e.Offset && inner.Length == e.Length {
				e.Language = inner.Language
				entities = entities[:n-1]
			}
		}
	case e.Type == "text_link":
		if e.URL == "" {
			e.URL = text[e.from:]
		}
		if !validLink(e.URL) {
			return entities // a bad address costs the link, not the message
		}
	case e.Type == "custom_emoji" && e.CustomEmojiID == "":
		return entities
	}
	return append(entities, e.Entity)
}

func closeTag(text string, begin int, open []openEntity) (int, error) {
	if len(open) == 0 {
		return 0, badMarkup("Unexpected end tag at byte offset %d", begin)
	}
	size := strings.IndexByte(text[begin:], '>')
	if size < 0 {
		return 0, badMarkup("Unclosed end tag at byte offset %d", begin)
	}
	name := strings.ToLower(strings.TrimSpace(text[begin+2 : begin+size]))
	if want := open[len(open)-1].tag; name != "" && name != want {
		return 0, badMarkup(`Unmatched end tag at byte offset %d, expected "</%s>", found "</%s>"`, begin, want, name)
	}
	return begin + size + 1, nil
}

func openTag(text string, begin int) (openEntity, int, error) {
	i := begin + 1
	for i < len(text) && !strings.ContainsRune(" \t\r\n>", rune(text[i])) {
		i++
	}
	if i == len(text) {
		return openEntity{}, 0, badMarkup("Unclosed start tag at byte offset %d", begin)
	}
	e := openEntity{tag: strings.ToLower(text[begin+1 : i])}
	kind, ok := htmlTags[e.tag]
	if !ok {
		return openEntity{}, 0, badMarkup(`Unsupported start tag "%s" at byte offset %d`, e.tag, begin)
	}
	e.Type = kind
	end, attributes, err := tagAttributes(text, i, e.tag, begin)
	if err != nil {
		return openEntity{}, 0, err
	}
	if e.tag == "span" && attributes["class"] != "tg-spoiler" {
		return openEntity{}, 0, badMarkup(`Tag "span" must have class "tg-spoiler" at byte offset %d`, begin)
	}
	switch e.tag {
	case "a":
		e.URL = attributes["href"]
	case "code":
		e.Language, _ = strings.CutPrefix(attributes["class"], "language-")
	case "tg-emoji":
		e.CustomEmojiID = attributes["emoji-id"]
	case "blockquote":
		if _, ok := attributes["expandable"]; ok {
			e.Type = "expandable_blockquote"
		}
	}
	return e, end, nil
}

// tagAttributes reads attributes up to and including '>'.
func tagAttributes(text string, i int, tag string, begin int) (int, map[string]string, error) {
	attributes := map[string]string{}
	unclosed := badMarkup(`Unclosed start tag "%s" at byte offset %d`, tag, begin)
	for {
		i += len(text[i:]) - len(strings.TrimLeft(text[i:], " \t\r\n"))
		if i >= len(text) {
			return 0, nil, unclosed
		}
		if text[i] == '>' {
			return i + 1, attributes, nil
		}
		start := i
		for i < len(text) && !strings.ContainsRune(" \t\r\n=>", rune(text[i])) {
			i++
		}
		name := strings.ToLower(text[start:i])
		if name == "" {
			return 0, nil, badMarkup(`Empty attribute name in the tag "%s" at byte offset %d`, tag, begin)
		}
		if i < len(text) && text[i] != '=' {
			attributes[name] = ""
			continue
		}
		i++
		if i >= len(text) {
			return 0, nil, unclosed
		}
		var value string
		if quote := text[i]; quote == '"' || quote == '\'' {
			size := strings.IndexByte(text[i+1:], quote)
			if size < 0 {
				return 0, nil, unclosed
			}
			value, i = text[i+1:i+1+size], i+size+2
		} else {
			start = i
			for i < len(text) && !strings.ContainsRune(" \t\r\n>", rune(text[i])) {
				i++
			}
			value = text[start:i]
		}
		attributes[name] = html.UnescapeString(value)
	}
}

// htmlEntity decodes what stands at the beginning of s: numeric entities and the four named ones.
func htmlEntity(s string) (string, int) {
	size := strings.IndexByte(s, ';')
	if size > 1 && size < 12 {
		name := s[1:size]
		if name == "lt" || name == "gt" || name == "amp" || name == "quot" || name[0] == '#' {
			if decoded := html.UnescapeString(s[:size+1]); decoded != s[:size+1] {
				return decoded, size + 1
			}
		}
	}
	return "&", 1
}
