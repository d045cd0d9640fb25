package grafana

// What Grafana's JSON is made of, as far as these dashboards need it. A test holds the
// files to Grafana's own types.

// Dashboard is one page.
type Dashboard struct {
	UID           string      `json:"uid"`
	Title         string      `json:"title"`
	Description   string      `json:"description"`
	Tags          []string    `json:"tags"`
	Timezone      string      `json:"timezone"`
	SchemaVersion int         `json:"schemaVersion"`
	Editable      bool        `json:"editable"`
	GraphTooltip  int         `json:"graphTooltip"` // 1: all panels show the same moment
	Refresh       string      `json:"refresh"`
	Time          TimeRange   `json:"time"`
	Links         []Link      `json:"links"`
	Templating    Templating  `json:"templating"`
	Annotations   Annotations `json:"annotations"`
	Panels        []Panel     `json:"panels"`
}

// TimeRange is what is shown at first.
type TimeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Link leads to the other dashboards.
type Link struct {
	Title       string   `json:"title"`
	Type        string   `json:"type"`
	Icon        string   `json:"icon"`
	Tooltip     string   `json:"tooltip"`
	Tags        []string `json:"tags"`
	AsDropdown  bool     `json:"asDropdown"`
	TargetBlank bool     `json:"targetBlank"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
}

// Templating is what can be chosen above the panels.
type Templating struct {
	List []Variable `json:"list"`
}

// Variable is one choice.
type Variable struct {
	Name       string     `json:"name"`
	Label      string     `json:"label"`
	Type       string     `json:"type"`
	Datasource Datasource `json:"datasource"`
	Query      string     `json:"query"`
	Refresh    int        `json:"refresh"` // 2: when the time range changes
	Sort       int        `json:"sort"`    // 1: by the alphabet
	Multi      bool       `json:"multi"`
	IncludeAll bool       `json:"includeAll"`
	AllValue   string     `json:"allValue"`
}

// Annotations are marks across all panels.
type Annotations struct {
	List []Annotation `json:"list"`
}

// Annotation is one kind of mark.
type Annotation struct {
	Name       string     `json:"name"`
	Enable     bool       `json:"enable"`
	IconColor  string     `json:"iconColor"`
	Datasource Datasource `json:"datasource"`
	Expr       string     `json:"expr"`
	Step       string     `json:"step"`
	TitleFmt   string     `json:"titleFormat"`
}

// Datasource names where numbers come from.
type Datasource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Panel is a picture, or the headline of a row.
type Panel struct {
	ID          int          `json:"id"`
	Type        string       `json:"type"` // row, stat or timeseries
	Title       string       `json:"title"`
	Description string       `json:"description,omitempty"`
	GridPos     GridPos      `json:"gridPos"`
	Collapsed   *bool        `json:"collapsed,omitempty"` // of rows
	Panels      *[]Panel     `json:"panels,omitempty"`    // of rows
	Datasource  *Datasource  `json:"datasource,omitempty"`
	Targets     []Target     `json:"targets,omitempty"`
	FieldConfig *FieldConfig `json:"fieldConfig,omitempty"`
	Options     any          `json:"options,omitempty"`
}

// GridPos is a place on a grid 24 wide.
type GridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

// Target is one question to Prometheus.
type Target struct {
	RefID        string     `json:"refId"`
	Datasource   Datasource `json:"datasource"`
	Expr         string     `json:"expr"`
	LegendFormat string     `json:"legendFormat"`
	Instant      bool       `json:"instant"`
	Range        bool       `json:"range"`
}

// FieldConfig is how numbers are shown.
type FieldConfig struct {
	Defaults  Field `json:"defaults"`
	Overrides []any `json:"overrides"`
}

// Field is how a number is shown.
type Field struct {
	Unit       string     `json:"unit"`
	Decimals   *int       `json:"decimals,omitempty"`
	Min        *float64   `json:"min,omitempty"`
	Max        *float64   `json:"max,omitempty"`
	NoValue    string     `json:"noValue,omitempty"`
	Color      Color      `json:"color"`
	Thresholds Thresholds `json:"thresholds"`
	Custom     *Custom    `json:"custom,omitempty"`
}

// Color is how a colour is chosen.
type Color struct {
	Mode string `json:"mode"`
}

// Thresholds are the values at which the colour changes.
type Thresholds struct {
	Mode  string `json:"mode"`
	Steps []Step `json:"steps"`
}

// Step is a colour, from a value on; the first has none.
type Step struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

// Custom is how lines are drawn.
type Custom struct {
	DrawStyle         string   `json:"drawStyle"`
	LineWidth         int      `json:"lineWidth"`
	FillOpacity       int      `json:"fillOpacity"`
	ShowPoints        string   `json:"showPoints"`
	Stacking          Stacking `json:"stacking"`
	ThresholdsStyle   Style    `json:"thresholdsStyle"`
	AxisSoftMin       *float64 `json:"axisSoftMin,omitempty"`
	LineInterpolation string   `json:"lineInterpolation"`
}

// Stacking lays areas on one another.
type Stacking struct {
	Group string `json:"group"`
	Mode  string `json:"mode"` // none or normal
}

// Style is how thresholds are drawn.
type Style struct {
	Mode string `json:"mode"` // off or line
}

// StatOptions are those of a single number.
type StatOptions struct {
	ColorMode     string        `json:"colorMode"`
	GraphMode     string        `json:"graphMode"`
	JustifyMode   string        `json:"justifyMode"`
	TextMode      string        `json:"textMode"`
	Orientation   string        `json:"orientation"`
	ReduceOptions ReduceOptions `json:"reduceOptions"`
}

// ReduceOptions say which of a series' values is the number.
type ReduceOptions struct {
	Calcs  []string `json:"calcs"`
	Fields string   `json:"fields"`
	Values bool     `json:"values"`
}

// LineOptions are those of lines over time.
type LineOptions struct {
	Legend  Legend  `json:"legend"`
	Tooltip Tooltip `json:"tooltip"`
}

// Legend names the lines.
type Legend struct {
	DisplayMode string   `json:"displayMode"`
	Placement   string   `json:"placement"`
	ShowLegend  bool     `json:"showLegend"`
	Calcs       []string `json:"calcs"`
}

// Tooltip is what the pointer shows.
type Tooltip struct {
	Mode string `json:"mode"`
	Sort string `json:"sort"`
}
