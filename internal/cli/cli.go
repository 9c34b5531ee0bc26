// Package cli is the rtbuild command: it reads flags, environment and
// settings, wires the edges to the pipeline, and prints. What it does not do
// is decide: that is the packages' under pkg.
//
// Rules of the interface: stdout is results only; progress, warnings and
// errors go to stderr. Every command has --output text|json. Exit codes: 0
// done, 1 a target or check failed, 2 wrong usage. Paths in messages are
// relative to the repository.
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
	if text := a.relative(err.Error()); text != "" {
		fmt.Fprintln(streams.Err, "rtbuild: "+strings.ReplaceAll(text, "\n", "\nrtbuild: "))
	}
	var usage *usageError
	var unknown *discover.UnknownNameError
	if errors.As(err, &usage) || errors.As(err, &unknown) {
		return exitUsage
	}
	return exitFailed
}

// Command is the command with all that is below it, for what is generated from
// it.
func Command() *cobra.Command { return (&app{}).command() }

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
}

// flags are the global flags, filled from the command line, then the
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

Arguments of list, plan, build, pin, verify and all select what to work on: a
runtime (python), one version of it (python:3.13), a runtime folder
(stable/python), a target (python-init:3.13), a repository (kubeless/python), a
Dockerfile, or several of those with commas between them.

Every global flag can be set in the environment, as RTBUILD_ and its name in
capitals (RTBUILD_REGISTRY), and most in rtbuild.yaml; flags win over the
environment, which wins over the file. What holds for one machine alone can be
in .rtbuild/settings.yaml, which wins over rtbuild.yaml.

Exit codes: 0 done, 1 a target or check failed, 2 wrong usage.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          noCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return a.environment(cmd.Flags())
		},
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return &usageError{err: err} })
	a.globalFlags(root.PersistentFlags())
	root.AddCommand(a.listCommand(), a.planCommand(), a.buildCommand(), a.pinCommand(), a.configMapCommand(),
		a.checkCommand(), a.allCommand(), a.lockCommand(), a.outdatedCommand(), a.explainCommand(), a.auditCommand(),
		a.matrixCommand(), a.verifyCommand(), a.pruneCommand(), a.functionCommand(), a.runCommand(), a.registryCommand(), a.versionCommand())
	return root
}

func noCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("unknown command %q; rtbuild --help lists the commands", args[0])
	}
	return nil
}

func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usagef("rtbuild %s takes no arguments, got %q", cmd.Name(), args[0])
	}
	return nil
}

func (a *app) globalFlags(set *pflag.FlagSet) {
	f := &a.flags
	set.StringVarP(&f.directory, "directory", "C", ".", "the repository of runtimes")
	set.StringVar(&f.manifest, "manifest", "", "the root document (default runtimes.jsonnet)")
	set.StringVar(&f.lockFile, "lock-file", "rtbuild.lock", "the lock file of base images")
	set.StringVar(&f.registry, "registry", "", "push to `HOST[/PREFIX]` instead of where the manifests say; local[/PREFIX] is the embedded registry")
	set.StringVar(&f.builder, "builder", "auto", "build engine: auto, docker://[CONTEXT], unix://SOCKET, tcp://HOST:PORT (a buildkitd), embedded")
	set.IntVar(&f.jobs, "jobs", 0, "how many images to build at once (default 8)")
	set.StringSliceVar(&f.platforms, "platform", nil, "build for `OS/ARCH`, may be repeated (default: the engine's own)")
	set.StringSliceVar(&f.mirrors, "mirror", nil, "take base images `FROM=HOST[/PREFIX]`, as docker.io=mirror.example/hub; may be repeated")
	set.StringSliceVar(&f.insecure, "insecure-registry", nil, "speak plain HTTP to `HOST[:PORT]`, may be repeated (loopback always does)")
	set.StringSliceVar(&f.caFiles, "ca-file", nil, "trust the certificates in `FILE` (PEM) at registries, may be repeated; Docker and buildkitd have their own")
	f.jsonnet.flags(set)
	set.StringVar(&f.output, "output", "text", "form of results: text or json")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "say more on stderr")
}

// environment fills global flags that the command line leaves out from
// RTBUILD_* variables.
func (a *app) environment(set *pflag.FlagSet) error {
	var err error
	set.VisitAll(func(f *pflag.Flag) {
		name := "RTBUILD_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_"))
		value, ok := a.lookupEnv(name)
		if f.Changed || !ok || value == "" || !globalFlag(f.Name) || err != nil {
			return
		}
		if setErr := set.Set(f.Name, value); setErr != nil {
			err = usagef("%s=%s: %v", name, value, setErr)
		}
	})
	if err != nil {
		return err
	}
	if a.format, err = formatNamed(a.flags.output); err != nil {
		return err
	}
	if a.flags.quiet && a.flags.verbose {
		return usagef("--quiet and --verbose contradict each other")
	}
	return nil
}

// globalFlag tells whether a flag is one of those that the environment sets.
func globalFlag(name string) bool {
	var probe app
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	probe.globalFlags(set)
	return set.Lookup(name) != nil
}
