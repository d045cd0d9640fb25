package telegramsim

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// markupError is what the server says after "can't parse entities: ".
type markupError string

func (e markupError) Error() string { return string(e) }

func badMarkup(format string, args ...any) error { return markupError(fmt.Sprintf(format, args...)) }

const reservedV2 = "_*[]()~`>#+-=|{}.!\n"

// markNames are TDLib's names of entities in errors.
var markNames = map[string]string{
	"bold": "Bold", "italic": "Italic", "underline": "Underline", "strikethrough": "Strikethrough", "spoiler": "Spoiler",
	"code": "Code", "pre": "Pre", "text_link": "TextUrl", "custom_emoji": "CustomEmoji", "blockquote": "BlockQuote",
}

// markdownV2 parses the MarkdownV2 style (Bot API: "MarkdownV2 style").
type markdownV2 struct {
	in       string
	i        int
	out      textBuilder
	open     []openEntity
	entities []Entity
	quoted   bool // inside a block quotation
}

func parseMarkdownV2(text string) (string, []Entity, error) {
	p := &markdownV2{in: text}
	if err := p.parse(); err != nil {
		return "", nil, err
	}
	return p.out.String(), p.entities, nil
}

func (p *markdownV2) parse() error {
	lineStart := true
	for p.i < len(p.in) {
		c := p.in[p.i]
		if lineStart && p.startQuote() {
			lineStart = false
			continue
		}
		lineStart = false
		if c == '\\' && p.i+1 < len(p.in) && p.in[p.i+1] > 0 && p.in[p.i+1] < 127 {
			p.out.add(p.in[p.i+1 : p.i+2])
			p.i += 2
			continue
		}
		if c == '\n' && !p.inCode() {
			if err := p.newline(); err != nil {
				return err
			}
			lineStart = true
			continue
		}
		reserved := reservedV2
		if p.inCode() {
			reserved = "`"
		}
		if strings.IndexByte(reserved, c) < 0 {
			_, size := utf8.DecodeRuneInString(p.in[p.i:])
			p.out.add(p.in[p.i : p.i+size])
			p.i += size
			continue
		}
		if mark := p.endMark(); mark != "" {
			if err := p.end(mark); err != nil {
				return err
			}
			continue
		}
		if err := p.begin(c); err != nil {
			return err
		}
	}
	if p.quoted && p.top() == "blockquote" {
		p.close("")
	}
	return p.unclosed()
}

func (p *markdownV2) unclosed() error {
	if len(p.open) == 0 {
		return nil
	}
	e := p.open[len(p.open)-1]
	name := markNames[e.Type]
	if e.Language != "" {
		name = "PreCode"
	}
	return badMarkup("Can't find end of %s entity at byte offset %d", name, e.at)
}

func (p *markdownV2) top() string {
	if len(p.open) == 0 {
		return ""
	}
	return p.open[len(p.open)-1].Type
}

func (p *markdownV2) inCode() bool { return p.top() == "code" || p.top() == "pre" }

func (p *markdownV2) has(s string) bool { return strings.HasPrefix(p.in[p.i:], s) }

func (p *markdownV2) push(kind string, size int) {
	p.open = append(p.open, openEntity{Entity: Entity{Type: kind, Offset: p.out.units}, from: p.out.Len(), at: p.i})
	p.i += size
}

// startQuote begins or continues a block quotation at the beginning of a line.
func (p *markdownV2) startQuote() bool {
	switch {
	case p.has(">") && p.quoted:
		p.i++
	case p.has(">") && len(p.open) == 0:
		p.push("blockquote", 1)
		p.quoted = true
	case p.has("**>") && len(p.open) == 0:
		p.push("blockquote", 3)
		p.quoted = true
	default:
		return false
	}
	return true
}

func (p *markdownV2) newline() error {
	if p.quoted && !strings.HasPrefix(p.in[p.i+1:], ">") {
		if p.top() != "blockquote" {
			return p.unclosed()
		}
		p.close("")
		p.quoted = false
	}
	p.out.add("\n")
	p.i++
	return nil
}

// endMark is the mark at this place that ends the innermost entity, or "".
func (p *markdownV2) endMark() string {
	mark := map[string]string{
		"bold": "*", "italic": "_", "underline": "__", "strikethrough": "~", "spoiler": "||", "code": "`", "pre": "```",
		"text_link": "]", "custom_emoji": "]", "blockquote": "||",
	}[p.top()]
	if mark == "" || !p.has(mark) || p.top() == "italic" && p.has("__") {
		return ""
	}
	if p.top() == "blockquote" { // "||" at the end of the last line makes it expandable
		if rest := p.in[p.i+2:]; rest != "" && (rest[0] != '\n' || strings.HasPrefix(rest, "\n>")) {
			return ""
		}
	}
	return mark
}

