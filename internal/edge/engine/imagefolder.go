package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// imageFolderPrefix begins the names of folders for images that are not pushed.
const imageFolderPrefix = "rtbuild-images-"

// An imageFolder is a temporary folder that belongs to this process, by a lock
// that the system lets go when the process ends, however that happens.
type imageFolder struct {
	path string
	lock io.Closer
}

// newImageFolder makes a folder in parent.
func newImageFolder(parent string) (*imageFolder, error) {
	for {
		path, err := os.MkdirTemp(parent, imageFolderPrefix)
		if err != nil {
			return nil, err
		}
		lock, err := claimFolder(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, errors.Join(err, os.RemoveAll(path))
		}
		// Until it is locked the folder looks like a dead one, and another
		// process that starts at this moment may remove it.
		if lock != nil {
			if _, err := os.Stat(path); err == nil {
				return &imageFolder{path: path, lock: lock}, nil
			}
			_ = lock.Close() // only read
		}
	}
}

// remove deletes the folder and lets go of it.
func (f *imageFolder) remove() error {
	return errors.Join(os.RemoveAll(f.path), f.lock.Close())
}

// removeDeadImageFolders deletes this user's folders in parent whose process
// has ended.
func removeDeadImageFolders(parent string) error {
	if !folderLocks {
		return nil
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return err
	}
	var errs []error
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), imageFolderPrefix) || !entry.IsDir() {
			continue
		}
		path := filepath.Join(parent, entry.Name())
		lock, err := claimFolder(path)
		switch {
		case errors.Is(err, os.ErrNotExist) || errors.Is(err, os.ErrPermission):
			// Removed meanwhile, or another user's.
		case err != nil:
			errs = append(errs, err)
		case lock != nil:
			dead := imageFolder{path: path, lock: lock}
			if err := dead.remove(); err != nil {
				errs = append(errs, fmt.Errorf("removing %s: %w", path, err))
			}
		}
	}
	return errors.Join(errs...)
}
