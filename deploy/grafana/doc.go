// Package grafana is the dashboards, as code: few, each in the order of the questions that
// somebody asks who looks at them. dashboards/*.json is what Grafana loads; make dashboards
// writes it, and a test holds it to what stands here.
package grafana
