//go:build e2e && linux

package pin_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// mount mounts for the length of the test.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount")
	}
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		t.Fatalf("mounting on %s: %v", target, err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(target, 0); err != nil {
			t.Errorf("unmounting %s: %v", target, err)
		}
	})
}

// TestWriteDiskFull has room for the first new file, but not for the second.
func TestWriteDiskFull(t *testing.T) {
	dir := t.TempDir()
	mount(t, "tmpfs", dir, "tmpfs", 0, "size=64k")
	plan := twoFiles(t, dir, 18_000)
	writeFails(t, dir, plan, "no space left on device", "nothing was changed")
}

// TestWriteRenameFails lets the second rename fail: no file can be renamed over
// a mount point. The first must be taken back.
func TestWriteRenameFails(t *testing.T) {
	dir := t.TempDir()
	plan := twoFiles(t, dir, 0)
	second := filepath.Join(dir, "sub", "lib.libsonnet")
	mount(t, second, second, "", syscall.MS_BIND, "")
	writeFails(t, dir, plan, "sub/lib.libsonnet", "device or resource busy", "nothing was changed")
}
