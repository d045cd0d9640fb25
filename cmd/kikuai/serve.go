package main

import (
	"errors"
	"io"
	"log/slog"
	"runtime/debug"

	"github.com/kikuai/kikuai/internal/config"
	"github.com/kikuai/kikuai/internal/telemetry"
)

type serveCommand struct{}

// settingsHelp is for commands that have no flags.
const settingsHelp = "Settings come from environment variables: deploy/.env.example lists them all, with their defaults."

// Help is shown below the flags.
func (serveCommand) Help() string { return settingsHelp }

// The live heap is small and the garbage of calls plentiful: collecting at twice the
// heap would run many times a second. The limit keeps the rare large heap in bounds.
const (
	heapGrowth = 400       // percent; GOGC overrules it
	heapLimit  = 200 << 20 // bytes; GOMEMLIMIT overrules it
)

func tuneMemory(lookup config.Lookup) {
	if _, set := lookup("GOGC"); !set {
		debug.SetGCPercent(heapGrowth)
	}
	if _, set := lookup("GOMEMLIMIT"); !set {
		debug.SetMemoryLimit(heapLimit)
	}
}

func (serveCommand) Run(t *terminal) (err error) {
	tuneMemory(t.lookup)
	c, err := config.Load(t.lookup, config.NeedServe, t.names...)
	if err != nil {
		return err
	}
	log := newLogger(c, t.errs)
	for _, note := range c.Notes() {
		log.Warn(note)
	}
	app, err := New(c, log, Options{})
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
