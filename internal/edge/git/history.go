package git

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Head is the id of the commit that is checked out. The error wraps
// ErrUnknownRevision before the first commit.
func (r *Repository) Head(ctx context.Context) (string, error) { return r.revision(ctx, "HEAD") }

// revision is the id of the commit that rev (a branch, a tag, an id, HEAD~2)
// points to. The error wraps ErrUnknownRevision if the clone has none, and
// says how to get it.
func (r *Repository) revision(ctx context.Context, rev string) (string, error) {
	if rev == "" || strings.HasPrefix(rev, "-") {
		return "", fmt.Errorf("%q is not a git revision: write a branch, a tag or a commit", rev)
	}
	out, err := r.git(ctx, "rev-parse", "--verify", "--quiet", rev+"^{commit}")
	if err == nil {
		return strings.TrimSpace(string(out)), nil
	}
	var failed *failure
	if !errors.As(err, &failed) {
		return "", fmt.Errorf("looking for git revision %q: %w", rev, err)
	}
	err = fmt.Errorf("git revision %q: %w", rev, ErrUnknownRevision)
	// Why, where git says it: an id that is the start of several, a tree.
	if failed.stderr != "" {
		err = fmt.Errorf("%w (%w)", err, failed)
	}
	if r.shallow {
		return "", fmt.Errorf("%w; %w", err, ErrShallow)
	}
	return "", fmt.Errorf("%w; fetch it, as in: git fetch origin %s", err, rev)
}
