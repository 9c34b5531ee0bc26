//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package engine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// folderLocks tells that claimFolder locks.
const folderLocks = true

// claimFolder locks a folder of this user until the closer is closed or the
// process ends. It returns nil where somebody else has the lock, or the folder
// is another user's.
//
// The folder itself is locked, not a file in it: where everybody may write,
// such a file could be a link to another one.
func claimFolder(path string) (io.Closer, error) {
	folder, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return nil, err
	}
	info, err := folder.Stat()
	if err != nil {
		return nil, errors.Join(err, folder.Close())
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil, folder.Close()
	}
	err = syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, folder.Close()
	case err != nil:
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), folder.Close())
	}
	return folder, nil
}
