package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/report"
)

func (a *app) buildCommand() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "build [NAME...]",
		Short: "Build images, and with --push push them and print their digests",
		Long: `Build images. With --push, images that the registry has already are not built
again, the others are pushed under a tag of their content, and when all are
there the version tags move to them.

With --content-only the version tags stay where they are: rtbuild pin --report
moves those of several such runs, the jobs of a matrix, together.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				result, err := s.release(ctx, args, o, false)
				if result == nil {
					return err
				}
				targets := s.report(result).Targets
				return errors.Join(err, a.print(targets, func(out io.Writer) error { return targetTable(out, targets) }))
			})
		},
	}
	o.flags(cmd.Flags(), "push the images")
	cmd.Flags().BoolVar(&o.contentOnly, "content-only", false, "push, and leave the version tags to rtbuild pin --report")
	return cmd
}

func targetTable(out io.Writer, targets []report.Target) error {
	var rows [][]string
	for _, t := range targets {
		digest := t.Digest
		if digest == "" && t.ImageID != "" {
			digest = "image ID " + t.ImageID
		}
		rows = append(rows, []string{t.Name, string(t.Status), strings.Join(t.References, ","), digest})
	}
	return table(out, []string{"TARGET", "STATUS", "REFERENCE", "DIGEST"}, rows)
}
