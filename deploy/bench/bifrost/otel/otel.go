// Package otel stands where Bifrost's own plugin for OpenTelemetry does, which the
// measurement has no use for: it is never started, and refuses to be.
package otel

import (
	"context"
	"errors"

	"github.com/maximhq/bifrost/core/schemas"
	"github.com/maximhq/bifrost/framework/modelcatalog"
)

// PluginName is the plugin's name in Bifrost's configuration.
const PluginName = "otel"

// Config is the plugin's configuration.
type Config struct{}

// OtelPlugin is the plugin.
type OtelPlugin struct{ schemas.LLMPlugin }

// Init fails.
func Init(context.Context, *Config, schemas.Logger, *modelcatalog.ModelCatalog, string) (*OtelPlugin, error) {
	return nil, errors.New("OpenTelemetry is left out of this build")
}

// RecordHTTPMetrics records nothing.
func (*OtelPlugin) RecordHTTPMetrics(context.Context, string, string, string, float64, float64, float64) {
}
