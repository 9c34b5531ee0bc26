package registryserver

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver/filesystem"
)

// Collect deletes what no manifest in the folder root needs, and returns how many
// bytes that freed. Nobody may serve the folder meanwhile.
func Collect(ctx context.Context, root string) (freed int64, err error) {
	root, err = filepath.Abs(root)
	if err != nil {
		return 0, fmt.Errorf("collecting garbage: %w", err)
	}
	lock, address, err := acquire(ctx, filepath.Join(root, lockName))
	if err != nil {
		return 0, fmt.Errorf("collecting garbage in %s: %w", root, err)
	}
	if lock == nil {
		return 0, fmt.Errorf("collecting garbage in %s: another process serves it at %s: stop that, or wait for it", root, address)
	}
	defer func() { err = errors.Join(err, lock.release()) }()
	before, err := size(root)
	if err != nil {
		return 0, err
	}
	if err := removeAbandonedUploads(root); err != nil {
		return 0, err
	}
	driver := filesystem.New(filesystem.DriverParameters{RootDirectory: root, MaxThreads: 100})
	registry, err := storage.NewRegistry(ctx, driver)
	if err == nil {
		err = storage.MarkAndSweep(ctx, driver, registry, storage.GCOpts{Quiet: true})
	}
	if err != nil {
		return 0, fmt.Errorf("collecting garbage in %s: %w", root, err)
	}
	after, err := size(root)
	return before - after, err
}

// size is how many bytes the files below a folder have; a folder that is missing
// has none.
func size(root string) (bytes int64, err error) {
	err = filepath.WalkDir(root, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		info, err := entry.Info()
		if err == nil {
			bytes += info.Size()
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return bytes, err
}
