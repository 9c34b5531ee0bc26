// Package git asks the git program about the repository that holds a tree: when
// files changed last, what a revision held, whether there are changes.
package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/rtbuild/rtbuild/pkg/release"
)

var (
	// ErrNoRepository says that the folder is in no work tree of git, or that
	// there is no git program to ask.
	ErrNoRepository = errors.New("no git repository")
	// ErrUnknownRevision says that the clone has no such commit.
	ErrUnknownRevision = release.ErrUnknownRevision
	// ErrShallow says that the answer lies before the commits that a shallow
	// clone has.
	ErrShallow = release.ErrShallow
)

var _ release.History = (*Repository)(nil)

// A Repository is the repository that holds a folder, the root. It is safe for
// concurrent use.
type Repository struct {
	// root is an absolute path.
	root string
	// prefix is the root relative to the top of the work tree: "" or "a/b/",
	// always with slashes.
	prefix string
	// shallow: the clone lacks the beginning of the history.
	shallow bool
}

// Open finds the repository of root, which may lie below the top of the work
// tree. The error wraps ErrNoRepository if there is none. A repository that git
// does not trust, because another user owns it, is another error.
func Open(ctx context.Context, root string) (*Repository, error) {
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("opening the git repository: %w", err)
	}
	if _, err := os.Stat(root); err != nil {
		return nil, fmt.Errorf("opening the git repository of %s: %w", root, err)
	}
	r := &Repository{root: root}
	out, err := r.git(ctx, "rev-parse", "--is-inside-work-tree", "--is-shallow-repository", "--show-prefix")
	if err != nil {
		return nil, fmt.Errorf("opening the git repository of %s: %w", root, err)
	}
	// A prefix may hold newlines; git adds one more.
	inside, rest, _ := strings.Cut(strings.TrimSuffix(string(out), "\n"), "\n")
	shallow, prefix, _ := strings.Cut(rest, "\n")
	if inside != "true" {
		return nil, fmt.Errorf("opening the git repository of %s: %w: the folder is git's own, or the repository has no work tree", root, ErrNoRepository)
	}
	r.prefix, r.shallow = prefix, shallow == "true"
	return r, nil
}

// git runs git in the root.
func (r *Repository) git(ctx context.Context, args ...string) ([]byte, error) {
	return run(ctx, command{dir: r.root, args: args})
}
