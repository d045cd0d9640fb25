// Package preview draws dashboards as a page with pictures in SVG, from a Prometheus, so
// that somebody can look at them where there is no Grafana. It is no Grafana: of a panel it
// draws the title, the lines or the number, the axis, the limit and the legend.
package preview
