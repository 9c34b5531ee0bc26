package build_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/pkg/build"
)

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// The digest follows what an engine can read of the context, and nothing else.
func TestContextDigest(t *testing.T) {
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	write(t, file("Dockerfile"), "FROM scratch\n")
	write(t, file("a/b"), "1")
	write(t, file(".dockerignore"), "*.md\nignored\n!ignored/kept\n")
	digest := func() string {
		t.Helper()
		d, err := build.ContextDigest(dir, "Dockerfile")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	steps := []struct {
		name    string
		do      func() error
		changes bool
	}{
		{"an ignored file", func() error { write(t, file("README.md"), "x"); return nil }, false},
		{"a file in an ignored folder", func() error { write(t, file("ignored/x"), "x"); return nil }, false},
		{"an exception to it", func() error { write(t, file("ignored/kept"), "x"); return nil }, true},
		{"times", func() error { return os.Chtimes(file("a/b"), time.Unix(1, 0), time.Unix(1, 0)) }, false},
		{"content of equal length", func() error { write(t, file("a/b"), "2"); return nil }, true},
		{"a mode", func() error { return os.Chmod(file("a/b"), 0o755) }, true},
		{"a name", func() error { return os.Rename(file("a/b"), file("a/c")) }, true},
		{"a link", func() error { return os.Symlink("c", file("a/l")) }, true},
		{"an empty folder", func() error { return os.Mkdir(file("empty"), 0o755) }, true},
		{"the Dockerfile's own ignore file", func() error { write(t, file("Dockerfile.dockerignore"), "a\n"); return nil }, true},
		{"a file that it ignores", func() error { write(t, file("a/c"), "3"); return nil }, false},
	}
	before := digest()
	for _, step := range steps {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		after := digest()
		if (after != before) != step.changes {
			t.Errorf("%s: digest changed %v, want %v", step.name, after != before, step.changes)
		}
		before = after
	}
}
