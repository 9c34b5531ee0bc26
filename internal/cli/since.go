package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// plan is what the names select, less what is made of the same as at a
// revision, if one is given.
func (s *session) plan(ctx context.Context, run *build.Run, names []string, since string) (*build.Plan, error) {
	if since == "" {
		return s.project.Plan(names)
	}
	changed, err := s.changedSince(ctx, run, names, since)
	if err != nil {
		return nil, err
	}
	return changed.Plan(), nil
}

// prepare prepares that plan.
func (s *session) prepare(ctx context.Context, run *build.Run, names []string, since string) (*build.Prepared, error) {
	if since == "" {
		plan, err := s.project.Plan(names)
		if err != nil {
			return nil, err
		}
		return run.Prepare(ctx, plan), nil
	}
	changed, err := s.changedSince(ctx, run, names, since)
	if err != nil {
		return nil, err
	}
	run.LookUp(ctx, changed)
	return changed, nil
}

// changedSince is what the names select and is made of something else than at
// a revision, with its fingerprints.
func (s *session) changedSince(ctx context.Context, run *build.Run, names []string, since string) (*build.Prepared, error) {
	plan, err := s.project.Plan(names)
	if err != nil {
		return nil, err
	}
	prepared := run.Fingerprint(ctx, plan)
	before, err := s.prepareRevision(ctx, *run, since)
	if err != nil {
		return nil, err
	}
	return prepared.Subset(release.Affected(before, prepared)), nil
}

// prepareRevision writes the tree of a revision to a temporary folder and
// prepares it like this one.
func (s *session) prepareRevision(ctx context.Context, run build.Run, rev string) (*build.Prepared, error) {
	repository, err := git.Open(ctx, s.app.root)
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	dir, err := os.MkdirTemp("", "rtbuild-since-")
	if err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	defer os.RemoveAll(dir)
	if err := repository.Export(ctx, rev, dir); err != nil {
		return nil, fmt.Errorf("--since: %w", err)
	}
	before, err := s.prepareAt(ctx, run, dir)
	if err != nil {
		return nil, fmt.Errorf("--since %s: the tree of that revision: %w", rev, err)
	}
	return before, nil
}

// prepareAt prepares the whole tree in another folder, with its own settings
// and lock file.
func (s *session) prepareAt(ctx context.Context, run build.Run, dir string) (*build.Prepared, error) {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	c, err := config.Load(dir)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(dir, "runtimes.jsonnet")); os.IsNotExist(err) && c.Manifest == "" {
		return &build.Prepared{}, nil // there was nothing yet: all is new
	}
	project, err := release.Open(ctx, jsonnet.New(), dir, c)
	if err != nil {
		return nil, err
	}
	plan, err := project.Plan(nil)
	if err != nil {
		return nil, err
	}
	if run.Bases, err = s.openBases(ctx, filepath.Join(dir, s.lockFile), s.registryClient(), release.LockOffer); err != nil {
		return nil, err
	}
	run.Labels = c.Labels
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
				run, _, err := s.newRun(ctx, runOptions{})
				if err != nil {
					return err
				}
				plan, err := s.plan(ctx, run, args, since)
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
