// Package testfile makes files for tests that are hard to make.
package testfile

import (
	"os"
	"testing"
)

// Unwritable makes a file one that nobody may write, root included, until the
// test ends. A test that runs as root is skipped where there is no such file.
func Unwritable(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o444); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		return
	}
	undo, err := immutable(path)
	if err != nil {
		t.Skipf("root can write every file here: %v", err)
	}
	t.Cleanup(func() {
		if err := undo(); err != nil {
			t.Error(err)
		}
	})
}
