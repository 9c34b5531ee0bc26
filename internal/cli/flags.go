package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/rtbuild/rtbuild/internal/cli/invocation"
	"github.com/rtbuild/rtbuild/pkg/nearest"
)

// addCommands adds all commands, each with the shared flags that mean something to
// it. What is made of today's sources depends on all of them.
func (a *app) addCommands(root *cobra.Command) {
	add := func(cmd *cobra.Command, groups ...invocation.FlagGroup) {
		for _, group := range groups {
			group(&a.Flags, cmd.Flags())
		}
		a.acceptOthers(cmd)
		root.AddCommand(cmd)
	}
	for _, cmd := range []*cobra.Command{
		a.planCommand(), a.buildCommand(), a.pinCommand(), a.allCommand(), a.explainCommand(), a.auditCommand(), a.matrixCommand(), a.verifyCommand(),
		a.pruneCommand(), a.runCommand(),
	} {
		add(cmd, invocation.Groups()...)
	}
	functions := a.functionCommand()
	for _, group := range invocation.Groups() {
		group(&a.Flags, functions.PersistentFlags())
	}
	add(functions)
	additions := a.newCommand()
	for _, cmd := range additions.Commands() {
		a.Flags.Tree(cmd.Flags())
		a.acceptOthers(cmd)
	}
	add(additions, (*invocation.Flags).Tree)
	add(a.listCommand(), (*invocation.Flags).Tree)
	add(a.checkCommand(), (*invocation.Flags).Tree, (*invocation.Flags).Platform)
	add(a.configMapCommand(), (*invocation.Flags).Tree, (*invocation.Flags).Destination)
	add(a.lockCommand(), (*invocation.Flags).Tree, (*invocation.Flags).Trust, (*invocation.Flags).Bases, (*invocation.Flags).Platform)
	add(a.outdatedCommand(), (*invocation.Flags).Tree, (*invocation.Flags).Trust, (*invocation.Flags).Bases, (*invocation.Flags).Platform)
	add(a.registryCommand(), (*invocation.Flags).Folder)
	add(a.versionCommand())
	a.addHelp(root)
}

// acceptOthers has a command take the shared flags that mean nothing to it, too,
// without listing them: a script may give the same flags to every command.
func (a *app) acceptOthers(cmd *cobra.Command) {
	set := pflag.NewFlagSet("", pflag.ContinueOnError)
	for _, group := range invocation.Groups() {
		group(&a.Flags, set)
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
	return invocation.Usagef("unknown command %q%s; %s --help lists the commands", name, nearest.Question(name, known), parent.CommandPath())
}

// flagError is what a wrong flag makes of a command line.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return &invocation.UsageError{Err: err}
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
	return invocation.Usagef("%w; %s --help lists those that there are%s", err, cmd.CommandPath(), near)
}
