package cli

import (
	"context"
	"fmt"

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
