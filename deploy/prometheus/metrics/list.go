package metrics

import (
	_ "embed"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

//go:embed METRICS.md
var listMD string

// Metric is one row of the list.
type Metric struct {
	Name   string
	Type   string // counter, gauge or histogram
	Labels []string
	Help   string
}

// Row is the metric as METRICS.md has it.
func (m Metric) Row() string {
	labels := strings.Join(m.Labels, ", ")
	return fmt.Sprintf("| `%s` | %s | %s | %s |", m.Name, m.Type, labels, strings.ReplaceAll(m.Help, "|", "/"))
}

var rowShape = regexp.MustCompile("^\\| `([a-zA-Z_:][a-zA-Z0-9_:]*)` \\| (\\w+) \\| ([^|]*) \\| ([^|]*) \\|$")

// List is what METRICS.md lists, by name.
func List() map[string]Metric {
	list := map[string]Metric{}
	for line := range strings.SplitSeq(listMD, "\n") {
		row := rowShape.FindStringSubmatch(line)
		if row == nil {
			continue
		}
		m := Metric{Name: row[1], Type: row[2], Help: row[4]}
		if row[3] != "" {
			m.Labels = strings.Split(row[3], ", ")
		}
		list[m.Name] = m
	}
	return list
}

// Ours says whether a metric is the program's own, and not of its runtime or its process.
func Ours(name string) bool {
	return !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") && !strings.HasPrefix(name, "promhttp_")
}

// aside are the metrics that Prometheus makes itself, and those of the runtime and the
// process that rules and dashboards may ask for.
func aside() []Metric {
	return []Metric{
		{Name: "up", Type: typeGauge},
		{Name: "ALERTS", Type: typeGauge, Labels: []string{"alertname", "alertstate", "severity"}},
		{Name: "process_resident_memory_bytes", Type: typeGauge},
		{Name: "process_cpu_seconds_total", Type: typeCounter},
		{Name: "process_open_fds", Type: typeGauge},
		{Name: "process_max_fds", Type: typeGauge},
		{Name: "process_start_time_seconds", Type: typeGauge},
		{Name: "go_sched_gomaxprocs_threads", Type: typeGauge},
		{Name: "go_goroutines", Type: typeGauge},
		{Name: "go_memstats_heap_inuse_bytes", Type: typeGauge},
		{Name: "go_gc_duration_seconds", Type: typeHistogram},
	}
}

const (
	typeCounter   = "counter"
	typeGauge     = "gauge"
	typeHistogram = "histogram"
)

// find is the metric that a series' name belongs to: a histogram has three names.
func find(list map[string]Metric, name string) (m Metric, bucket, found bool) {
	if m, found = list[name]; found && m.Type != typeHistogram {
		return m, false, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		if base, is := strings.CutSuffix(name, suffix); is && list[base].Type == typeHistogram {
			return list[base], suffix == "_bucket", true
		}
	}
	return Metric{}, false, false
}

func (m Metric) has(label string) bool {
	return label == "job" || label == "instance" || slices.Contains(m.Labels, label)
}
