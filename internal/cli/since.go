package cli

import (
	"context"

	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// openHistory opens the tree's repository.
func (s *session) openHistory(ctx context.Context) (release.History, error) {
	return git.Open(ctx, s.Root)
}

// lookAt says what the tree in another folder comes to, all of it.
func (s *session) lookAt(ctx context.Context, dir string) (*release.Snapshot, error) {
	past, err := s.at(dir)
	if err != nil {
		return nil, err
	}
	if err := past.load(ctx); err != nil {
		return nil, err
	}
	images, err := past.prepare(ctx, nil, runOptions{})
	if err != nil {
		return nil, err
	}
	versions, err := past.project.Definitions()
	return &release.Snapshot{Images: images, Versions: versions}, err
}
