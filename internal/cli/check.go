package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/version"
	"github.com/rtbuild/rtbuild/pkg/check"
	"github.com/rtbuild/rtbuild/pkg/manifest"
	"github.com/rtbuild/rtbuild/pkg/plural"
	"github.com/rtbuild/rtbuild/pkg/report"
)

// finding is a finding as check prints it.
type finding struct {
	Severity manifest.Severity `json:"severity"`
	Rule     manifest.Rule     `json:"rule"`
	File     string            `json:"file,omitempty"`
	Line     int               `json:"line,omitempty"`
	Column   int               `json:"column,omitempty"`
	Subject  string            `json:"subject,omitempty"`
	Message  string            `json:"message"`
}

func (a *app) checkCommand() *cobra.Command {
	var fix bool
	cmd := &cobra.Command{
		Use:   "check [NAME...]",
		Short: "Validate and lint the whole tree, or what the names select",
		Long: `Check the manifests against what the controller reads, the Dockerfiles against
the manifests, the Dockerfiles themselves, and what runtime folders should hold.
Everything found is reported at once, by file, as

  FILE:LINE:COLUMN: severity: text [rule]

What follows from another finding is left out. docs/RULES.md explains each rule,
and how rtbuild.yaml has a warning ignored. Errors exit with 1; warnings alone
with 0.`,
		Example: `  rtbuild check
  rtbuild check python stable/nodejs
  rtbuild check --fix
  rtbuild check --output sarif >check.sarif`,
		Annotations: map[string]string{moreFormats: "sarif github"},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error { return s.check(ctx, args, fix) })
		},
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "mend what is certain: line endings, casing, ENV and LABEL without an equals sign, a platform that is the target's")
	return cmd
}

// check prints what is wrong with what the names select.
func (s *session) check(ctx context.Context, names []string, fix bool) error {
	findings, err := s.project.Check(ctx, names)
	if err != nil {
		return err
	}
	if fix {
		fixed, err := check.Fix(findings)
		for _, f := range fixed {
			s.app.Notef("fixed: %s", f)
		}
		if err != nil {
			return err
		}
		if err := s.load(ctx); err != nil {
			return err
		}
		if findings, err = s.project.Check(ctx, names); err != nil {
			return err
		}
	}
	if err := s.printFindings(findings); err != nil {
		return err
	}
	errs := len(manifest.Errors(findings))
	s.app.Notef("%s, %s in %s", plural.Count(errs, "error"), plural.Count(len(findings)-errs, "warning"), plural.Count(len(s.project.Tree.Runtimes), "runtime"))
	if errs > 0 {
		return errReported
	}
	return nil
}

// printFindings prints findings in the form that was asked for.
func (s *session) printFindings(findings []manifest.Finding) error {
	a := s.app
	described := a.describeFindings(findings)
	text := func(out io.Writer) error {
		for _, f := range findings {
			if _, err := io.WriteString(out, a.Relative(f.String())+"\n"); err != nil {
				return err
			}
		}
		return nil
	}
	switch a.Flags.Output {
	case "sarif":
		text = func(out io.Writer) error { return check.SARIF(out, s.Root, version.This().Version, findings) }
	case "github":
		text = func(out io.Writer) error {
			var annotations []report.Annotation
			for _, f := range described {
				annotation := report.Annotation{Level: string(f.Severity), File: f.File, Line: f.Line, Column: f.Column, Title: string(f.Rule), Message: f.Message}
				if f.Subject != "" {
					annotation.Message = f.Subject + ": " + f.Message
				}
				annotations = append(annotations, annotation)
			}
			return report.GitHub(out, annotations)
		}
	}
	return a.print(described, text)
}

func (a *app) describeFindings(findings []manifest.Finding) []finding {
	list := []finding{}
	for _, f := range findings {
		list = append(list, finding{
			Severity: f.Severity, Rule: f.Rule, File: a.Relative(f.Position.File), Line: f.Position.Line, Column: f.Position.Column,
			Subject: f.Subject, Message: a.Relative(f.Message),
		})
	}
	return list
}
