package chart

import (
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"strings"

	"golang.org/x/image/font"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/opentype"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
)

const (
	textSize = 25 // pixels
	ellipsis = "..."
)

// Where a text stands by its point.
type align int

const (
	toTheRight align = iota
	toTheLeft
	centred
)

// pen writes text in one size.
type pen struct {
	on    draw.Image
	known *sfnt.Font
	face  font.Face
}

func newPen() (*pen, error) {
	known, err := opentype.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	const pixelsPerPoint = 72
	face, err := opentype.NewFace(known, &opentype.FaceOptions{Size: textSize, DPI: pixelsPerPoint, Hinting: font.HintingFull})
	if err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	return &pen{known: known, face: face}, nil
}

func (p *pen) close() { _ = p.face.Close() }

// drawable replaces what the font has not.
func (p *pen) drawable(text string) string {
	var buffer sfnt.Buffer
	return strings.Map(func(r rune) rune {
		if glyph, err := p.known.GlyphIndex(&buffer, r); err != nil || glyph == 0 || r < ' ' {
			return '?'
		}
		return r
	}, text)
}

// clip shortens a text to at most so many pixels.
func (p *pen) clip(text string, most int) string {
	text = p.drawable(text)
	if font.MeasureString(p.face, text).Ceil() <= most {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && font.MeasureString(p.face, string(runes)+ellipsis).Ceil() > most {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + ellipsis
}

// write draws one line whose baseline is at y.
func (p *pen) write(text string, x, y int, with color.Color, where align) {
	text = p.drawable(text)
	at := fixed.P(x, y)
	switch wide := font.MeasureString(p.face, text); where {
	case toTheLeft:
		at.X -= wide
	case centred:
		at.X -= wide / 2
	}
	drawer := font.Drawer{Dst: p.on, Src: image.NewUniform(with), Face: p.face, Dot: at}
	drawer.DrawString(text)
}
