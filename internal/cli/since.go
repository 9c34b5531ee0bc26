package cli

import (
	"context"

	"github.com/rtbuild/rtbuild/internal/edge/git"
	"github.com/rtbuild/rtbuild/pkg/build"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// openHistory opens the tree's repository.
func (s *session) openHistory(ctx context.Context) (release.History, error) {
	return git.Open(ctx, s.root)
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
	return past.prepare(ctx, nil, runOptions{})
}
