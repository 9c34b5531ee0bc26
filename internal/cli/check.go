package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/manifest"
)

// finding is a finding as check prints it.
type finding struct {
	Severity manifest.Severity `json:"severity"`
	File     string            `json:"file,omitempty"`
	Line     int               `json:"line,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Message  string            `json:"message"`
}

func (a *app) checkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "check",
		Short: "Validate and lint the whole tree",
		Long: `Check the manifests against what the controller reads, the Dockerfiles against
the manifests, and the Dockerfiles themselves. Everything found is reported at
once. Errors exit with 1; warnings alone with 0.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.with(cmd, func(_ context.Context, s *session) error { return s.check() })
		},
	}
}

// check prints what is wrong with the tree.
func (s *session) check() error {
	a := s.app
	findings := s.project.Check()
	err := a.print(a.describeFindings(findings), func(out io.Writer) error {
		for _, f := range findings {
			if _, err := fmt.Fprintln(out, a.relative(f.String())); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	errs := len(manifest.Errors(findings))
	a.notef("%d errors, %d warnings in %d runtimes", errs, len(findings)-errs, len(s.project.Tree.Runtimes))
	if errs > 0 {
		return errReported
	}
	return nil
}

func (a *app) describeFindings(findings []manifest.Finding) []finding {
	list := []finding{}
	for _, f := range findings {
		list = append(list, finding{Severity: f.Severity, File: a.relative(f.Position.File), Line: f.Position.Line, Subject: f.Subject, Message: a.relative(f.Message)})
	}
	return list
}
