// Package testfile makes files for tests.
package testfile

import (
	"os"
	"path/filepath"
	"testing"
)

// Tree writes files into a new folder, by their paths in it with slashes, and
// returns the folder, without links in its path.
func Tree(t testing.TB, files map[string]string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

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
