// Package runlock lets one run of rtbuild at a time work in a tree.
package runlock

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/flock"
)

// A Lock is the right to work in a tree. It ends with Release or, whatever
// becomes of the Lock and however the process ends, with the process.
type Lock struct{ file *flock.Lock }

// holder is what the lock file says of the run that holds it.
type holder struct {
	PID     int       `json:"pid"`
	Since   time.Time `json:"since"`
	Command string    `json:"command"`
}

// A heldError says which run holds the lock.
type heldError struct {
	// Path is the lock file.
	Path string
	// PID is the holder's process, as it sees itself; 0 if the holder has not
	// written yet who it is.
	PID int
	// Since is when the holder took the lock.
	Since time.Time
	// Command is the holder's command line.
	Command string
}

func (e *heldError) Error() string {
	if e.PID == 0 {
		return fmt.Sprintf("another run that has just started works in this tree (lock %s): wait for it to end", e.Path)
	}
	return fmt.Sprintf("another run works in this tree: process %d, %q, since %s (lock %s): wait for it to end, or end it",
		e.PID, e.Command, e.Since.Local().Format(time.DateTime), e.Path)
}

// Acquire takes the lock of the file at path, without waiting. The
// file and its folder are made if missing. The error is a *heldError if another
// run holds the lock, and wraps errors.ErrUnsupported on systems without file
// locks. A file that a dead process left is no obstacle.
func Acquire(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("taking the lock of this tree: %w", err)
	}
	file, err := flock.Acquire(path, 0o644)
	if errors.Is(err, flock.ErrHeld) {
		return nil, held(path)
	}
	if err != nil {
		return nil, fmt.Errorf("taking the lock of this tree: %w", err)
	}
	content, err := json.Marshal(holder{
		PID:     os.Getpid(),
		Since:   time.Now().UTC().Truncate(time.Second),
		Command: strings.Join(os.Args, " "),
	})
	if err == nil {
		err = file.Write(append(content, '\n'))
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("taking the lock of this tree: %w", err), file.Release())
	}
	return &Lock{file: file}, nil
}

// Release lets the next run in. The file stays, empty. Release does nothing the
// second time.
func (l *Lock) Release() error { return l.file.Release() }

// held is the error that names the holder, as far as the file tells.
func held(path string) error {
	e := &heldError{Path: path}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("%w; reading who it is: %w", e, err)
	}
	var h holder
	// The holder may be a moment away from writing, or in the middle of it.
	if json.Unmarshal(content, &h) == nil {
		e.PID, e.Since, e.Command = h.PID, h.Since, h.Command
	}
	return e
}
