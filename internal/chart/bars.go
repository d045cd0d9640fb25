package chart

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"math"
)

// Bounds of a chart.
const (
	BarsMost   = 62 // of one chart
	SeriesMost = 6
)

// Size of every picture, in pixels: it is looked at on telephones.
const (
	Width  = 1000
	Height = 560
)

const (
	left, right = 112, 28 // margins of the plot
	top, bottom = 34, 132
	gridLines   = 4
	baseline    = Height - bottom
	legendWide  = 3 // entries in a line
)

// ErrShape is a chart without bars, with more than there may be, or whose series are of
// different lengths or negative.
var ErrShape = errors.New("chart: as many values as labels in each series, none below 0, and within bounds")

// Series is one part of every bar.
type Series struct {
	Name   string  // in the legend
	Values []int64 // one for each label, none below 0
}

// Bars is a chart.
type Bars struct {
	Labels []string           // under the bars, from left to right; an empty one is not written
	Series []Series           // from the axis upwards
	Unit   func(int64) string // writes an amount on the axis
}

var (
	paper = color.RGBA{0xFF, 0xFF, 0xFF, 0xFF}
	ink   = color.RGBA{0x22, 0x2B, 0x36, 0xFF}
	faint = color.RGBA{0x6B, 0x77, 0x85, 0xFF}
	grid  = color.RGBA{0xE3, 0xE8, 0xED, 0xFF}
)

// palette tells series apart for those who do not see all colours, too.
func palette() []color.RGBA {
	return []color.RGBA{
		{0x00, 0x72, 0xB2, 0xFF}, {0xE6, 0x9F, 0x00, 0xFF}, {0x00, 0x9E, 0x73, 0xFF},
		{0xCC, 0x79, 0xA7, 0xFF}, {0x56, 0xB4, 0xE9, 0xFF}, {0x9A, 0xA5, 0xB1, 0xFF},
	}
}

// PNG draws the chart. ErrShape.
func (b Bars) PNG() ([]byte, error) {
	highest, err := b.highest()
	if err != nil {
		return nil, err
	}
	text, err := newPen()
	if err != nil {
		return nil, err
	}
	defer text.close()
	picture := image.NewRGBA(image.Rect(0, 0, Width, Height))
	draw.Draw(picture, picture.Bounds(), image.NewUniform(paper), image.Point{}, draw.Src)
	text.on = picture
	scale := scaleFor(highest)
	b.drawGrid(picture, text, scale)
	b.drawBars(picture, scale)
	b.drawLabels(text)
	b.drawLegend(picture, text)
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, picture); err != nil {
		return nil, fmt.Errorf("chart: %w", err)
	}
	return out.Bytes(), nil
}

// highest is the sum of the highest bar.
func (b Bars) highest() (highest int64, err error) {
	if len(b.Labels) == 0 || len(b.Labels) > BarsMost || len(b.Series) > SeriesMost || b.Unit == nil {
		return 0, ErrShape
	}
	for i := range b.Labels {
		var sum int64
		for _, s := range b.Series {
			if len(s.Values) != len(b.Labels) || s.Values[i] < 0 || s.Values[i] > math.MaxInt64/SeriesMost {
				return 0, ErrShape
			}
			sum += s.Values[i]
		}
		highest = max(highest, sum)
	}
	return highest, nil
}

// scaleFor is the amount at the top of the axis: a round one, so that the lines between
// are round, too.
func scaleFor(highest int64) int64 {
	if highest <= 0 {
		return 0
	}
	step := float64(highest) / gridLines
	unit := math.Pow(10, math.Floor(math.Log10(step)))
	for _, factor := range []float64{1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10} {
		if step <= factor*unit*(1+1e-9) {
			return max(int64(math.Round(gridLines*factor*unit)), highest)
		}
	}
	return highest
}

// height is how many pixels an amount is high.
func height(nano, scale int64) int {
	if scale == 0 {
		return 0
	}
	return int(math.Round(float64(nano) / float64(scale) * float64(baseline-top)))
}

func (b Bars) drawGrid(on draw.Image, text *pen, scale int64) {
	for i := range gridLines + 1 {
		amount := int64(math.Round(float64(scale) / gridLines * float64(i)))
		if scale == 0 && i > 0 {
			break
		}
		y := baseline - height(amount, scale)
		line := grid
		if i == 0 {
			line = faint
		}
		fill(on, image.Rect(left, y, Width-right, y+2), line)
		text.write(b.Unit(amount), left-12, y+8, faint, toTheLeft)
	}
}

// slot is where a bar with the space around it begins and ends.
func (b Bars) slot(i int) (from, to int) {
	const plot = Width - left - right
	return left + plot*i/len(b.Labels), left + plot*(i+1)/len(b.Labels)
}

func (b Bars) drawBars(on draw.Image, scale int64) {
	for i := range b.Labels {
		from, to := b.slot(i)
		space := max(1, (to-from)/6)
		if wide := to - from - 2*space; wide > 90 {
			space += (wide - 90) / 2
		}
		var below int64
		for k, s := range b.Series {
			if s.Values[i] == 0 {
				continue
			}
			foot := baseline - height(below, scale)
			below += s.Values[i]
			head := min(baseline-height(below, scale), foot-1) // what was spent is seen, however little
			fill(on, image.Rect(from+space, head, to-space, foot), palette()[k])
		}
	}
}

func (b Bars) drawLabels(text *pen) {
	for i, label := range b.Labels {
		if label == "" {
			continue
		}
		from, to := b.slot(i)
		text.write(label, (from+to)/2, baseline+32, faint, centred)
	}
}

// drawLegend names the series below, three in a line.
func (b Bars) drawLegend(on draw.Image, text *pen) {
	const plot = Width - left - right
	for k, s := range b.Series {
		x := left + plot*(k%legendWide)/legendWide
		y := baseline + 74 + 38*(k/legendWide)
		fill(on, image.Rect(x, y-17, x+18, y+1), palette()[k])
		text.write(text.clip(s.Name, plot/legendWide-44), x+28, y, ink, toTheRight)
	}
}

func fill(on draw.Image, where image.Rectangle, with color.Color) {
	draw.Draw(on, where, image.NewUniform(with), image.Point{}, draw.Src)
}
