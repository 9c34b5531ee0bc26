package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/plural"
)

func (a *app) outdatedCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "outdated",
		Short: "List base images that moved since they were locked, and what they would rebuild",
		Long: `Compare the lock file with what the registries have now. Exit 1 if a base image
moved; rtbuild lock --update IMAGE takes the new one.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				bases, err := s.lockedBases(ctx)
				if err != nil {
					return err
				}
				images, err := s.project.BaseImages(bases)
				if err != nil {
					return err
				}
				moved, err := bases.Outdated(ctx, images)
				if err != nil {
					return err
				}
				err = a.print(notNil(moved), func(out io.Writer) error {
					var rows [][]string
					for _, m := range moved {
						for i, target := range m.Targets {
							image, old, now := m.Image, shortDigest(m.Old), shortDigest(m.New)
							if i > 0 {
								image, old, now = "", "", ""
							}
							rows = append(rows, []string{image, old, now, target})
						}
					}
					if len(rows) == 0 {
						return nil
					}
					return table(out, []string{"IMAGE", "LOCKED", "NOW", "REBUILDS"}, rows)
				})
				if err != nil {
					return err
				}
				if len(moved) > 0 {
					return fmt.Errorf("%s moved; rtbuild lock --update takes the new ones", plural.Count(len(moved), "base image"))
				}
				return nil
			})
		},
	}
}
