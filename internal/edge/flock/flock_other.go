//go:build !(darwin || dragonfly || freebsd || illumos || linux || netbsd || openbsd)

package flock

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
)

// A Lock cannot be had on this system.
type Lock struct{}

// Acquire fails: it is for systems that can lock files the Unix way. The error
// wraps errors.ErrUnsupported.
func Acquire(path string, _ fs.FileMode) (*Lock, error) {
	return nil, fmt.Errorf("locking %s: file locks on %s: %w", path, runtime.GOOS, errors.ErrUnsupported)
}

// Write fails.
func (*Lock) Write([]byte) error { return errors.ErrUnsupported }

// Release fails.
func (*Lock) Release() error { return errors.ErrUnsupported }
