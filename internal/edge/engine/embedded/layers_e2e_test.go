//go:build e2e && linux

package embedded_test

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/moby/buildkit/client"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/rtbuild/rtbuild/internal/edge/engine/embedded"
	"github.com/rtbuild/rtbuild/internal/harness"
)

// reproducible pushes layers without times after an epoch.
func reproducible(name, epoch string) client.ExportEntry {
	entry := pushed(name)
	maps.Copy(entry.Attrs, map[string]string{"rewrite-timestamp": "true", "source-date-epoch": epoch, "oci-mediatypes": "true"})
	return entry
}

// A layer is rewritten for an epoch once, not in each export: the second one
// does not read the layers that it was made from.
func TestLayersAreRewrittenOnce(t *testing.T) {
	host, root := harness.Registry(t, harness.RegistryConfig{}), t.TempDir()
	dir := newContext(t, `RUN ["/busybox", "sh", "-c", "/busybox mkdir /d; echo made > /d/f; /busybox ln /d/f /d/hard; /busybox chmod 4755 /d/f"]`)
	first := start(t, embedded.Config{Root: root})
	build(t, first, dir, reproducible(host+"/fn/hello:v1", "1000000000"))
	want := layerDigests(t, host, "v1")
	// Layers are kept as long as the cache has what they are made from, and
	// longer than the build.
	if err := first.Client().Prune(t.Context(), nil, client.WithKeepOpt(0, 1<<40, 0, 0)); err != nil {
		t.Fatal(err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, layer := range want {
		kept[layer.Digest.Encoded()] = true
	}
	spoiled := 0
	for _, path := range blobs(t, root) {
		if !kept[filepath.Base(path)] {
			spoil(t, path)
			spoiled++
		}
	}
	if spoiled < len(want) {
		t.Fatalf("%d blobs spoiled: this test proves nothing", spoiled)
	}

	second := start(t, embedded.Config{Root: root})
	if !build(t, second, dir, reproducible(host+"/fn/hello:v2", "1000000000")).stepCached(t, "echo made") {
		t.Fatal("the step was run again: this test proves nothing")
	}
	same := func(a, b ocispecs.Descriptor) bool { return a.Digest == b.Digest && a.Size == b.Size }
	if got := layerDigests(t, host, "v2"); !slices.EqualFunc(got, want, same) {
		t.Errorf("the second export has other layers:\n%v\n%v", got, want)
	}

	// They go with what they are made from.
	if err := second.Client().Prune(t.Context(), nil, client.PruneAll); err != nil {
		t.Fatal(err)
	}
	if left := blobs(t, root); len(left) > 0 {
		t.Errorf("blobs are left when the cache is empty: %v", left)
	}
}

// What is kept for one epoch is not taken for another, and not for an export
// with the files' own times.
func TestKeptLayersAreOfTheirEpoch(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	dir := newContext(t, `RUN ["/busybox", "touch", "/made"]`)
	used := start(t, embedded.Config{Root: t.TempDir()})
	fresh := func() *embedded.Engine { return start(t, embedded.Config{Root: t.TempDir()}) }
	build(t, used, dir, pushed(host+"/fn/hello:own"))
	build(t, used, dir, reproducible(host+"/fn/hello:1", "1000000000"))
	build(t, used, dir, reproducible(host+"/fn/hello:2", "1100000000"))
	build(t, fresh(), dir, reproducible(host+"/fn/hello:fresh2", "1100000000"))
	build(t, fresh(), dir, reproducible(host+"/fn/hello:fresh1", "1000000000"))
	build(t, used, dir, pushed(host+"/fn/hello:own-again"))
	for a, b := range map[string]string{"1": "fresh1", "2": "fresh2", "own": "own-again"} {
		same := func(a, b ocispecs.Descriptor) bool { return a.Digest == b.Digest }
		if left, right := layerDigests(t, host, a), layerDigests(t, host, b); !slices.EqualFunc(left, right, same) {
			t.Errorf("%s and %s differ:\n%v\n%v", a, b, left, right)
		}
	}
	if layerDigests(t, host, "1")[1].Digest == layerDigests(t, host, "2")[1].Digest {
		t.Error("layers of two epochs are the same: this test proves nothing")
	}
}

// layerDigests returns the layers of an image in the registry, lowest first.
func layerDigests(t *testing.T, host, tag string) []ocispecs.Descriptor {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+host+"/v2/fn/hello/manifests/"+tag, nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Add("Accept", ocispecs.MediaTypeImageManifest)
	request.Header.Add("Accept", "application/vnd.docker.distribution.manifest.v2+json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var manifest ocispecs.Manifest
	if err := json.NewDecoder(response.Body).Decode(&manifest); err != nil || len(manifest.Layers) == 0 {
		t.Fatalf("the manifest of %s: %s, %d layers, %v", tag, response.Status, len(manifest.Layers), err)
	}
	return manifest.Layers
}

// blobs lists the files of the engine's content store.
func blobs(t *testing.T, root string) []string {
	t.Helper()
	paths, err := filepath.Glob(root + "/runc-*/content/blobs/sha256/*")
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// spoil overwrites a file with as many zeros.
func spoil(t *testing.T, path string) {
	t.Helper()
	stat, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, fs.FileMode(0o600)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, make([]byte, stat.Size()), 0o600); err != nil {
		t.Fatal(err)
	}
}
