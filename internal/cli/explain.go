package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/release"
)

func (a *app) explainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain [NAME...]",
		Short: "Say which images would be built, and what makes each stale",
		Long: `An image is fresh if the registry has one that was made of the same inputs: the
Dockerfile, the files of its context that it reads, arguments, labels, platforms,
base images and siblings (other images of this tree). A stale one is compared with what the
registry's image of its version says that it was made of.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				edges, options, err := s.wire(ctx, args, runOptions{push: true})
				if err != nil {
					return err
				}
				explanations, err := s.project.Explain(ctx, edges, options)
				if explanations == nil {
					return err
				}
				printed := a.print(explanations, func(out io.Writer) error { return explainText(out, explanations) })
				return errors.Join(err, printed)
			})
		},
	}
}

func explainText(out io.Writer, explanations []release.Explanation) error {
	for _, e := range explanations {
		line := e.Target + ": fresh: " + e.Image + "@" + e.Digest
		if !e.Fresh {
			line = e.Target + ": stale\n    " + strings.Join(e.Reasons, "\n    ")
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
