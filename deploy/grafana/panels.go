package grafana

import "slices"

const (
	width      = 24 // of the grid
	lineHeight = 7
	statHeight = 4

	// sourceUID is what provisioning/datasources calls Prometheus.
	sourceUID = "prometheus"

	green, amber, red = "green", "orange", "red"
)

// Units of Grafana's.
const (
	unitNumber  = "short"
	unitPerSec  = "reqps"
	unitSeconds = "s"
	unitShare   = "percentunit"
	unitBytes   = "bytes"
	unitDollars = "currencyUSD"
)

func source() Datasource { return Datasource{Type: "prometheus", UID: sourceUID} }

// line is a question and the name of what answers it; {{label}} stands for a label's value.
type line struct{ expr, name string }

// row is a question of whoever looks, with the panels that answer it.
type row struct {
	title  string
	panels []part
}

// part is a panel that has no place yet.
type part struct {
	width int
	panel Panel
}

// stat is one number. It is green below warn, red from bad on, and amber in between;
// with both zero it is a plain number.
func stat(w int, title, description, unit, expr string, warn, bad float64) part {
	steps := []Step{{Color: green}}
	colour := "value"
	switch {
	case warn == 0 && bad == 0:
		colour, steps[0].Color = "none", "text"
	case warn != bad:
		steps = append(steps, Step{amber, &warn})
	}
	if bad != 0 {
		steps = append(steps, Step{red, &bad})
	}
	return part{w, Panel{
		Type: "stat", Title: title, Description: description,
		GridPos: GridPos{H: statHeight, W: w}, Targets: targets([]line{{expr, title}}),
		FieldConfig: &FieldConfig{Overrides: []any{}, Defaults: Field{
			Unit: unit, NoValue: "–", Color: Color{"thresholds"}, Thresholds: Thresholds{"absolute", steps},
		}},
		Options: StatOptions{
			ColorMode: colour, GraphMode: "area", JustifyMode: "auto", TextMode: "value", Orientation: "auto",
			ReduceOptions: ReduceOptions{Calcs: []string{"lastNotNull"}},
		},
	}}
}

// lines are numbers over time. A limit other than zero is drawn across them.
func lines(w int, title, description, unit string, limit float64, of ...line) part {
	steps := []Step{{Color: green}}
	style := "off"
	if limit != 0 {
		steps, style = append(steps, Step{red, &limit}), "line"
	}
	zero := 0.0
	return part{w, Panel{
		Type: "timeseries", Title: title, Description: description,
		GridPos: GridPos{H: lineHeight, W: w}, Targets: targets(of),
		FieldConfig: &FieldConfig{Overrides: []any{}, Defaults: Field{
			Unit: unit, Color: Color{"palette-classic"}, Thresholds: Thresholds{"absolute", steps},
			Custom: &Custom{
				DrawStyle: "line", LineInterpolation: "linear", LineWidth: 1, FillOpacity: 8, ShowPoints: "never",
				Stacking: Stacking{"A", "none"}, ThresholdsStyle: Style{style}, AxisSoftMin: &zero,
			},
		}},
		Options: LineOptions{
			Legend:  Legend{DisplayMode: "list", Placement: "bottom", ShowLegend: true, Calcs: []string{}},
			Tooltip: Tooltip{Mode: "multi", Sort: "desc"},
		},
	}}
}

// tall makes one number as high as the lines beside it.
func tall(p part) part {
	p.panel.GridPos.H = lineHeight
	return p
}

// stacked lays the lines of a panel on one another.
func stacked(p part) part {
	custom := *p.panel.FieldConfig.Defaults.Custom
	custom.Stacking.Mode, custom.FillOpacity = "normal", 40
	p.panel.FieldConfig.Defaults.Custom = &custom
	return p
}

// upTo bounds a panel's axis.
func upTo(most float64, p part) part {
	zero := 0.0
	p.panel.FieldConfig.Defaults.Min, p.panel.FieldConfig.Defaults.Max = &zero, &most
	return p
}

func targets(of []line) (all []Target) {
	for i, l := range of {
		all = append(all, Target{
			RefID: string(rune('A' + i)), Datasource: source(), Expr: l.expr, LegendFormat: l.name, Range: true,
		})
	}
	return all
}

// place lays rows out, one below the other, their panels from left to right.
func place(rows []row) (panels []Panel) {
	id, y := 0, 0
	for _, r := range rows {
		id++
		collapsed := false
		panels = append(panels, Panel{
			ID: id, Type: "row", Title: r.title, Collapsed: &collapsed, Panels: &[]Panel{}, GridPos: GridPos{H: 1, W: width, Y: y},
		})
		y++
		x, high := 0, 0
		for _, p := range r.panels {
			if x+p.width > width {
				x, y, high = 0, y+high, 0
			}
			id++
			panel, from := p.panel, source()
			panel.ID, panel.Datasource = id, &from
			panel.GridPos.X, panel.GridPos.Y = x, y
			panels = append(panels, panel)
			x, high = x+p.width, max(high, panel.GridPos.H)
		}
		y += high
	}
	return panels
}

const tag = "kikuai"

// dashboard puts rows on a page.
func dashboard(uid, title, description string, rows ...row) Dashboard {
	return Dashboard{
		UID: uid, Title: title, Description: description, Tags: []string{tag},
		Timezone: "browser", SchemaVersion: 41, GraphTooltip: 1, Refresh: "30s", Time: TimeRange{"now-3h", "now"},
		Links: []Link{{
			Title: "KikuAI", Type: "dashboards", Icon: "external link", Tags: []string{tag}, IncludeVars: true, KeepTime: true,
		}},
		Templating: Templating{[]Variable{{
			Name: "instance", Label: "Instance", Type: "query", Datasource: source(), Query: `label_values(up{job="kikuai"}, instance)`,
			Refresh: 2, Sort: 1, Multi: true, IncludeAll: true, AllValue: ".*",
		}}},
		Annotations: Annotations{[]Annotation{{
			Name: "Alerts that wake", Enable: true, IconColor: red, Datasource: source(), Step: "30s",
			Expr: `max by (alertname) (ALERTS{alertstate="firing",severity="page"})`, TitleFmt: "{{alertname}}",
		}}},
		Panels: place(rows),
	}
}

// All are the dashboards, the one to begin with first.
func All() []Dashboard { return []Dashboard{overview(), calls(), machines()} }

// Expressions are all that a dashboard asks Prometheus for.
func (d Dashboard) Expressions() (all []string) {
	for _, p := range d.Panels {
		for _, t := range p.Targets {
			all = append(all, t.Expr)
		}
	}
	for _, a := range d.Annotations.List {
		all = append(all, a.Expr)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
