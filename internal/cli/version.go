package cli

import (
	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/version"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version, the commit and its date",
		Args:  noArgs,
		RunE: func(*cobra.Command, []string) error {
			v := version.This()
			return a.print(v, v.Print)
		},
	}
}
