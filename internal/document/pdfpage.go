package document

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

const (
	operandsMost = 512
	// A gap of so much of a letter's size is a blank between words; a shift of so much of
	// it up or down is another line.
	blankGap = 0.18
	lineGap  = 0.5
)

// matrix is a change of coordinates: x' = ax + cy + e, y' = bx + dy + f.
type matrix struct{ a, b, c, d, e, f float64 }

var unmoved = matrix{a: 1, d: 1}

// times is first m, then n.
func (m matrix) times(n matrix) matrix {
	return matrix{
		m.a*n.a + m.b*n.c, m.a*n.b + m.b*n.d,
		m.c*n.a + m.d*n.c, m.c*n.b + m.d*n.d,
		m.e*n.a + m.f*n.c + n.e, m.e*n.b + m.f*n.d + n.f,
	}
}

// pen is the state that content changes and q saves.
type pen struct {
	place              matrix
	font               *font
	size, scale        float64
	letter, word, line float64 // spacing and leading
	rise               float64
}

// painter writes down the words of pages as they are shown.
type painter struct {
	strings.Builder
	file  *file
	fonts map[string]*font
	most  int

	pen
	saved []pen
	text  matrix // where the next glyph goes
	start matrix // where its line began

	shown      bool // something was, at x and y
	x, y, unit float64
}

// begin clears the page.
func (p *painter) begin() {
	p.Reset()
	p.pen = pen{place: unmoved, scale: 1}
	p.saved, p.shown = nil, false
	p.text, p.start = unmoved, unmoved
}

// page shows a page's content.
func (p *painter) page(page dict) {
	f := p.file
	var content []byte
	switch v := f.get(page["Contents"]).(type) {
	case *stream:
		content = f.unpack(v)
	case list:
		for _, one := range v {
			if s, is := f.get(one).(*stream); is {
				content = append(append(content, f.unpack(s)...), '\n')
			}
		}
	}
	p.show(content, f.dict(page["Resources"]), 0)
}

// show carries out a content.
func (p *painter) show(content []byte, resources dict, depth int) {
	l := &lexer{data: content, limit: p.file.limit}
	var operands list
	for p.Len() <= p.most {
		switch v := l.next(0).(type) {
		case closing:
			if v == 0 {
				return
			}
		case operator:
			switch v {
			case "BI":
				skipPicture(l)
			case "Do":
				p.form(operands, resources, depth)
			default:
				p.do(string(v), operands, resources)
			}
			operands = operands[:0]
		default:
			if len(operands) < operandsMost {
				operands = append(operands, v)
			}
		}
	}
}

// skipPicture passes over a picture within the content.
func skipPicture(l *lexer) {
	for {
		at := bytes.Index(l.data[l.at:], []byte("EI"))
		if at < 0 {
			l.at = len(l.data)
			return
		}
		l.limit.step()
		l.at += at + 2
		if isBlank(l.data[l.at-3]) && (l.at == len(l.data) || isBlank(l.data[l.at])) {
			return
		}
	}
}

// form shows a content that others share.
func (p *painter) form(operands list, resources dict, depth int) {
	f := p.file
	if len(operands) == 0 || depth >= depthMost/4 {
		return
	}
	id, _ := operands[0].(name)
	s, is := f.get(f.dict(resources["XObject"])[string(id)]).(*stream)
	if !is || f.name(s.dict["Subtype"]) != "Form" {
		return
	}
	within := f.dict(s.dict["Resources"])
	if within == nil {
		within = resources
	}
	before := p.pen
	if m := numbers(f, f.list(s.dict["Matrix"])); len(m) == 6 {
		p.place = matrix{m[0], m[1], m[2], m[3], m[4], m[5]}.times(p.place)
	}
	p.show(f.unpack(s), within, depth+1)
	p.pen = before
}

func numbers(f *file, values list) (n []float64) {
	for _, v := range values {
		n = append(n, f.number(v))
	}
	return n
}

