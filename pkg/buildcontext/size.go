package buildcontext

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path/filepath"
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

// Names are the paths, relative to the context and with slashes, of what the paths
// reach in it, as Read has them. Nothing is hashed.
func (d *Dir) Names(ctx context.Context, paths []string) ([]string, error) {
	var names []string
	if len(paths) == 0 {
		return nil, nil
	}
	err := d.walk(ctx, paths, func(rel string, _ *fstypes.Stat) error {
		names = append(names, rel)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the build context: %w", err)
	}
	return names, nil
}

// Path is where a file of the context is: its absolute path, in a context without
// symbolic links.
func (d *Dir) Path(name string) string { return filepath.Join(d.root, filepath.FromSlash(name)) }
