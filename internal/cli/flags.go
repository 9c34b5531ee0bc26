package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/pkg/nearest"
)

// A flagGroup is some of the flags that several commands have, and for which each
// command takes those that mean something to it.
type flagGroup func(a *app, set *pflag.FlagSet)

// commonFlags are every command's.
func (a *app) commonFlags(set *pflag.FlagSet) {
	f := &a.flags
	set.StringVar(&f.output, "output", "text", "form of results: text or json; of check also sarif and github")
	set.BoolVarP(&f.quiet, "quiet", "q", false, "no progress")
	set.BoolVarP(&f.verbose, "verbose", "v", false, "say more on stderr")
}

// treeFlags say which repository of runtimes it is, and how it is evaluated.
func treeFlags(a *app, set *pflag.FlagSet) {
	f := &a.flags
	directoryFlag(a, set)
	set.StringVar(&f.manifest, "manifest", "", "the root document (default runtimes.jsonnet)")
	f.jsonnet.flags(set)
}

func directoryFlag(a *app, set *pflag.FlagSet) {
	set.StringVarP(&a.flags.directory, "directory", "C", ".", "the repository of runtimes, or a folder in it")
}

func registryFlag(a *app, set *pflag.FlagSet) {
	set.StringVar(&a.flags.registry, "registry", "", "push to `HOST[/PREFIX]` instead of where the manifests say; local[/PREFIX] is the embedded registry")
}

// trustFlags say how registries are spoken to.
func trustFlags(a *app, set *pflag.FlagSet) {
	f := &a.flags
	set.StringSliceVar(&f.insecure, "insecure-registry", nil, "speak plain HTTP to `HOST[:PORT]`, may be repeated (loopback always does)")
	set.StringSliceVar(&f.caFiles, "ca-file", nil, "trust the certificates in `FILE` (PEM) at registries, may be repeated; Docker and buildkitd have their own")
}

// baseFlags say where base images come from, and platformFlag for what.
func baseFlags(a *app, set *pflag.FlagSet) {
	f := &a.flags
	set.StringVar(&f.lockFile, "lock-file", "rtbuild.lock", "the lock file of base images")
	set.StringSliceVar(&f.mirrors, "mirror", nil, "take base images `FROM=HOST[/PREFIX]`, as docker.io=mirror.example/hub; may be repeated")
}

func platformFlag(a *app, set *pflag.FlagSet) {
	set.StringSliceVar(&a.flags.platforms, "platform", nil, "build for `OS/ARCH`, may be repeated (default: the engine's own)")
}

// engineFlags say what builds.
func engineFlags(a *app, set *pflag.FlagSet) {
	f := &a.flags
	set.StringVar(&f.builder, "builder", "auto", "build engine: auto, docker://[CONTEXT], unix://SOCKET, tcp://HOST:PORT (a buildkitd), embedded")
	set.IntVar(&f.jobs, "jobs", 0, "how many images to build at once (default 8)")
}

// allGroups are all that a command may take.
func allGroups() []flagGroup {
	return []flagGroup{treeFlags, registryFlag, trustFlags, baseFlags, platformFlag, engineFlags}
}

// addCommands adds all commands, each with the shared flags that mean something to
// it. What is made of today's sources depends on all of them.
func (a *app) addCommands(root *cobra.Command) {
	add := func(cmd *cobra.Command, groups ...flagGroup) {
		for _, group := range groups {
			group(a, cmd.Flags())
		}
		a.acceptOthers(cmd)
		root.AddCommand(cmd)
	}
	for _, cmd := range []*cobra.Command{
		a.planCommand(), a.buildCommand(), a.pinCommand(), a.allCommand(), a.explainCommand(), a.auditCommand(), a.matrixCommand(), a.verifyCommand(),
		a.pruneCommand(), a.runCommand(),
	} {
		add(cmd, allGroups()...)
	}
	functions := a.functionCommand()
	for _, group := range allGroups() {
		group(a, functions.PersistentFlags())
	}
	add(functions)
	additions := a.newCommand()
	for _, cmd := range additions.Commands() {
		treeFlags(a, cmd.Flags())
		a.acceptOthers(cmd)
	}
	add(additions, treeFlags)
	add(a.listCommand(), treeFlags)
	add(a.checkCommand(), treeFlags, platformFlag)
	add(a.configMapCommand(), treeFlags, registryFlag)
	add(a.lockCommand(), treeFlags, trustFlags, baseFlags, platformFlag)
	add(a.outdatedCommand(), treeFlags, trustFlags, baseFlags, platformFlag)
	add(a.registryCommand(), directoryFlag)
	add(a.versionCommand())
	a.addHelp(root)
}

// acceptOthers has a command take the shared flags that mean nothing to it, too,
// without listing them: a script may give the same flags to every command.
func (a *app) acceptOthers(cmd *cobra.Command) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, group := range allGroups() {
		group(a, set)
	}
	set.VisitAll(func(f *pflag.Flag) {
		if cmd.Flags().Lookup(f.Name) == nil && cmd.PersistentFlags().Lookup(f.Name) == nil {
			f.Hidden = true
			cmd.Flags().AddFlag(f)
		}
	})
}

// addHelp has help and completion refuse what is no command.
func (a *app) addHelp(root *cobra.Command) {
	root.SetHelpCommand(&cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Help about a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, args[0])
			}
			return cmd.Help()
		},
	})
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" {
			cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

func unknownCommand(parent *cobra.Command, name string) error {
	var known []string
	for _, cmd := range parent.Commands() {
		if !cmd.Hidden {
			known = append(known, cmd.Name())
		}
	}
	return usagef("unknown command %q%s; %s --help lists the commands", name, nearest.Question(name, known), parent.CommandPath())
}

// flagError is what a wrong flag makes of a command line.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return &usageError{err: err}
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	near := ""
	for _, name := range nearest.Names(unknown.GetSpecifiedName(), known) {
		near += fmt.Sprintf(", as --%s", name)
	}
	return usagef("%w; %s --help lists those that there are%s", err, cmd.CommandPath(), near)
}

// sharedFlag tells whether a flag is one of those that the environment sets.
func sharedFlag(name string) bool {
	var probe app
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	probe.commonFlags(set)
	for _, group := range allGroups() {
		group(&probe, set)
	}
	return set.Lookup(name) != nil
}
