//go:build unix

package pin

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// copyOwner gives file the owner and group of info.
func copyOwner(file *os.File, info fs.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// isInvalid tells whether err is EINVAL, by which file systems say that a
// folder cannot be flushed.
func isInvalid(err error) bool { return errors.Is(err, syscall.EINVAL) }
