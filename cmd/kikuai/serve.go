package main

import (
	"errors"
	"io"
	"log/slog"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/telemetry"
)

type serveCommand struct{}

func (serveCommand) Run(t *terminal) (err error) {
	c, err := config.Load(t.lookup, config.NeedServe)
	if err != nil {
		return err
	}
	app, err := New(c, newLogger(c, t.errs), Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	return app.Run(t.ctx)
}

func newLogger(c *config.Config, w io.Writer) *slog.Logger {
	if c.Text() {
		return telemetry.NewTextLogger(w, c.LogLevel)
	}
	return telemetry.NewLogger(w, c.LogLevel)
}
