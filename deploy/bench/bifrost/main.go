// Bifrost starts the gateway of that name, https://github.com/maximhq/bifrost, as its
// own main does but without its web pages, to be measured beside KikuAI. It is a module
// of its own, so that nothing of it is in KikuAI's.
package main

import (
	"context"
	"embed"
	"flag"
	"log"

	core "github.com/maximhq/bifrost/core"
	"github.com/maximhq/bifrost/core/schemas"
	"github.com/maximhq/bifrost/transports/bifrost-http/handlers"
	"github.com/maximhq/bifrost/transports/bifrost-http/lib"
	"github.com/maximhq/bifrost/transports/bifrost-http/server"
)

func main() {
	s := server.NewBifrostHTTPServer("v1.6.0", embed.FS{})
	flag.StringVar(&s.Host, "host", "127.0.0.1", "the address's host")
	flag.StringVar(&s.Port, "port", "8080", "the address's port")
	flag.StringVar(&s.AppDir, "app-dir", ".", "the directory of config.json")
	flag.Parse()
	s.LogLevel, s.LogOutputStyle = string(schemas.LogLevelWarn), string(schemas.LoggerOutputTypeJSON)
	logger := core.NewDefaultLogger(schemas.LogLevelWarn)
	lib.SetLogger(logger)
	server.SetLogger(logger)
	handlers.SetLogger(logger)
	if err := s.Bootstrap(context.Background()); err != nil {
		log.Fatal(err)
	}
	if err := s.Start(); err != nil {
		log.Fatal(err)
	}
}
