package preview

import (
	"fmt"
	"html"
	"math"
	"strings"
	"time"

	"github.com/kikuai/kikuai/deploy/grafana"
)

const (
	left  = 52 // pixels for the axis' numbers
	below = 16 // and for its times
	above = 10 // for the highest number's upper half
)

func palette(i int) string {
	colours := []string{"#3b7dd8", "#e08a1e", "#2f9e62", "#c0392b", "#8e5bb5", "#17a2a2", "#c2527d", "#8a7a2f", "#5c6b7a", "#6aa84f", "#b4582b", "#3d5a98"}
	return colours[i%len(colours)]
}

// frame is the part of a picture that lines are drawn in.
type frame struct {
	from     Source
	w, h     float64 // pixels
	low, top float64 // values
}

func (f *frame) x(p point) float64 {
	return left + (f.w-left)*p.at.Sub(f.from.From).Seconds()/f.from.To.Sub(f.from.From).Seconds()
}

func (f *frame) y(v float64) float64 {
	return above + (f.h-above-below)*(1-(v-f.low)/(f.top-f.low))
}

// picture draws lines over time, with their legend.
func picture(p *grafana.Panel, all []series, from Source, w, h int) string {
	field := p.FieldConfig.Defaults
	stacked := field.Custom.Stacking.Mode == "normal"
	if stacked {
		all = stack(all)
	}
	f := frame{from: from, w: float64(w), h: float64(h), top: topOf(p, all)}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg width="%d" height="%d">`, w, h)
	for i := range 5 {
		value := f.top * float64(i) / 4
		fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#e8eaec"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, w, f.y(value), f.y(value), left-5, f.y(value)+3, html.EscapeString(inUnit(value, field.Unit)))
	}
	for i := range 4 {
		at := from.From.Add(from.To.Sub(from.From) * time.Duration(i) / 4)
		fmt.Fprintf(&b, `<text x="%.1f" y="%d">%s</text>`, f.x(point{at: at}), h-3, at.Format("15:04:05"))
	}
	for i := len(all) - 1; i >= 0; i-- { // of a stack the highest first
		f.line(&b, all[i], palette(i), stacked)
	}
	if field.Custom.ThresholdsStyle.Mode == "line" {
		if limit := field.Thresholds.Steps[1].Value; limit != nil && *limit <= f.top {
			fmt.Fprintf(&b, `<line x1="%d" x2="%d" y1="%.1f" y2="%.1f" stroke="#d0342c" stroke-dasharray="5 4"/>`, left, w, f.y(*limit), f.y(*limit))
		}
	}
	if len(all) == 0 {
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">nothing</text>`, (w+left)/2, h/2)
	}
	b.WriteString("</svg><div class=l>")
	for i, s := range all {
		fmt.Fprintf(&b, `<i style="background:%s"></i>%s`, palette(i), html.EscapeString(s.labels[""]))
	}
	b.WriteString("</div>")
	return b.String()
}

// line draws one line, broken where values are missing.
func (f *frame) line(b *strings.Builder, s series, colour string, filled bool) {
	var path, area strings.Builder
	start := -1
	for i, p := range s.points {
		if math.IsNaN(p.value) || math.IsInf(p.value, 0) {
			start = -1
			continue
		}
		move := "L"
		if start < 0 || p.at.Sub(s.points[i-1].at) > 2*f.from.Step {
			move, start = "M", i
		}
		fmt.Fprintf(&path, "%s%.1f %.1f", move, f.x(p), f.y(p.value))
	}
	if filled && len(s.points) > 0 {
		fmt.Fprintf(&area, "M%.1f %.1f", f.x(s.points[0]), f.y(0))
		for _, p := range s.points {
			fmt.Fprintf(&area, "L%.1f %.1f", f.x(p), f.y(max(0, p.value)))
		}
		fmt.Fprintf(&area, "L%.1f %.1fZ", f.x(s.points[len(s.points)-1]), f.y(0))
		fmt.Fprintf(b, `<path d="%s" fill="#fff"/><path d="%s" fill="%s" fill-opacity=".35"/>`, area.String(), area.String(), colour)
	}
	fmt.Fprintf(b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.4"/>`, path.String(), colour)
}

// stack lays each line on those before it.
func stack(all []series) []series {
	sums := map[int64]float64{}
	stacked := make([]series, len(all))
	for i, s := range all {
		stacked[i].labels = s.labels
		for _, p := range s.points {
			if math.IsNaN(p.value) {
				continue
			}
			sums[p.at.UnixMilli()] += p.value
			stacked[i].points = append(stacked[i].points, point{p.at, sums[p.at.UnixMilli()]})
		}
	}
	return stacked
}

// topOf is the axis' end: what the panel says, or a round number above all values.
func topOf(p *grafana.Panel, all []series) float64 {
	if most := p.FieldConfig.Defaults.Max; most != nil {
		return *most
	}
	top := 0.0
	for _, s := range all {
		for _, p := range s.points {
			if !math.IsNaN(p.value) && !math.IsInf(p.value, 0) {
				top = max(top, p.value)
			}
		}
	}
	if top <= 0 {
		return 1
	}
	if p.FieldConfig.Defaults.Unit == "bytes" {
		return math.Exp2(math.Ceil(math.Log2(top)))
	}
	magnitude := math.Pow(10, math.Floor(math.Log10(top)))
	for _, round := range []float64{1, 2, 4, 5, 8, 10} {
		if top <= round*magnitude {
			return round * magnitude
		}
	}
	return top
}
