//go:build e2e && linux

package embedded_test

import (
	"fmt"
	"syscall"
	"testing"

	"github.com/rtbuild/rtbuild/internal/edge/engine/embedded"
	"github.com/rtbuild/rtbuild/internal/harness"
)

// However much builds leave in the cache, with layers, their compressed forms and
// those rewritten for an epoch, an engine that is closed leaves no more on the disk
// than the bound: here the fifth of a disk of 1 GB.
func TestCacheIsBounded(t *testing.T) {
	const disk, images, layer = 1 << 30, 3, 30 << 20
	root := t.TempDir()
	if err := syscall.Mount("tmpfs", root, "tmpfs", 0, fmt.Sprintf("size=%d", disk)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(root, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	host := harness.Registry(t, harness.RegistryConfig{})
	e := start(t, embedded.Config{Root: root})
	made := 0
	for i := range images {
		dir := newContext(t, fmt.Sprintf(`RUN ["/busybox", "dd", "if=/dev/urandom", "of=/%d", "bs=%d", "count=1"]`, i, layer))
		build(t, e, dir, reproducible(fmt.Sprintf("%s/fn/hello:%d", host, i), "1000000000"))
		made += 3 * layer // The layer, compressed, and rewritten.
	}
	if made < disk/5 {
		t.Fatalf("%d bytes are no more than the bound: this test proves nothing", made)
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	var stat syscall.Statfs_t
	if err := syscall.Statfs(root, &stat); err != nil {
		t.Fatal(err)
	}
	// BuildKit's databases do not count.
	const databases = 16 << 20
	used := int64(stat.Blocks-stat.Bfree) * stat.Bsize
	t.Logf("%d bytes on the disk", used)
	if used > disk/5+databases {
		t.Errorf("%d bytes are left on a disk of %d", used, disk)
	}
	if used < layer {
		t.Error("nothing is left of the cache")
	}
}
