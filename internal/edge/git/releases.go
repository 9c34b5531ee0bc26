package git

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/pkg/prune"
)

var _ prune.PinLog = (*Repository)(nil)

// Branches implements prune.PinLog.
func (r *Repository) Branches(ctx context.Context) ([]string, error) {
	out, err := r.git(ctx, "for-each-ref", "--format=%(refname)", "refs/heads", "refs/remotes")
	if err != nil {
		return nil, fmt.Errorf("listing branches: %w", err)
	}
	return append([]string{"HEAD"}, strings.Fields(string(out))...), nil
}

// digits is what is looked for: a manifest may put "sha256:" before it itself.
const digits = "[0-9a-f]{64}"

// Revisions implements prune.PinLog.
func (r *Repository) Revisions(ctx context.Context, branch string, visit func(prune.Revision) bool) error {
	doing := "reading the history of " + branch
	if r.shallow {
		return fmt.Errorf("%s: %w; fetch all of it: git fetch --unshallow", doing, ErrShallow)
	}
	tip, err := r.git(ctx, "log", "-1", "--format=%H %ct", branch, "--")
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	changes, err := r.git(ctx, "log", "--format=%H %ct", "-G"+digits, branch, "--", ".")
	if err != nil {
		return fmt.Errorf("%s: %w", doing, err)
	}
	for line := range strings.Lines(string(tip) + string(changes)) {
		commit, seconds, _ := strings.Cut(strings.TrimSpace(line), " ")
		unix, err := strconv.ParseInt(seconds, 10, 64)
		if err != nil {
			return fmt.Errorf("%s: git says %q of a commit's time", doing, line)
		}
		digests, err := r.digestsAt(ctx, commit)
		if err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
		if !visit(prune.Revision{Time: time.Unix(unix, 0), Digests: digests}) {
			return nil
		}
	}
	return nil
}

var digitsPattern = regexp.MustCompile(digits)

// digestsAt are the digests in the files that the root held at a commit.
func (r *Repository) digestsAt(ctx context.Context, commit string) (map[string]bool, error) {
	out, err := r.git(ctx, "grep", "-h", "-I", "-E", digits, commit, "--", ".")
	var failed *failure
	if errors.As(err, &failed) && failed.code == 1 && failed.stderr == "" {
		err = nil // nothing is found
	}
	if err != nil {
		return nil, err
	}
	found := map[string]bool{}
	for _, digest := range digitsPattern.FindAllString(string(out), -1) {
		found["sha256:"+digest] = true
	}
	return found, nil
}
