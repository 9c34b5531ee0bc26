package cli

import (
	"context"
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
base images and sibling images. A stale one is compared with what the
registry's image of its version says that it was made of.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				run, bases, err := s.newRun(ctx, runOptions{push: true})
				if err != nil {
					return err
				}
				plan, err := s.project.Plan(args)
				if err != nil {
					return err
				}
				prepared := run.Prepare(ctx, plan)
				if err := s.saveLock(bases); err != nil {
					return err
				}
				explanations, err := release.Explain(ctx, s.registryClient(), run.Place, prepared)
				if err != nil {
					return err
				}
				return a.print(explanations, func(out io.Writer) error { return explainText(out, explanations) })
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

func (a *app) auditCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "audit",
		Short: "Ask the registry for every pinned image",
		Long: `For each pinned image of the manifests: does the registry still have it, for which
platforms, and do today's sources make that same image? Exit 1 if one is gone.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				run, _, err := s.newRun(ctx, runOptions{})
				if err != nil {
					return err
				}
				plan, err := s.project.Plan(nil)
				if err != nil {
					return err
				}
				audits := s.project.Audit(ctx, s.registryClient(), run.Place, run.Prepare(ctx, plan))
				if err := a.print(audits, func(out io.Writer) error { return auditTable(out, audits) }); err != nil {
					return err
				}
				bad := 0
				for _, audited := range audits {
					if !audited.Sound() {
						bad++
					}
				}
				if bad > 0 {
					return fmt.Errorf("%d of %d pinned images are not to be had; rtbuild all --push releases new ones", bad, len(audits))
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
