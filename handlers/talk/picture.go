package talk

import (
	"bytes"
	"encoding/base64"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // which image.Decode then reads, as it does PNG
	"image/jpeg"
	_ "image/png" // as above
	"net/http"
	"slices"
)

const (
	// What all providers take: a picture of 5 MB as text, which is 3.75 MB of file, and of
	// 8000 pixels a side.
	pictureBytes = 3_700_000
	pictureSide  = 8000

	shrunkSide    = 2048       // of a picture that is made smaller; no model looks closer
	shrunkQuality = 85         // of JPEG
	pixelsMost    = 40_000_000 // of a picture that is opened at all: about 160 MB
)

var (
	errPictureKind  = errors.New("talk: not a picture that models take")
	errPictureLarge = errors.New("talk: the picture is too large")
)

// dataURL is a picture as models take it, made smaller where it must be.
func dataURL(content []byte) (string, error) {
	kind := http.DetectContentType(content)
	if !slices.Contains([]string{"image/jpeg", "image/png", "image/gif", "image/webp"}, kind) {
		return "", errPictureKind
	}
	small := len(content) <= pictureBytes
	if kind != "image/webp" { // which this program cannot open
		size, _, err := image.DecodeConfig(bytes.NewReader(content))
		if err != nil {
			return "", errPictureKind
		}
		if small = small && max(size.Width, size.Height) <= pictureSide; !small {
			if size.Width*size.Height > pixelsMost {
				return "", errPictureLarge
			}
			kind, content, err = shrink(content)
			if err != nil {
				return "", errPictureKind
			}
			small = len(content) <= pictureBytes
		}
	}
	if !small {
		return "", errPictureLarge
	}
	return "data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(content), nil
}

// shrink makes a picture's longer side shrunkSide pixels long.
func shrink(content []byte) (kind string, smaller []byte, err error) {
	from, _, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		return "", nil, err
	}
	w, h := from.Bounds().Dx(), from.Bounds().Dy()
	longest := max(w, h)
	to := from
	if longest > shrunkSide {
		to = scaled(from, max(1, w*shrunkSide/longest), max(1, h*shrunkSide/longest))
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, to, &jpeg.Options{Quality: shrunkQuality})
	return "image/jpeg", b.Bytes(), err
}

// scaled averages a picture into fewer pixels.
func scaled(from image.Image, w, h int) image.Image {
	to := image.NewRGBA(image.Rect(0, 0, w, h))
	b := from.Bounds()
	for y := range h {
		top, bottom := b.Min.Y+y*b.Dy()/h, b.Min.Y+(y+1)*b.Dy()/h
		for x := range w {
			left, right := b.Min.X+x*b.Dx()/w, b.Min.X+(x+1)*b.Dx()/w
			var red, green, blue, n uint64
			for py := top; py < max(bottom, top+1); py++ {
				for px := left; px < max(right, left+1); px++ {
					r, g, bl, _ := from.At(px, py).RGBA()
					red, green, blue, n = red+uint64(r), green+uint64(g), blue+uint64(bl), n+1
				}
			}
			to.SetRGBA(x, y, color.RGBA{uint8(red / n >> 8), uint8(green / n >> 8), uint8(blue / n >> 8), 0xFF})
		}
	}
	return to
}
