// Package cli is hayate's command line. Its commands speak to a server through
// the API, as everybody else does; only up, demo and the offline checks work by
// themselves. Data goes to stdout, everything else to stderr; nothing is
// coloured or animated where nobody watches.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/hayate-run/hayate"
	"github.com/hayate-run/hayate/infra/settings"
	"github.com/hayate-run/hayate/internal/yamldoc"
	"github.com/hayate-run/hayate/router"
)

// The exit codes, as docs/reference/exit-codes.md lists them.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2 // also: not found
	exitFailed      = 3 // the execution that was waited for failed
	exitAuth        = 4
	exitTimeout     = 5
	exitUnverified  = 6 // with --require-verified
	exitInterrupted = 130
)

// World is what the command line is given.
type World struct {
	Args           []string
	Getenv         func(string) string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Version        string
	// Up serves until ctx ends and calls ready with its address.
	Up func(ctx context.Context, s settings.Settings, stderr io.Writer, ready func(addr string)) error
	// Worker performs tasks of a tag until ctx ends and calls ready with its name.
	Worker func(ctx context.Context, s settings.Settings, stderr io.Writer, ready func(name string)) error
	// LambdaLocal serves the functions of a template until ctx ends and calls ready
	// with the functions' URLs.
	LambdaLocal func(ctx context.Context, l LambdaLocal, ready func(urls map[string]string)) error
	// LambdaPlan writes what a deployment would create and cost.
	LambdaPlan func(p LambdaPlan, w io.Writer) error
	// OpenStore opens the store of a directory that no server holds.
	OpenStore func(dir string) (router.Store, error)
	// CreateToken makes an access token in a directory that no server holds.
	CreateToken func(ctx context.Context, dir, user, note string, ttl time.Duration) (string, router.Token, error)
}

// Run performs one command and returns its exit code.
func Run(ctx context.Context, w World) int {
	a := &app{World: w}
	root := a.root()
	root.SetArgs(w.Args)
	root.SetIn(w.Stdin)
	root.SetOut(w.Stdout)
	root.SetErr(w.Stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	var e *exit
	if errors.As(err, &e) && e.err == nil {
		return e.code
	}
	code := exitCode(ctx, err)
	var cut *url.Error
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.As(err, &cut)) {
		fmt.Fprintln(w.Stderr, "hayate: interrupted")
		return code
	}
	fmt.Fprintln(w.Stderr, "hayate: "+errorText(err))
	return code
}

// app is one invocation.
type app struct {
	World
	server    string
	data      string // the directory of a server on this host, where a command names one
	tokenFile string
	output    string
	color     string
	timeForm  string
	quiet     bool
	config    string
}

// exit carries an exit code out of a command; with err nil nothing is printed.
type exit struct {
	code int
	err  error
}

func (e *exit) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit status %d", e.code)
	}
	return e.err.Error()
}
func (e *exit) Unwrap() error { return e.err }

// codes maps the kinds of error to exit codes. It is the only place that does.
var codes = []struct {
	kind error
	code int
}{
	{hayate.ErrNotFound, exitUsage},
	{hayate.ErrDenied, exitAuth},
	{context.DeadlineExceeded, exitTimeout},
	{errUsage, exitUsage},
}

var errUsage = errors.New("usage")

func exitCode(ctx context.Context, err error) int {
	var e *exit
	if errors.As(err, &e) {
		return e.code
	}
	for _, c := range codes {
		if errors.Is(err, c.kind) {
			return c.code
		}
	}
	if ctx.Err() != nil {
		return exitInterrupted
	}
	return exitError
}

// errorText is an error for people: the names of kinds are for programs.
func errorText(err error) string {
	text := err.Error()
	for _, kind := range []error{hayate.ErrNotFound, hayate.ErrInvalid, hayate.ErrDenied, hayate.ErrConflict, hayate.ErrBusy, errUsage} {
		if text != kind.Error() {
			text = strings.ReplaceAll(text, ": "+kind.Error(), "")
		}
	}
	return strings.ReplaceAll(text, "\n", "\nhayate: ")
}

