package git

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Files lists the files in a folder, relative to the root, that are in the repository
// or would be added to it: not those that it ignores. They are relative to the root,
// with forward slashes, sorted; one that was deleted since may be among them.
func (r *Repository) Files(ctx context.Context, folder string) ([]string, error) {
	out, err := r.git(ctx, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", folder+"/")
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", folder, err)
	}
	files := strings.FieldsFunc(string(out), func(c rune) bool { return c == 0 })
	slices.Sort(files)
	return slices.Compact(files), nil
}
