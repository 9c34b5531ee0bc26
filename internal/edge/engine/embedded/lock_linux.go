package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// rootLock is the right to use a state folder. The kernel takes it back when
// the process ends, however it ends.
type rootLock struct {
	// Not an os.File: that one closes itself, and so would unlock, once nothing
	// refers to it, which an engine of which only the client is in use comes to.
	fd int
}

// lockRoot takes the lock of a state folder, or says who holds it.
func lockRoot(root string) (*rootLock, error) {
	path := filepath.Join(root, "engine.lock")
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", path, err)
	}
	lock := &rootLock{fd: fd}
	err = unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		unix.Close(fd)
		return nil, fmt.Errorf("build state folder %s is in use by %s: wait for it to end, or use another folder", root, holder(path))
	}
	if err == nil {
		err = lock.writePID()
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return lock, nil
}

func (l *rootLock) writePID() error {
	if err := unix.Ftruncate(l.fd, 0); err != nil {
		return err
	}
	_, err := unix.Pwrite(l.fd, []byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// release lets go of the folder. The file stays: to remove it would let a third
// process lock a new file while a second one locks the old. It is emptied, so
// that a later holder is not mistaken for this one.
func (l *rootLock) release() error {
	return errors.Join(unix.Ftruncate(l.fd, 0), unix.Close(l.fd))
}

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
