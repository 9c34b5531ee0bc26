package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// plan is what the names select, less what is made of the same as at a
// revision.
func (s *session) plan(ctx context.Context, names []string, since string) (*build.Plan, error) {
	run, _, err := s.newRun(ctx, runOptions{})
	if err != nil {
		return nil, err
	}
	prepared, err := s.prepare(ctx, run, names, since)
	if err != nil {
		return nil, err
	}
	return prepared.Plan(), nil
}

// prepare prepares what the names select, less what is made of the same as at a
// revision, if one is given.
func (s *session) prepare(ctx context.Context, run *build.Run, names []string, since string) (*build.Prepared, error) {
	plan, err := s.project.Plan(names)
	if err != nil {
		return nil, err
	}
	if since == "" {
		return run.Prepare(ctx, plan), nil
	}
	today := run.Fingerprint(ctx, plan)
	changed, err := s.changedSince(ctx, today, since)
	if err != nil {
		return nil, err
	}
	subset := today.Subset(changed)
	run.LookUp(ctx, subset)
	return subset, nil
}

// changedSince are the names of the targets that are made of something else
// than at a revision.
func (s *session) changedSince(ctx context.Context, today *build.Prepared, rev string) (map[string]bool, error) {
	repository, err := git.Open(ctx, s.root)
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	difference, err := release.Since(ctx, repository, rev, today, s.prepareAt)
	if err != nil {
		return nil, fmt.Errorf("--since %s: %w", rev, err)
	}
	if difference.Whole != "" {
		s.app.warnf("--since %s: all images count as changed: %s", rev, difference.Whole)
	}
	return difference.Targets, nil
}

// prepareAt fingerprints the whole tree in another folder.
func (s *session) prepareAt(ctx context.Context, dir string) (*build.Prepared, error) {
	past, err := s.at(dir)
	if err != nil {
		return nil, err
	}
	if err := past.load(ctx); err != nil {
		return nil, err
	}
	run, _, err := past.newRun(ctx, runOptions{})
	if err != nil {
		return nil, err
	}
	plan, err := past.project.Plan(nil)
	if err != nil {
		return nil, err
	}
	return run.Fingerprint(ctx, plan), nil
}

// matrixEntry is one job of a GitHub Actions matrix.
type matrixEntry struct {
	Target     string     `json:"target"`
	Dockerfile string     `json:"dockerfile"`
	Kind       build.Kind `json:"kind"`
	Runtimes   string     `json:"runtimes"`
}

func (a *app) matrixCommand() *cobra.Command {
	var since string
	cmd := &cobra.Command{
		Use:   "matrix [NAME...]",
		Short: "Print a GitHub Actions matrix of the images to build",
		Long: `Print {"include": […]}, an entry for each image; with --since, only for those
that are made of something else than at a git revision. An image that others are
built from is in the same job as they: its entry is left out, and they build it
or find it at the registry.

Each job runs rtbuild build --push --content-only --report FILE TARGET, which
leaves the version tags alone; a last one releases what all of them pushed, if
none failed: rtbuild pin --report FILE...`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			return a.with(cmd, func(ctx context.Context, s *session) error {
				plan, err := s.plan(ctx, args, since)
				if err != nil {
					return err
				}
				return jsonFormat{}.print(a.streams.Out, map[string][]matrixEntry{"include": matrix(plan)}, nil)
			})
		},
	}
	cmd.Flags().StringVar(&since, "since", "", "only images that are made of something else than at the git revision `REV`")
	return cmd
}

// matrix has an entry for each step that no other step is built from.
func matrix(plan *build.Plan) []matrixEntry {
	parents := map[string]bool{}
	for _, step := range plan.Steps {
		for _, dependency := range step.DependsOn {
			parents[dependency] = true
		}
	}
	entries := []matrixEntry{}
	for _, step := range plan.Steps {
		if parents[step.Name] && len(step.Feeds) == 0 {
			continue
		}
		var feeds []string
		for _, feed := range step.Feeds {
			feeds = append(feeds, feed.Runtime+" "+feed.Version)
		}
		entries = append(entries, matrixEntry{Target: step.Name, Dockerfile: step.Dockerfile, Kind: step.Kind, Runtimes: strings.Join(feeds, ", ")})
	}
	return entries
}
