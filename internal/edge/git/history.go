package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// argumentBytes bounds what one command line holds of paths: every system takes
// that much.
const argumentBytes = 96 << 10

// revision is the id of the commit that rev (a branch, a tag, an id, HEAD~2)
// stands for. The error wraps ErrUnknownRevision if the clone has none, and
// says how to get it.
func (r *Repository) revision(ctx context.Context, rev string) (string, error) {
	if rev == "" || strings.HasPrefix(rev, "-") {
		return "", fmt.Errorf("%q is no git revision: write a branch, a tag or a commit", rev)
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

// LastChange is the committer's time, in UTC, of the last commit up to HEAD that
// touched any of the paths: files or folders, relative to the root. It is the
// zero time if no commit did. The error wraps ErrShallow where a shallow clone
// lacks that commit: the oldest one that it has seems to have made all files.
func (r *Repository) LastChange(ctx context.Context, paths []string) (time.Time, error) {
	var last time.Time
	for batch := range batches(paths, argumentBytes) {
		changed, err := r.lastChange(ctx, batch)
		if err != nil {
			return time.Time{}, fmt.Errorf("looking for the last change in git: %w", err)
		}
		if changed.After(last) {
			last = changed
		}
	}
	return last, nil
}

func (r *Repository) lastChange(ctx context.Context, paths []string) (time.Time, error) {
	for _, path := range paths {
		if !filepath.IsLocal(path) {
			return time.Time{}, fmt.Errorf("path %q lies outside of %s", path, r.root)
		}
	}
	// Unlike git log, rev-list does not depend on settings.
	args := append([]string{"rev-list", "--max-count=1", "--timestamp", "HEAD", "--"}, paths...)
	out, err := r.git(ctx, args...)
	if err != nil {
		if unborn, unbornErr := r.isUnborn(ctx); unbornErr != nil || !unborn {
			return time.Time{}, errors.Join(err, unbornErr)
		}
		return time.Time{}, nil
	}
	if len(out) == 0 {
		return time.Time{}, nil
	}
	timestamp, id, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if cut, err := r.isCut(ctx, id); err != nil || cut {
		if cut {
			err = fmt.Errorf("%q was changed in or before commit %.12s: %w", paths[0], id, ErrShallow)
		}
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("git rev-list printed %q: %w", out, err)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// isUnborn tells whether HEAD is a branch without commits.
func (r *Repository) isUnborn(ctx context.Context) (bool, error) {
	_, err := r.git(ctx, "rev-parse", "--verify", "--quiet", "HEAD")
	var failed *failure
	if errors.As(err, &failed) && failed.code == 1 && failed.stderr == "" {
		return true, nil
	}
	return false, err
}

// isCut tells whether the clone lacks all parents of a commit, which then seems
// to have made all its files.
func (r *Repository) isCut(ctx context.Context, id string) (bool, error) {
	if !r.shallow {
		return false, nil
	}
	// The first says what the clone has, the second what the commit names.
	seen, err := r.git(ctx, "rev-list", "--no-walk", "--parents", id)
	if err != nil || len(strings.Fields(string(seen))) > 1 {
		return false, err
	}
	raw, err := r.git(ctx, "cat-file", "commit", id)
	header, _, _ := bytes.Cut(raw, []byte("\n\n"))
	return bytes.Contains(header, []byte("\nparent ")), err
}

// batches cuts paths into parts of at most size bytes, or of one path.
func batches(paths []string, size int) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		for start, end, sum := 0, 0, 0; start < len(paths); start, sum = end, 0 {
			for end < len(paths) && (end == start || sum+len(paths[end]) < size) {
				sum += len(paths[end]) + 1
				end++
			}
			if !yield(paths[start:end]) {
				return
			}
		}
	}
}
