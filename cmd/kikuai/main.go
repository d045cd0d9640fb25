// Command kikuai is the whole product in one binary: it wires everything and
// decides nothing.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"

	"github.com/kikuai/kikuai/internal/config"
)

// commands is the command line.
type commands struct {
	Serve   serveCommand   `cmd:"" help:"Run the bot, the API and the money engine."`
	Dev     devCommand     `cmd:"" help:"Run everything on this machine, with a simulated Telegram and a simulated model."`
	Migrate migrateCommand `cmd:"" help:"Bring the database's schema up to date."`
	Webhook webhookCommand `cmd:"" help:"Tell Telegram where to deliver updates."`
	Admin   adminCommand   `cmd:"" help:"Accounts, credits, keys and dead letters."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// terminal is where a command reads its settings and writes its answers.
type terminal struct {
	ctx    context.Context
	lookup config.Lookup
	out    io.Writer
	errs   io.Writer
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run parses and carries out one command line; it returns the exit code: 0 done,
// 1 failed, 2 a command line that cannot be understood or a reconciliation that could
// not look at everything.
func run(ctx context.Context, args []string, lookup config.Lookup, out, errs io.Writer) int {
	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("kikuai"),
		kong.Description("A prepaid AI gateway whose front door is a Telegram bot."),
		kong.Writers(out, errs),
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	)
	if err != nil {
		fmt.Fprintln(errs, "kikuai:", err)
		return 2
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(errs, "kikuai: %v\nkikuai --help lists the commands.\n", err)
		return 2
	}
	if err := parsed.Run(&terminal{ctx: ctx, lookup: lookup, out: out, errs: errs}); err != nil {
		fmt.Fprintln(errs, "kikuai:", err)
		var exit exitError
		if errors.As(err, &exit) {
			return exit.code
		}
		return 1
	}
	return 0
}

// exitError is an error with an exit code of its own.
type exitError struct {
	code int
	err  error
}

func (e exitError) Error() string { return e.err.Error() }
func (e exitError) Unwrap() error { return e.err }

type versionCommand struct{}

func (versionCommand) Run(t *terminal) error {
	_, err := fmt.Fprintln(t.out, "kikuai", version())
	return err
}

// version is the module's version, or the revision that the binary was built from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	if v := info.Main.Version; v != "" && v != "(devel)" {
		return v
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			return setting.Value
		}
	}
	return "development"
}
