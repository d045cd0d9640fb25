// Package telemetry is how the running program speaks of itself: log lines
// without secrets, Prometheus metrics, and a private listener that serves
// them. It registers into what it is given and keeps no global state.
package telemetry
