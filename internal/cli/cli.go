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
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/discover"
)

// Streams are where a command prints.
type Streams = invocation.Streams

// Run runs the command line and returns its exit code. lookupEnv is
// os.LookupEnv or a replacement.
func Run(ctx context.Context, args []string, streams Streams, lookupEnv func(string) (string, bool)) int {
	a := &app{Invocation: invocation.Invocation{Streams: streams, LookupEnv: lookupEnv}}
	root := a.command()
	root.SetArgs(args)
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return invocation.ExitDone
	}
	a.Failed(ctx, err)
	var usage *invocation.UsageError
	var unknown *discover.UnknownNameError
	switch {
	case ctx.Err() != nil:
		return invocation.ExitInterrupted
	case !a.running, errors.As(err, &usage), errors.As(err, &unknown):
		return invocation.ExitUsage
	}
	return invocation.ExitFailed
}

// Command is the command with all that is below it, for what is generated from
// it.
func Command() *cobra.Command { return (&app{}).command() }

// errReported ends a command whose failure is printed already.
var errReported = errors.New("")

// An app is one run of the command.
type app struct {
	invocation.Invocation
	format format
	// running tells that the command line was understood and its command began.
	running bool
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
	a.Flags.Common(root.PersistentFlags())
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
		return invocation.Usagef("rtbuild %s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

// environment fills shared flags from the environment, and finds the format of
// results.
func (a *app) environment(cmd *cobra.Command) (err error) {
	if err := a.Environment(cmd.Flags()); err != nil {
		return err
	}
	a.format, err = formatNamed(a.Flags.Output, strings.Fields(cmd.Annotations[moreFormats]))
	return err
}
