package harness

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Write writes a file, and the folders that it is in.
func Write(tb testing.TB, path, content string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// Read is the content of a file.
func Read(tb testing.TB, path string) string {
	tb.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return string(content)
}

// Busybox is a program that needs no libraries, a shell among others.
func Busybox(tb testing.TB) []byte {
	tb.Helper()
	path, err := exec.LookPath("busybox")
	if err != nil {
		tb.Fatalf("%v: install Debian's busybox-static", err)
	}
	return []byte(Read(tb, path))
}
