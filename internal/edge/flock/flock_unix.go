//go:build darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd

package flock

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"

	"golang.org/x/sys/unix"
)

// A Lock is an exclusive lock on a file. It lasts until Release or the end of
// the process, also when nothing refers to the Lock any more.
type Lock struct {
	// Not an os.File: that one closes itself, and so would unlock, once nothing
	// refers to it.
	fd      int
	path    string
	release func() error
}

// Acquire locks the file at path without waiting, and makes the file, with mode
// perm before umask, if it is missing. The error wraps ErrHeld if the file is
// locked. What the file holds stays until Write: it may be that of an earlier
// holder.
func Acquire(path string, perm fs.FileMode) (*Lock, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, uint32(perm.Perm()))
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = ErrHeld
	}
	if err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	l := &Lock{fd: fd, path: path}
	l.release = sync.OnceValue(l.unlock)
	return l, nil
}

// Write makes content what the file holds, for others to read. A reader beside
// it may see a part.
func (l *Lock) Write(content []byte) error {
	if err := unix.Ftruncate(l.fd, 0); err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	n, err := unix.Pwrite(l.fd, content, 0)
	if err == nil && n < len(content) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", l.path, err)
	}
	return nil
}

// Release empties the file, so that a later holder is not mistaken for this
// one, and unlocks it. The file stays: to remove it would let a third process
// lock a new file while a second one locks the old. Release does nothing the
// second time.
func (l *Lock) Release() error { return l.release() }

func (l *Lock) unlock() error {
	err := errors.Join(
		unix.Ftruncate(l.fd, 0),
		// Closing alone would leave the lock to a child process that was forked
		// a moment ago and has not run its program yet.
		unix.Flock(l.fd, unix.LOCK_UN),
		unix.Close(l.fd),
	)
	if err != nil {
		return fmt.Errorf("unlocking %s: %w", l.path, err)
	}
	return nil
}
