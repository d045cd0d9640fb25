package preview

import (
	"context"
	"fmt"
	"html"
	"math"
	"strings"

	"github.com/kikuai/kikuai/deploy/grafana"
)

const (
	unit = 52 // pixels of the grid's width
	tall = 34 // and of its height
	gap  = 6
	head = 56 // pixels above the panels
)

// Drawn is what came of a dashboard.
type Drawn struct {
	HTML          string
	Width, Height int      // pixels
	Empty         []string // titles of panels without a single value
}

const style = `body{margin:0;background:#f4f5f5;font:13px system-ui,sans-serif;color:#24292e;position:relative}
h1{font-size:18px;margin:0;padding:14px 12px 0}h1 small{font-weight:400;color:#6a6f76;font-size:12px}
.p{position:absolute;background:#fff;border:1px solid #e0e2e5;border-radius:3px;box-sizing:border-box;padding:6px 8px;overflow:hidden}
.r{position:absolute;font-weight:600;font-size:14px;padding:8px 4px}
.t{font-weight:600;font-size:12px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.n{font-size:30px;font-weight:500;text-align:center;line-height:84px}
.l{font-size:11px;color:#4a4f55;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.l i{display:inline-block;width:12px;height:3px;margin:0 4px 3px 8px;border-radius:2px}
text{font-size:10px;fill:#7b8087}`

// Draw draws a dashboard.
func Draw(ctx context.Context, d grafana.Dashboard, from Source) (Drawn, error) {
	drawn := Drawn{Width: 24*unit + 2*gap}
	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html><meta charset=utf-8><style>%s</style><h1>%s <small>%s</small></h1>", style, html.EscapeString(d.Title), html.EscapeString(d.Description))
	for i := range d.Panels {
		p := &d.Panels[i]
		x, y := gap+p.GridPos.X*unit, head+p.GridPos.Y*tall
		w, h := p.GridPos.W*unit-gap, p.GridPos.H*tall-gap
		drawn.Height = max(drawn.Height, y+h+2*gap)
		if p.Type == "row" {
			fmt.Fprintf(&b, `<div class=r style="left:%dpx;top:%dpx">%s</div>`, x, y, html.EscapeString(p.Title))
			continue
		}
		fmt.Fprintf(&b, `<div class=p style="left:%dpx;top:%dpx;width:%dpx;height:%dpx"><div class=t>%s</div>`, x, y, w, h, html.EscapeString(p.Title))
		all, err := lines(ctx, p, from)
		if err != nil {
			return Drawn{}, fmt.Errorf("%s: %w", p.Title, err)
		}
		if len(all) == 0 {
			drawn.Empty = append(drawn.Empty, p.Title)
		}
		if p.Type == "stat" {
			b.WriteString(number(p, all))
		} else {
			b.WriteString(picture(p, all, from, w-18, h-58))
		}
		b.WriteString("</div>")
	}
	drawn.HTML = b.String()
	return drawn, nil
}

// lines asks for all lines of a panel and names them.
func lines(ctx context.Context, p *grafana.Panel, from Source) (all []series, err error) {
	for _, target := range p.Targets {
		found, err := from.ask(ctx, target.Expr)
		if err != nil {
			return nil, err
		}
		for _, s := range found {
			s.labels = map[string]string{"": s.name(target.LegendFormat)}
			all = append(all, s)
		}
	}
	return all, nil
}

// number is a stat: the last value, in the colour of its threshold.
func number(p *grafana.Panel, all []series) string {
	text, colour := p.FieldConfig.Defaults.NoValue, "#24292e"
	if len(all) > 0 && len(all[0].points) > 0 {
		value := all[0].points[len(all[0].points)-1].value
		text = inUnit(value, p.FieldConfig.Defaults.Unit)
		for _, step := range p.FieldConfig.Defaults.Thresholds.Steps {
			if step.Value == nil || value >= *step.Value {
				colour = colours(step.Color)
			}
		}
	}
	return fmt.Sprintf(`<div class=n style="color:%s">%s</div>`, colour, html.EscapeString(text))
}

func colours(name string) string {
	switch name {
	case "green":
		return "#2f8f46"
	case "orange":
		return "#d9820a"
	case "red":
		return "#d0342c"
	}
	return "#24292e"
}

// inUnit says a number as Grafana would, roughly.
func inUnit(v float64, unit string) string {
	switch unit {
	case "s":
		switch {
		case v == 0:
			return "0 s"
		case v < .001:
			return fmt.Sprintf("%.3g µs", v*1e6)
		case v < 1:
			return fmt.Sprintf("%.3g ms", v*1e3)
		case v < 120:
			return fmt.Sprintf("%.3g s", v)
		}
		return fmt.Sprintf("%.3g min", v/60)
	case "percentunit":
		return fmt.Sprintf("%.3g%%", v*100)
	case "bytes":
		return scaled(v, 1024, []string{" B", " KiB", " MiB", " GiB", " TiB"})
	case "currencyUSD":
		return fmt.Sprintf("$%.3g", v)
	case "reqps":
		return scaled(v, 1000, []string{"/s", "k/s", "M/s"})
	}
	return scaled(v, 1000, []string{"", "k", "M", "G", "T"})
}

func scaled(v, by float64, names []string) string {
	i := 0
	for math.Abs(v) >= by && i < len(names)-1 {
		v, i = v/by, i+1
	}
	return fmt.Sprintf("%.3g%s", v, names[i])
}
