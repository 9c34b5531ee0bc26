package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rtbuild/rtbuild/internal/edge/flock"
)

// rootLock is the right to use a state folder.
type rootLock struct{ file *flock.Lock }

// lockRoot takes the lock of a state folder, or says who holds it.
func lockRoot(root string) (*rootLock, error) {
	path := filepath.Join(root, "engine.lock")
	file, err := flock.Acquire(path, 0o600)
	if errors.Is(err, flock.ErrHeld) {
		return nil, fmt.Errorf("build state folder %s is in use by %s: wait for it to end, or use another folder", root, holder(path))
	}
	if err != nil {
		return nil, err
	}
	if err := file.Write([]byte(strconv.Itoa(os.Getpid()) + "\n")); err != nil {
		return nil, errors.Join(err, file.Release())
	}
	return &rootLock{file: file}, nil
}

// release lets go of the folder.
func (l *rootLock) release() error { return l.file.Release() }

// holder names the process that holds the lock, as far as the file tells: the
// holder may be a moment away from writing its number.
func holder(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Sprintf("another process (reading its number: %v)", err)
	}
	pid := strings.TrimSpace(string(content))
	if pid == "" {
		return "another process that is just starting"
	}
	return "process " + pid
}