func usage(format string, args ...any) error {
	return fmt.Errorf(format+": %w", append(args, errUsage)...)
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "hayate",
		Short: "event router for operations: events in, rules, actions and workflows out",
		Long: "hayate takes events from anywhere, matches them against rules and runs actions.\n\n" +
			"Start here:\n  hayate demo                 see it work with sample events\n  hayate up --packs DIR       serve\n  hayate event explain last   why did (or didn't) a rule fire",
		SilenceUsage:  true,
		SilenceErrors: true,
		Version:       a.Version,
		Args:          cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		},
	}
	root.SetVersionTemplate("hayate {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&a.server, "server", "", "address of the server (default: $HAYATE_SERVER, else the one serving ./hayate-data, else http://127.0.0.1:9101)")
	f.StringVar(&a.tokenFile, "token-file", "", "file that holds the access token (default: $HAYATE_TOKEN holds the token itself)")
	f.StringVarP(&a.output, "output", "o", "table", "output: table, wide, json, jsonl, yaml, name, jsonpath=EXPR, template=TEMPLATE (Go's text/template); in lists these two are applied to each entry")
	f.StringVar(&a.color, "color", "auto", "colour: auto, always, never")
	f.StringVar(&a.timeForm, "time-format", "relative", "times in tables: relative, iso, raw")
	f.BoolVarP(&a.quiet, "quiet", "q", false, "print data and errors only")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return flagError(c, err) })
	root.AddCommand(a.upCommand(), a.workerCommand(), a.lambdaCommand(), a.demoCommand(), a.runCommand(), a.eventCommand(), a.executionCommand(), a.ruleCommand(), a.actionCommand(), a.triggerCommand(),
		a.packCommand(), a.policyCommand(), a.workflowCommand(), a.inquiryCommand(), a.timerCommand(), a.keyCommand(), a.storeCommand(), a.authCommand(), a.statusCommand(), a.versionCommand())
	root.CompletionOptions.HiddenDefaultCmd = false
	for _, c := range root.Commands() {
		guardUnknown(c)
	}
	return root
}

// guardUnknown makes commands that only group others say what they do not know.
func guardUnknown(c *cobra.Command) {
	if c.HasSubCommands() && c.RunE == nil && c.Run == nil {
		c.Args = cobra.ArbitraryArgs
		c.RunE = func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				return unknownCommand(c, args[0])
			}
			return c.Help()
		}
	}
	for _, sub := range c.Commands() {
		guardUnknown(sub)
	}
}

func unknownCommand(c *cobra.Command, word string) error {
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
			names = append(names, sub.Aliases...)
		}
	}
	return usage("unknown command %q for %q%s Run %q for the list", word, c.CommandPath(), hint(word, names), c.CommandPath()+" --help")
}

// flagError adds the nearest known flag to cobra's complaint.
func flagError(c *cobra.Command, err error) error {
	text := err.Error()
	if name, ok := strings.CutPrefix(text, "unknown flag: --"); ok {
		var names []string
		c.Flags().VisitAll(func(f *flag) { names = append(names, f.Name) })
		c.InheritedFlags().VisitAll(func(f *flag) { names = append(names, f.Name) })
		return usage("unknown flag --%s%s Run %q for the list", name, hint(name, names), c.CommandPath()+" --help")
	}
	return usage("%s. Run %q for help", text, c.CommandPath()+" --help")
}

func hint(word string, known []string) string {
	if s := yamldoc.Nearest(word, known); s != "" {
		return fmt.Sprintf(", did you mean %q?", s)
	}
	return "."
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{Use: "version", Short: "print the version", Args: exactly(0), RunE: func(*cobra.Command, []string) error {
		if a.output == "json" {
			_, err := fmt.Fprintf(a.Stdout, "{\"version\":%q}\n", a.Version)
			return err
		}
		_, err := fmt.Fprintln(a.Stdout, "hayate "+a.Version)
		return err
	}}
}

// exactly is cobra.ExactArgs with a message that names the arguments.
func exactly(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return usage("want %d argument(s), found %d. Usage: %s", n, len(args), c.UseLine())
		}
		return nil
	}
}

func atLeast(n int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < n {
			return usage("want at least %d argument(s), found %d. Usage: %s", n, len(args), c.UseLine())
		}
		return nil
	}
}

// terminal says whether a stream is watched by a person.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// say tells a person something that is no data.
func (a *app) say(format string, args ...any) {
	if !a.quiet {
		fmt.Fprintf(a.Stderr, format+"\n", args...)
	}
}
