package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/discover"
)

type plannedTarget struct {
	Name       string            `json:"name"`
	Repository string            `json:"repository"`
	Tags       []string          `json:"tags"`
	Context    string            `json:"context"`
	Dockerfile string            `json:"dockerfile"`
	Kind       discover.Kind     `json:"kind"`
	Args       map[string]string `json:"args,omitempty"`
	Stage      string            `json:"target,omitempty"`
	Platforms  []string          `json:"platforms"`
	DependsOn  []string          `json:"dependsOn"`
	// Bases are the images that it is built from and that this tree does not build.
	Bases  []string       `json:"bases"`
	UsedBy []plannedField `json:"feeds"`
}

type plannedField struct {
	Runtime string `json:"runtime"`
	Version string `json:"version"`
	Phase   string `json:"phase"`
}

type plan struct {
	Targets []plannedTarget `json:"targets"`
	// Undecided are Dockerfiles that may make one image or another, and Missing
	// images that have neither a digest nor a Dockerfile. Neither is built.
	Undecided []discover.Undecided `json:"undecided"`
	Missing   []finding            `json:"missing"`
}

func (a *app) planCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "plan [NAME...]",
		Short: "Show what all would build and in which order; touch nothing",
		Long: `Show the images that a release would build, in order. What it could not release
is listed as well, and fails nothing here: Dockerfiles that may make one image
or another (undecided), and images that have neither a digest nor a Dockerfile
(missing).`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				if err := s.project.Tree.Valid(); err != nil {
					return err
				}
				selected, err := s.project.Discovery.Find(args)
				if err != nil {
					return err
				}
				steps, err := s.project.PlanTargets(selected.Targets)
				if err != nil {
					return err
				}
				if since != "" {
					edges, options, err := s.wire(ctx, nil, runOptions{since: since})
					if err != nil {
						return err
					}
					changed, err := s.project.PrepareChanged(ctx, edges, options, steps)
					if err != nil {
						return err
					}
					steps = changed.Plan()
				}
				p := s.describe(steps, selected)
				return a.print(p, p.text)
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only images that changed since the git revision `REV`")
	return cmd
}

func (s *session) describe(steps *build.Plan, selected discover.Selection) plan {
	missing := slices.DeleteFunc(slices.Clone(selected.Usages), func(u discover.Usage) bool { return u.Origin != discover.OriginMissing })
	p := plan{Targets: []plannedTarget{}, Undecided: notNil(selected.Undecided), Missing: s.app.describeFindings(s.project.Unpinnable(missing))}
	for _, step := range steps.Steps {
		t := plannedTarget{
			Name: step.Name, Repository: step.Repository.Name, Tags: notNil(step.Tags),
			Context: step.Context, Dockerfile: step.Dockerfile, Kind: step.Kind, Args: step.Args, Stage: step.Stage,
			Platforms: notNil(s.Platforms), DependsOn: notNil(step.DependsOn), Bases: notNil(step.Bases()), UsedBy: []plannedField{},
		}
		for _, field := range step.UsedBy {
			t.UsedBy = append(t.UsedBy, plannedField{Runtime: field.Runtime, Version: field.Version, Phase: string(field.Phase)})
		}
		p.Targets = append(p.Targets, t)
	}
	return p
}

func (p plan) text(out io.Writer) error {
	var rows [][]string
	for i, t := range p.Targets {
		var users []string
		for _, field := range t.UsedBy {
			users = append(users, field.Runtime+" "+field.Version+" "+field.Phase)
		}
		rows = append(rows, []string{fmt.Sprint(i + 1), t.Name, t.Dockerfile, t.Repository + ":" + strings.Join(t.Tags, ","), strings.Join(t.DependsOn, ","), strings.Join(users, ", ")})
	}
	if err := table(out, []string{"#", "TARGET", "DOCKERFILE", "IMAGE", "BUILT FROM", "FEEDS"}, rows); err != nil {
		return err
	}
	for _, u := range p.Undecided {
		if _, err := fmt.Fprintln(out, "undecided: "+u.String()); err != nil {
			return err
		}
	}
	for _, f := range p.Missing {
		if _, err := fmt.Fprintf(out, "missing: %s:%d: %s: %s\n", f.File, f.Line, f.Subject, f.Message); err != nil {
			return err
		}
	}
	return nil
}
