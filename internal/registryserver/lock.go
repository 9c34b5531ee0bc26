package registryserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/internal/edge/flock"
)

// lockName is the lock file's name in the root folder. The file stays when the
// server stops: what counts is whether a process holds a lock on it.
const lockName = "rtbuild.lock"

// How often and how long Start looks for the server whose process holds the
// lock: between taking the lock and publishing its address that process only
// opens a port.
const (
	lockPoll    = 50 * time.Millisecond
	lockTimeout = 20 * time.Second
)

// A lockFile is a locked lock file.
type lockFile struct{ file *flock.Lock }

// acquire locks the file at path, or finds the address of the server whose
// process has locked it: one of lock and address is set.
func acquire(ctx context.Context, path string) (lock *lockFile, address string, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lockTimeout,
		fmt.Errorf("another process holds %s but its registry does not answer; stop that process", path))
	defer cancel()
	for {
		lock, err := tryLock(path)
		if lock != nil || err != nil {
			return lock, "", err
		}
		if address, ok := find(ctx, path); ok {
			return nil, address, nil
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, "", context.Cause(ctx)
		}
	}
}

// tryLock returns nil if another Server holds the lock.
func tryLock(path string) (*lockFile, error) {
	file, err := flock.Acquire(path, 0o644)
	if errors.Is(err, flock.ErrHeld) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &lockFile{file: file}, nil
}

// publish writes where the server is into the file.
func (l *lockFile) publish(address, identity string) error {
	return l.file.Write([]byte(address + " " + identity + "\n"))
}

// release empties the file and unlocks it.
func (l *lockFile) release() error { return l.file.Release() }

// find reads the address that the lock's holder published. It is trusted only
// if the server there shows the identity that was written with it: the file
// may be an earlier holder's, whose port another server has by now.
func find(ctx context.Context, path string) (address string, ok bool) {
	content, err := os.ReadFile(path)
	if err != nil {
		return "", false
	}
	address, identity, ok := strings.Cut(strings.TrimSpace(string(content)), " ")
	if !ok {
		return "", false
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/v2/", nil)
	if err != nil {
		return "", false
	}
	// A transport of its own: the address is this machine's, whatever proxies
	// the environment names.
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return "", false
	}
	_ = resp.Body.Close()
	return address, resp.StatusCode == http.StatusOK && resp.Header.Get(identityHeader) == identity
}
