// Package metrics knows which metrics the program shows: METRICS.md, which an end-to-end
// test holds to /metrics, and from which rules and dashboards are checked for names and
// labels that do not exist.
package metrics
