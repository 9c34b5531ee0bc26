package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/errdefs"
)

// removeStrays removes folders of snapshots that the snapshotter on root does not
// know: a process that is killed between making one and noting it leaves it, and
// the next snapshot has its number. Nothing uses root.
func removeStrays(ctx context.Context, root string) error {
	folder := filepath.Join(root, "snapshots")
	there, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	known, err := knownSnapshots(ctx, filepath.Join(root, "metadata.db"))
	if err != nil {
		return fmt.Errorf("listing the snapshots in %s: %w", root, err)
	}
	for _, entry := range there {
		if _, ok := known[entry.Name()]; ok {
			continue
		}
		if err := os.RemoveAll(filepath.Join(folder, entry.Name())); err != nil {
			return fmt.Errorf("removing an unfinished snapshot: %w", err)
		}
	}
	return nil
}

// knownSnapshots has the snapshots of a snapshotter's database by their folders.
func knownSnapshots(ctx context.Context, path string) (known map[string]string, err error) {
	store, err := storage.NewMetaStore(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	err = store.WithTransaction(ctx, false, func(ctx context.Context) error {
		known, err = storage.IDMap(ctx)
		return err
	})
	if errdefs.IsNotFound(err) { // nothing was noted yet
		return nil, nil
	}
	return known, err
}
