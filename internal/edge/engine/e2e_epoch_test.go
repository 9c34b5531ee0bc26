//go:build e2e && linux

package engine

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// Two engines that share nothing make the same image of the same files,
// whatever the times of those files are and whenever they are built.
func TestEpochReproduces(t *testing.T) {
	epoch := time.Unix(1_700_000_000, 0)
	b := bench{tool: buildTool(t), registry: harness.Registry(t, harness.RegistryConfig{})}
	dir := t.TempDir()
	req := b.requestIn(t, dir, "epoch", map[string]string{
		"Dockerfile": "FROM scratch\nCOPY . /\nRUN [\"/tool\", \"write\", \"/sub/made\", \"x\"]\n",
		"sub/file":   "text",
	})
	req.Epoch = epoch
	req.Labels = map[string]string{build.LabelFingerprint: "f"}
	digests := map[string]bool{}
	// Before and after the epoch: exporters bound times from above only.
	for _, when := range []time.Time{epoch.Add(-time.Hour), epoch.Add(time.Hour), time.Now()} {
		touch(t, dir, when)
		b.builder = openBuilder(t, "embedded")
		result, image := b.pushed(t, req)
		if err := b.builder.Close(); err != nil {
			t.Fatal(err)
		}
		digests[result.Digest] = true
		if created := image.config.Created; created == nil || !created.Equal(epoch) {
			t.Errorf("the image is of %v, want %v", created, epoch)
		}
		if got := image.annotations[build.LabelFingerprint]; got != "f" {
			t.Errorf("the manifest says that the image was made from %q", got)
		}
		if result.Cached || image.files["/sub/made"] != "x" {
			t.Errorf("the engine was not fresh, or did not build: %+v", result)
		}
	}
	if len(digests) != 1 {
		t.Errorf("the digests differ: %v", digests)
	}

	// The counter-proofs: without an epoch, or with the times of the build, they
	// do differ.
	b.builder = openBuilder(t, "embedded")
	req.KeepTimes = true
	if result, image := b.pushed(t, req); digests[result.Digest] || !image.config.Created.Equal(epoch) {
		t.Errorf("with the times of the build the digest is the same; the image is of %v", image.config.Created)
	}
	req.KeepTimes, req.Epoch = false, time.Time{}
	if result, _ := b.pushed(t, req); digests[result.Digest] {
		t.Error("without an epoch the digest is the same")
	}
}

// touch gives everything in a folder another time.
func touch(t *testing.T, folder string, when time.Time) {
	t.Helper()
	err := filepath.WalkDir(folder, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Chtimes(path, when, when)
	})
	if err != nil {
		t.Fatal(err)
	}
}
