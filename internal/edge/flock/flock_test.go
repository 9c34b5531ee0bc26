package flock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func TestLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("of an earlier holder"), 0o600); err != nil {
		t.Fatal(err)
	}
	lock, err := Acquire(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Acquire(path, 0o600); !errors.Is(err, ErrHeld) {
		t.Errorf("locked twice: %v", err)
	}
	for _, content := range []string{"", "12345\n", "6\n"} {
		if err := lock.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		wantContent(t, path, content)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	wantContent(t, path, "")

	next, err := Acquire(path, 0o600)
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	// The descriptor is somebody else's by now.
	if err := lock.Release(); err != nil {
		t.Errorf("second release: %v", err)
	}
	if _, err := Acquire(path, 0o600); !errors.Is(err, ErrHeld) {
		t.Errorf("the second release unlocked the next lock: %v", err)
	}
	if err := next.Release(); err != nil {
		t.Error(err)
	}
}

// A holder may keep what the lock guards, and drop the lock.
func TestLockOutlivesItsHandle(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if _, err := Acquire(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// Finalizers run some time after the first collection, in order.
	runtime.GC()
	collected := make(chan struct{})
	runtime.AddCleanup(new([16]int), func(struct{}) { close(collected) }, struct{}{})
	runtime.GC()
	<-collected
	if _, err := Acquire(path, 0o600); !errors.Is(err, ErrHeld) {
		t.Errorf("the lock was lost with its handle: %v", err)
	}
}

// A folder may be cleared while something in it is locked.
func TestReleaseOfARemovedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	first, err := Acquire(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	second, err := Acquire(path, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Write([]byte("second")); err != nil {
		t.Fatal(err)
	}
	if err := first.Release(); err != nil {
		t.Error(err)
	}
	wantContent(t, path, "second")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := second.Release(); err != nil {
		t.Error(err)
	}
}

func TestAcquireErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := Acquire(filepath.Join(dir, "missing", "file"), 0o600); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("in a missing folder: %v", err)
	}
	if _, err := Acquire(dir, 0o600); err == nil || errors.Is(err, ErrHeld) {
		t.Errorf("a folder: %v", err)
	}
}

func wantContent(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the file holds %q, want %q", got, want)
	}
}