// do carries out one operator.
func (p *painter) do(what string, operands list, resources dict) {
	n := numbers(p.file, operands)
	at := func(i int) float64 {
		if i < len(n) {
			return n[i]
		}
		return 0
	}
	switch what {
	case "q":
		if len(p.saved) < operandsMost {
			p.saved = append(p.saved, p.pen)
		}
	case "Q":
		if last := len(p.saved) - 1; last >= 0 {
			p.pen, p.saved = p.saved[last], p.saved[:last]
		}
	case "cm":
		p.place = matrix{at(0), at(1), at(2), at(3), at(4), at(5)}.times(p.place)
	case "BT":
		p.text, p.start = unmoved, unmoved
	case "Tf":
		if len(operands) > 1 {
			p.size = at(1)
			p.setFont(operands[0], resources)
		}
	case "Tc":
		p.letter = at(0)
	case "Tw":
		p.word = at(0)
	case "Tz":
		p.scale = at(0) / 100
	case "TL":
		p.line = at(0)
	case "Ts":
		p.rise = at(0)
	case "Td":
		p.move(at(0), at(1))
	case "TD":
		p.line = -at(1)
		p.move(at(0), at(1))
	case "Tm":
		p.start = matrix{at(0), at(1), at(2), at(3), at(4), at(5)}
		p.text = p.start
	case "T*":
		p.move(0, -p.line)
	case "Tj", "TJ", "'", "\"":
		p.write(what, operands, at)
	}
}

// write shows strings.
func (p *painter) write(how string, operands list, at func(int) float64) {
	if len(operands) == 0 {
		return
	}
	if how == "\"" {
		p.word, p.letter = at(0), at(1)
	}
	if how == "'" || how == "\"" {
		p.move(0, -p.line)
	}
	switch v := operands[len(operands)-1].(type) {
	case str:
		p.glyphs(v)
	case list:
		for _, one := range v {
			switch part := one.(type) {
			case str:
				p.glyphs(part)
			case float64:
				p.advance(-part / 1000 * p.size * p.scale)
			}
		}
	}
}

func (p *painter) move(x, y float64) {
	p.start = matrix{1, 0, 0, 1, x, y}.times(p.start)
	p.text = p.start
}

func (p *painter) advance(x float64) { p.text = matrix{1, 0, 0, 1, x, 0}.times(p.text) }

func (p *painter) setFont(id any, resources dict) {
	f := p.file
	called, _ := id.(name)
	described := f.dict(resources["Font"])[string(called)]
	key := string(called)
	if number, is := described.(ref); is {
		key = "#" + strconv.Itoa(int(number))
	} else {
		delete(p.fonts, key) // another page may mean another one by this name
	}
	known, found := p.fonts[key]
	if d := f.dict(described); !found && d != nil {
		known = f.loadFont(d)
		p.fonts[key] = known
	}
	p.font = known
}

// glyphs shows one string.
func (p *painter) glyphs(s str) {
	if p.font == nil {
		return
	}
	p.font.glyphs(s, p.file.limit, func(g glyph) {
		at := p.text.times(p.place)
		unit := math.Abs(p.size) * math.Hypot(at.b, at.a)
		p.put(g.text, at.e, at.f, unit)
		width := (g.width/1000*p.size + p.letter) * p.scale
		if g.blank {
			width += p.word * p.scale
		}
		p.advance(width)
		end := p.text.times(p.place)
		p.x, p.y, p.unit, p.shown = end.e, end.f, unit, true
	})
}

// put writes one glyph's text, after what its place says: a line's end, or a blank.
func (p *painter) put(text string, x, y, unit float64) {
	if p.shown && p.Len() > 0 {
		high := max(unit, p.unit, 0.1)
		switch gap, shift := x-p.x, math.Abs(y-p.y); {
		case shift > lineGap*high:
			p.WriteByte('\n')
			if shift > 3*lineGap*high*1.2 {
				p.WriteByte('\n')
			}
		case gap > 2*high:
			p.WriteByte('\t')
		case gap > blankGap*high && text != " " && !strings.HasSuffix(p.String(), " "), gap < -high:
			p.WriteByte(' ')
		}
	}
	p.WriteString(text)
}
