package chart

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"strings"
	"testing"
)

func unit(n int64) string { return fmt.Sprintf("$%d", n) }

func drawn(t *testing.T, b Bars) image.Image {
	t.Helper()
	raw, err := b.PNG()
	if err != nil {
		t.Fatal(err)
	}
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil || picture.Bounds() != image.Rect(0, 0, Width, Height) || len(raw) > 200<<10 {
		t.Fatalf("%d bytes, %v", len(raw), err)
	}
	return picture
}

func painted(picture image.Image, with color.RGBA) (n int) {
	for y := range Height {
		for x := range Width {
			if r, g, b, _ := picture.At(x, y).RGBA(); uint8(r>>8) == with.R && uint8(g>>8) == with.G && uint8(b>>8) == with.B {
				n++
			}
		}
	}
	return n
}

// TestBarsAreTheirAmounts: the painted area of a series is as large as its share.
func TestBarsAreTheirAmounts(t *testing.T) {
	b := Bars{Labels: []string{"1", "2", "3"}, Unit: unit, Series: []Series{
		{Name: "a", Values: []int64{100, 0, 300}}, {Name: "b", Values: []int64{0, 50, 150}}}}
	picture := drawn(t, b)
	const legend = 18 * 18
	a, c := painted(picture, palette()[0])-legend, painted(picture, palette()[1])-legend
	if share := float64(a) / float64(c); math.Abs(share-2) > 0.03 {
		t.Errorf("400 and 200 are painted as %d and %d", a, c)
	}
	// A dollar's millionth beside a dollar is still seen.
	b.Series = []Series{{Name: "a", Values: []int64{1, 0, 1_000_000}}}
	from, to := b.slot(0)
	if r, _, _, _ := drawn(t, b).At((from+to)/2, baseline-1).RGBA(); uint8(r>>8) != palette()[0].R {
		t.Error("a small amount is not seen")
	}
}

func TestNothingToDraw(t *testing.T) {
	picture := drawn(t, Bars{Labels: []string{"1", ""}, Unit: unit})
	if painted(picture, palette()[0]) != 0 || painted(picture, paper) == Width*Height {
		t.Error("no bars and an axis are expected")
	}
}

func TestScale(t *testing.T) {
	for highest, want := range map[int64]int64{0: 0, 4: 4, 5: 6, 100: 100, 101: 120, 399: 400, 999_999_999: 1_000_000_000, 7_300_000: 8_000_000} {
		if got := scaleFor(highest); got != want {
			t.Errorf("the axis of %d ends at %d, want %d", highest, got, want)
		}
	}
	for _, highest := range []int64{math.MaxInt64 / SeriesMost, 1<<53 - 1, 3, 17, 12345} {
		if scaleFor(highest) < highest {
			t.Errorf("a bar of %d is higher than its axis", highest)
		}
	}
}

func TestAnyNameIsDrawn(t *testing.T) {
	for _, name := range []string{"", "模型", "gpt-4o\x00\n", "\xff\xfe", strings.Repeat("m", 5000), "ميزان", "🙂🙂", "\u202e"} {
		drawn(t, Bars{Labels: []string{name}, Unit: unit, Series: []Series{{Name: name, Values: []int64{5}}}})
	}
}

func TestShapesThatAreNone(t *testing.T) {
	one := []Series{{Name: "a", Values: []int64{1}}}
	for name, b := range map[string]Bars{
		"nothing":   {},
		"no unit":   {Labels: []string{"1"}, Series: one},
		"lengths":   {Labels: []string{"1", "2"}, Series: one, Unit: unit},
		"negative":  {Labels: []string{"1"}, Series: []Series{{Values: []int64{-1}}}, Unit: unit},
		"overflow":  {Labels: []string{"1"}, Series: []Series{{Values: []int64{math.MaxInt64}}}, Unit: unit},
		"many bars": {Labels: make([]string, BarsMost+1), Unit: unit},
		"many":      {Labels: []string{"1"}, Series: make([]Series, SeriesMost+1), Unit: unit},
	} {
		if _, err := b.PNG(); !errors.Is(err, ErrShape) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
