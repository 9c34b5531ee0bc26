package buildcontext

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"

	fstypes "github.com/tonistiigi/fsutil/types"
)

// A File is a file of a build context.
type File struct {
	// Path is relative to the context.
	Path string
	// Size is in bytes.
	Size int64
}

// Size adds up the files of the whole context, in bytes, less those that the
// ignore file hides, and finds the largest of them, at most five, the largest
// first.
func (d *Dir) Size(ctx context.Context) (total int64, largest []File, err error) {
	err = d.walk(ctx, []string{Everything}, func(rel string, stat *fstypes.Stat) error {
		if !fs.FileMode(stat.Mode).IsRegular() {
			return nil
		}
		total += stat.Size
		largest = append(largest, File{Path: rel, Size: stat.Size})
		slices.SortStableFunc(largest, func(a, b File) int { return cmp.Compare(b.Size, a.Size) })
		largest = largest[:min(5, len(largest))]
		return nil
	})
	if err != nil {
		return 0, nil, fmt.Errorf("reading the build context: %w", err)
	}
	return total, largest, nil
}
