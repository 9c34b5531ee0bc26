// Package flock locks files between processes. The kernel takes a lock back
// when its process ends, however it ends, so a lock file that is left behind is
// no obstacle.
package flock

import "errors"

// ErrHeld says that somebody else holds the lock, in this process or another.
var ErrHeld = errors.New("the file is locked already")
