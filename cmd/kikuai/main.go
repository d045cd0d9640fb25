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
	"slices"
	"strings"
	"syscall"
	_ "time/tzdata" // people's zones, where the machine knows none

	"github.com/alecthomas/kong"

	"github.com/kikuai/kikuai/internal/config"
)

// commands is the command line.
type commands struct {
	Serve    serveCommand    `cmd:"" help:"Run the bot, the API and the money engine."`
	Dev      devCommand      `cmd:"" help:"Run everything on this machine, with a simulated Telegram and a simulated model."`
	Migrate  migrateCommand  `cmd:"" help:"Bring the database's schema up to date."`
	Webhook  webhookCommand  `cmd:"" help:"Tell Telegram where to deliver updates."`
	Doctor   doctorCommand   `cmd:"" help:"Look the deployment over, from outside and inside, and say how to mend what is wrong; exit code 1 for a fault."`
	Admin    adminCommand    `cmd:"" help:"Accounts, credits, keys and dead letters."`
	Health   healthCommand   `cmd:"" help:"Ask the server of this machine whether it lives, or with --ready whether it can serve; exit code 1 if not."`
	Simulate simulateCommand `cmd:"" help:"Be a Telegram with thousands of people for any bot, and measure how it does."`
	Version  versionCommand  `cmd:"" help:"Print the version."`

	PrintVersion kong.VersionFlag `name:"version" hidden:"" help:"Print the version."`
}

// newParser makes the grammar of the command line.
func newParser(options ...kong.Option) (*kong.Kong, error) {
	return kong.New(&commands{}, append([]kong.Option{
		kong.Name("kikuai"),
		kong.Description("A prepaid AI gateway whose front door is a Telegram bot."),
		kong.Vars{"simulated_token": devToken, "doctor_words": strings.Join(doctorWords, ", "), "version": "kikuai " + version()},
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
	}, options...)...)
}

// terminal is where a command reads its settings and writes its answers.
type terminal struct {
	ctx    context.Context
	lookup config.Lookup
	names  []string // of all variables that are set, for those that are misspelt
	out    io.Writer
	errs   io.Writer
}

// load reads the settings, and says what looks like a mistake in them.
func (t *terminal) load(need config.Need) (*config.Config, error) {
	c, err := config.Load(t.lookup, need, t.names...)
	if err != nil {
		return nil, err
	}
	for _, note := range c.Notes() {
		fmt.Fprintln(t.errs, "Notice: "+note)
	}
	return c, nil
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.LookupEnv, os.Stdout, os.Stderr, variableNames(os.Environ())...)
	stop()
	os.Exit(code)
}

// variableNames are those of an environment.
func variableNames(environ []string) []string {
	names := make([]string, len(environ))
	for i, entry := range environ {
		names[i], _, _ = strings.Cut(entry, "=")
	}
	return names
}

// run parses and carries out one command line; it returns the exit code: 0 done,
// 1 failed, 2 a command line that cannot be understood or a reconciliation that could
// not look at everything.
func run(ctx context.Context, args []string, lookup config.Lookup, out, errs io.Writer, names ...string) int {
	exited := -1
	parser, err := newParser(kong.Writers(out, errs), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(errs, "kikuai:", err)
		return 2
	}
	if len(args) > 0 && args[0] == "help" { // as other programs have it
		args = append(slices.Clone(args[1:]), "--help")
	}
	parsed, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err != nil {
		fmt.Fprintf(errs, "kikuai: %v\n%s\n", err, whereHelp(err))
		return 2
	}
	if err := parsed.Run(&terminal{ctx: ctx, lookup: lookup, names: names, out: out, errs: errs}); err != nil {
		fmt.Fprintln(errs, "kikuai:", plainly(err))
		var exit exitError
		if errors.As(err, &exit) {
			return exit.code
		}
		return 1
	}
	return 0
}

// whereHelp points to the help of what was asked for, as far as that was understood.
func whereHelp(err error) string {
	var fault *kong.ParseError
	if !errors.As(err, &fault) || fault.Context == nil {
		return "kikuai --help lists the commands."
	}
	node := fault.Context.Model.Node
	for _, step := range fault.Context.Path {
		if step.Command != nil {
			node = step.Command
		}
	}
	if len(node.Children) > 0 {
		return node.FullPath() + " --help lists the commands."
	}
	return node.FullPath() + " --help says what it takes."
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

// release is the version that a build is given: -ldflags "-X main.release=v1.0.0".
var release string

// version is what the build was given, else the module's version, else the revision that
// the binary was built from.
func version() string {
	if release != "" {
		return release
	}
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
