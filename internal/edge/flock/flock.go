// Package flock locks files between processes. The kernel takes a lock back
// when its process ends, however it ends, so a lock file that is left behind is
// no obstacle.
package flock

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/gofrs/flock"
)

// ErrHeld says that somebody else holds the lock, in this process or another.
var ErrHeld = errors.New("the file is locked already")

// A Lock is an exclusive lock on a file. It lasts until Release or the end of
// the process, also when nothing refers to it any more.
type Lock struct {
	file     *flock.Flock
	released chan struct{}
	release  func() error
}

// Acquire locks the file at path without waiting, and makes the file, with mode
// perm before umask, if it is missing. The error wraps ErrHeld if the file is
// locked. What the file holds stays until Write: it may be that of an earlier
// holder.
func Acquire(path string, perm fs.FileMode) (*Lock, error) {
	return acquire(path, perm, (*flock.Flock).TryLock)
}

// waitPause is between two tries of Wait.
const waitPause = 50 * time.Millisecond

// Wait is Acquire for those who wait until the file is free or ctx ends.
func Wait(ctx context.Context, path string, perm fs.FileMode) (*Lock, error) {
	return acquire(path, perm, func(file *flock.Flock) (bool, error) { return file.TryLockContext(ctx, waitPause) })
}

func acquire(path string, perm fs.FileMode, try func(*flock.Flock) (bool, error)) (*Lock, error) {
	file := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(perm))
	locked, err := try(file)
	if err == nil && !locked {
		err = ErrHeld
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("locking %s: %w", path, err), file.Close())
	}
	l := &Lock{file: file, released: make(chan struct{})}
	l.release = sync.OnceValue(l.unlock)
	go l.hold()
	return l, nil
}

// hold refers to the file until the release: Go closes a file that is garbage,
// and with it goes the lock.
func (l *Lock) hold() {
	<-l.released
	runtime.KeepAlive(l.file)
}

// Write makes content what the file holds, for others to read. A reader beside
// it may see a part.
func (l *Lock) Write(content []byte) error {
	file, err := os.OpenFile(l.file.Path(), os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	return errors.Join(err, file.Close())
}

// Release empties the file, so that a later holder is not mistaken for this
// one, and unlocks it. The file stays: to remove it would let a third process
// lock a new file while a second one locks the old. Release does nothing the
// second time.
func (l *Lock) Release() error { return l.release() }

func (l *Lock) unlock() error {
	defer close(l.released)
	// Somebody may have removed the file, and made another since.
	mine, err := l.file.Stat()
	there, missing := os.Stat(l.file.Path())
	if err == nil && missing == nil && os.SameFile(mine, there) {
		err = l.Write(nil)
	}
	return errors.Join(err, l.file.Unlock())
}
