module github.com/maximhq/bifrost/plugins/otel

go 1.26.4

require (
	github.com/maximhq/bifrost/core v1.6.0
	github.com/maximhq/bifrost/framework v1.4.0
)
