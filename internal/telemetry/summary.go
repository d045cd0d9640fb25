package telemetry

import (
	"math"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// sample is one series in /performance/metrics. Times are in seconds, as in
// the histograms they come from; the quantiles are interpolated within a
// bucket, so they are as fine as the buckets.
type sample struct {
	Labels map[string]string `json:"labels,omitempty"`
	Value  *float64          `json:"value,omitempty"`
	Count  *uint64           `json:"count,omitempty"`
	Mean   *float64          `json:"mean,omitempty"`
	P50    *float64          `json:"p50,omitempty"`
	P95    *float64          `json:"p95,omitempty"`
	P99    *float64          `json:"p99,omitempty"`
}

// summarise turns what a registry gathered into name → samples.
func summarise(families []*dto.MetricFamily) map[string][]sample {
	out := map[string][]sample{}
	for _, family := range families {
		name := family.GetName()
		if strings.HasPrefix(name, "go_sched_") || strings.HasPrefix(name, "promhttp_") {
			continue
		}
		for _, metric := range family.GetMetric() {
			out[name] = append(out[name], summariseOne(metric))
		}
	}
	return out
}

func summariseOne(metric *dto.Metric) sample {
	var s sample
	for _, label := range metric.GetLabel() {
		if s.Labels == nil {
			s.Labels = map[string]string{}
		}
		s.Labels[label.GetName()] = label.GetValue()
	}
	switch {
	case metric.GetCounter() != nil:
		s.Value = finite(metric.GetCounter().GetValue())
	case metric.GetGauge() != nil:
		s.Value = finite(metric.GetGauge().GetValue())
	case metric.GetUntyped() != nil:
		s.Value = finite(metric.GetUntyped().GetValue())
	case metric.GetHistogram() != nil:
		h := metric.GetHistogram()
		s.Count = new(h.GetSampleCount())
		s.Mean = finite(h.GetSampleSum() / float64(h.GetSampleCount()))
		s.P50, s.P95, s.P99 = quantile(h, .5), quantile(h, .95), quantile(h, .99)
	case metric.GetSummary() != nil:
		s.Count = new(metric.GetSummary().GetSampleCount())
		s.Mean = finite(metric.GetSummary().GetSampleSum() / float64(*s.Count))
	}
	return s
}

// quantile interpolates within the bucket that holds it; above the last bound
// the bound itself is all that is known.
func quantile(h *dto.Histogram, q float64) *float64 {
	if h.GetSampleCount() == 0 {
		return nil
	}
	rank := q * float64(h.GetSampleCount())
	lower, below := 0.0, 0.0
	for _, b := range h.GetBucket() {
		upper, upTo := b.GetUpperBound(), float64(b.GetCumulativeCount())
		if math.IsInf(upper, 1) {
			break
		}
		if upTo >= rank && upTo > below {
			return finite(lower + (upper-lower)*(rank-below)/(upTo-below))
		}
		lower, below = upper, upTo
	}
	return finite(lower)
}

// finite leaves out what JSON cannot say.
func finite(f float64) *float64 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil
	}
	return &f
}
