//go:build unix

package local

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockExclusive locks file without waiting and tells whether it could. The
// lock belongs to the open file, so it also holds between two Servers of one
// process.
func lockExclusive(file *os.File) (bool, error) {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	switch {
	case err == nil:
		return true, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	}
	return false, fmt.Errorf("locking %s: %w", file.Name(), err)
}
