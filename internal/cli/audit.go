package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/plural"
	"github.com/rtbuild/rtbuild/pkg/release"
)

func (a *app) auditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "audit",
		Short: "Ask the registry for every pinned image",
		Long: `For each pinned image of the manifests: does the registry still have it, for which
platforms, and do today's sources make that same image? Exit 1 if one is gone.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				edges, options, err := s.wire(ctx, nil, runOptions{})
				if err != nil {
					return err
				}
				document, err := s.project.Audit(ctx, edges, options)
				if err != nil {
					return err
				}
				s.sign(ctx, &document.Head)
				if err := a.print(document, func(out io.Writer) error { return auditTable(out, document.Images) }); err != nil {
					return err
				}
				if unsound := document.Unsound(); unsound > 0 {
					return fmt.Errorf("%s cannot be pulled; rtbuild all --push releases new ones", plural.Of(unsound, len(document.Images), "pinned image"))
				}
				return nil
			})
		},
	}
}

func auditTable(out io.Writer, audits []release.Audited) error {
	var rows [][]string
	for _, a := range audits {
		state, sources := "there", "unknown"
		switch {
		case a.Error != "":
			state = a.Error
		case !a.Exists:
			state = "GONE"
		}
		if a.Current != nil {
			sources = map[bool]string{true: "today's", false: "older"}[*a.Current]
		}
		rows = append(rows, []string{a.Runtime, a.Version, a.Phase, state, strings.Join(a.Platforms, ","), sources, a.Image})
	}
	return table(out, []string{"RUNTIME", "VERSION", "PHASE", "REGISTRY", "PLATFORMS", "SOURCES", "IMAGE"}, rows)
}
