// Package cli is the rtbuild command: it reads flags, environment and
// settings, wires the edges to the pipeline, and prints. What it does not do
// is decide: that is the packages' under pkg.
//
// Rules of the interface: stdout is results only; progress, warnings and
// errors go to stderr. Every command has --output text|json. Exit codes: 0
// done, 1 a target or check failed, 2 wrong usage, 130 interrupted. Paths in
// messages are relative to the repository.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/pkg/discover"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
	// exitInterrupted is what shells make of SIGINT: 128 and the signal's number.
	exitInterrupted = 130
)

// Streams are where a command prints.
type Streams struct {
	// Out takes results, Err everything else.
	Out, Err io.Writer
}

// Run runs the command line and returns its exit code. lookupEnv is
// os.LookupEnv or a replacement.
func Run(ctx context.Context, args []string, streams Streams, lookupEnv func(string) (string, bool)) int {
	a := &app{streams: streams, lookupEnv: lookupEnv}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	text := a.relative(err.Error())
	if ctx.Err() != nil {
		text = interrupted(text)
	}
	if text != "" {
		fmt.Fprintln(streams.Err, "rtbuild: "+strings.ReplaceAll(text, "\n", "\nrtbuild: "))
	}
	var usage *usageError
	var unknown *discover.UnknownNameError
	switch {
	case ctx.Err() != nil:
		return exitInterrupted
	case !a.running, errors.As(err, &usage), errors.As(err, &unknown):
		return exitUsage
	}
	return exitFailed
}

// Command is the command with all that is below it, for what is generated from
// it.
func Command() *cobra.Command { return (&app{}).command() }

// interrupted is what an interrupted run says: that it was, and of its errors
// those that do not say the same.
func interrupted(text string) string {
	lines := []string{"interrupted"}
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.Contains(line, context.Canceled.Error()) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// A usageError is a command line that cannot be run.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func usagef(format string, args ...any) error {
	return &usageError{err: fmt.Errorf(format, args...)}
}

// errReported ends a command whose failure is printed already.
var errReported = errors.New("")

// An app is one run of the command.
type app struct {
	streams   Streams
	lookupEnv func(string) (string, bool)
	flags     flags
	set       *pflag.FlagSet // the running command's, where flags were read
	format    format
	root      string // the repository's absolute path, once known
	// base is the folder that paths of arguments are relative to, relative to the
	// root with forward slashes; empty for the root.
	base string
	// running tells that the command line was understood and its command began.
	running bool
}

// flags are those that several commands have, filled from the command line, then the
// environment, then rtbuild.yaml.
type flags struct {
	directory, manifest, lockFile string
	registry, builder, output     string
	jobs                          int
	platforms, mirrors            []string
	insecure, caFiles             []string
	jsonnet                       jsonnetFlags
	quiet, verbose                bool
}

func (a *app) command() *cobra.Command {
	root := &cobra.Command{
		Use:   "rtbuild",
		Short: "Build function runtimes, pin their digests, publish their ConfigMap",
		Long: `rtbuild builds the images of a repository of function runtimes, pushes them,
pins their digests in the Jsonnet manifests, and prints the merged ConfigMap.

Arguments of list, plan, build, pin, check, verify and all select what to work on:
a runtime (python), one version of it (python:3.13), a runtime folder
(stable/python), a target (python-init:3.13), a repository (kubeless/python), a
Dockerfile, or several of those with commas between them. A version may be
written as users of functions do (python3.13).

The repository is the nearest folder upwards that has rtbuild.yaml or
runtimes.jsonnet, as git finds its own; paths of arguments may be relative to the
folder that one is in.

Flags that several commands have can be set in the environment, as RTBUILD_ and
their names in capitals (RTBUILD_REGISTRY), and most in rtbuild.yaml; flags win
over the environment, which wins over the file. What holds for one machine alone can
be in .rtbuild/settings.yaml, which wins over rtbuild.yaml.

Exit codes: 0 done, 1 a target or check failed, 2 wrong usage, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			a.running = true
			return a.environment(cmd)
		},
	}
	root.SetFlagErrorFunc(flagError)
	a.commonFlags(root.PersistentFlags())
	a.addCommands(root)
	return root
}

func noCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return nil
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("rtbuild %s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

// environment fills shared flags that the command line leaves out from RTBUILD_*
// variables.
func (a *app) environment(cmd *cobra.Command) error {
	var err error
	set := cmd.Flags()
	set.VisitAll(func(f *pflag.Flag) {
		name := "RTBUILD_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := a.lookupEnv(name)
		if f.Changed || !ok || value == "" || !sharedFlag(f.Name) || err != nil {
			return
		}
		if setErr := set.Set(f.Name, value); setErr != nil {
			err = usagef("%s=%s: %v", name, value, setErr)
		}
	})
	if err != nil {
		return err
	}
	if a.format, err = formatNamed(a.flags.output, strings.Fields(cmd.Annotations[moreFormats])); err != nil {
		return err
	}
	if a.flags.quiet && a.flags.verbose {
		return usagef("--quiet and --verbose contradict each other")
	}
	return nil
}