func (p *markdownV2) end(mark string) error {
	kind := p.top()
	p.i += len(mark)
	argument := ""
	switch kind {
	case "text_link", "custom_emoji":
		if p.has("(") {
			at := p.i
			var ok bool
			if argument, ok = p.argument(); !ok {
				if kind == "custom_emoji" {
					return badMarkup("Can't find end of a custom emoji URL at byte offset %d", at)
				}
				return badMarkup("Can't find end of a URL at byte offset %d", at)
			}
		} else if kind == "custom_emoji" {
			return badMarkup("Custom emoji entity must contain a tg://emoji URL")
		}
	case "blockquote":
		p.open[len(p.open)-1].Type = "expandable_blockquote"
		p.quoted = false
	}
	p.close(argument)
	return nil
}

// argument reads "(…)" after a link's text.
func (p *markdownV2) argument() (string, bool) {
	var b strings.Builder
	for p.i++; p.i < len(p.in); p.i++ {
		switch c := p.in[p.i]; {
		case c == ')':
			p.i++
			return b.String(), true
		case c == '\\' && p.i+1 < len(p.in) && p.in[p.i+1] > 0 && p.in[p.i+1] < 127:
			p.i++
			b.WriteByte(p.in[p.i])
		default:
			b.WriteByte(c)
		}
	}
	return "", false
}

func (p *markdownV2) close(argument string) {
	e := p.open[len(p.open)-1]
	p.open = p.open[:len(p.open)-1]
	e.Length = p.out.units - e.Offset
	switch e.Type {
	case "text_link":
		e.URL = argument
		if e.URL == "" {
			e.URL = p.out.String()[e.from:]
		}
		if !validLink(e.URL) {
			return // a bad address costs the link, not the message
		}
	case "custom_emoji":
		e.CustomEmojiID = strings.TrimPrefix(argument, "tg://emoji?id=")
	}
	if e.Length > 0 {
		p.entities = append(p.entities, e.Entity)
	}
}

func (p *markdownV2) begin(c byte) error {
	switch {
	case p.has("__"):
		p.push("underline", 2)
	case c == '_':
		p.push("italic", 1)
	case c == '*':
		p.push("bold", 1)
	case c == '~':
		p.push("strikethrough", 1)
	case p.has("||"):
		p.push("spoiler", 2)
	case c == '[':
		p.push("text_link", 1)
	case p.has("!["):
		p.push("custom_emoji", 2)
	case p.has("```"):
		p.push("pre", 3)
		p.language()
	case c == '`':
		p.push("code", 1)
	default:
		return badMarkup(`Character '%c' is reserved and must be escaped with the preceding '\'`, c)
	}
	return nil
}

// language reads what follows ``` up to a space, and skips one line break.
func (p *markdownV2) language() {
	end := p.i
	for end < len(p.in) && !strings.ContainsRune(" \t\r\n`", rune(p.in[end])) {
		end++
	}
	if end > p.i && end < len(p.in) && p.in[end] != '`' {
		p.open[len(p.open)-1].Language = p.in[p.i:end]
		p.i = end
	}
	if p.has("\r\n") {
		p.i += 2
	} else if p.has("\n") || p.has("\r") {
		p.i++
	}
}

// parseMarkdown parses the legacy Markdown style: no nesting, escapes outside entities only.
func parseMarkdown(text string) (string, []Entity, error) {
	var out textBuilder
	var entities []Entity
	for i := 0; i < len(text); {
		c := text[i]
		if c == '\\' && i+1 < len(text) && strings.IndexByte("_*`[", text[i+1]) >= 0 {
			out.add(text[i+1 : i+2])
			i += 2
			continue
		}
		if strings.IndexByte("_*`[", c) < 0 {
			_, size := utf8.DecodeRuneInString(text[i:])
			out.add(text[i : i+size])
			i += size
			continue
		}
		begin, mark, kind := i, string(c), map[byte]string{'_': "italic", '*': "bold", '`': "code", '[': "text_link"}[c]
		if strings.HasPrefix(text[i:], "```") {
			mark, kind = "```", "pre"
		}
		i += len(mark)
		if kind == "text_link" {
			mark = "]"
		}
		size := strings.Index(text[i:], mark)
		if size < 0 {
			return "", nil, badMarkup("Can't find end of the entity starting at byte offset %d", begin)
		}
		e := Entity{Type: kind, Offset: out.units}
		body := text[i : i+size]
		i += size + len(mark)
		if kind == "pre" {
			e.Language, body = legacyLanguage(body)
		}
		out.add(body)
		e.Length = out.units - e.Offset
		if kind == "text_link" {
			if end := strings.IndexByte(text[i:], ')'); strings.HasPrefix(text[i:], "(") && end > 0 {
				e.URL = text[i+1 : i+end]
				i += end + 1
			}
			if !validLink(e.URL) {
				continue
			}
		}
		if e.Length > 0 {
			entities = append(entities, e)
		}
	}
	return out.String(), entities, nil
}

func legacyLanguage(body string) (language, rest string) {
	end := strings.IndexAny(body, " \t\r\n")
	if end < 0 {
		return "", body
	}
	return body[:end], strings.TrimPrefix(body[end:], "\n")
}
