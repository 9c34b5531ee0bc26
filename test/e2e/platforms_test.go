//go:build e2e

package e2e

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// twoPlatforms makes a repository of a parent, its child and a third image for
// two platforms, of which nothing runs: no engine can run both here.
func twoPlatforms(t *testing.T) string {
	t.Helper()
	root := small(t)
	settings := filepath.Join(root, "rtbuild.yaml")
	harness.Write(t, settings, harness.Read(t, settings)+"platforms: [linux/amd64, linux/arm64]\n")
	harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nARG TARGETARCH\nCOPY arch/$TARGETARCH /arch\n")
	for _, arch := range []string{"amd64", "arm64"} {
		harness.Write(t, filepath.Join(root, "base/arch", arch), arch+"\n")
	}
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM acme/base\nCOPY sh /bin/\n")
	return root
}

// onePlatform tells whether a builder makes images for one platform only: a
// Docker engine that does not keep them in containerd.
func onePlatform(t *testing.T, builder string) bool {
	t.Helper()
	if !strings.HasPrefix(builder, "docker") {
		return false
	}
	out, err := exec.Command("docker", "info", "--format", "{{.DriverStatus}}").Output()
	if err != nil {
		t.Fatal(err)
	}
	return !strings.Contains(string(out), "io.containerd.snapshotter")
}

// Images for two platforms are released as indexes, the child's on its parent's:
// what is pinned, audited and found fresh is the index. An engine that makes one
// platform at a time says which engines can, and nothing is released.
func TestPlatforms(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	platforms := []string{"linux/amd64", "linux/arm64"}
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := twoPlatforms(t)
			before := sources(t, root)
			all := []string{"all", "--push", "--builder", builder, "--registry", dest}
			if onePlatform(t, builder) {
				r := harness.Want(t, 1, root, all...)
				for _, text := range []string{"failed base (base/Dockerfile)", "failed web:2", "one platform at a time, and linux/amd64, linux/arm64 were asked for", "embedded"} {
					if !strings.Contains(r.Stderr, text) {
						t.Errorf("stderr lacks %q:\n%s", text, harness.Tail(r.Stderr))
					}
				}
				unchanged(t, root, before)
				return
			}

			first := harness.Want(t, 0, root, all...)
			images := imagesOf(t, first.Stdout)
			if len(images) != 2 {
				t.Fatalf("images %q", images)
			}
			manifest := harness.Read(t, filepath.Join(root, "stable/web/web.jsonnet"))
			for _, image := range images {
				index := indexAt(t, image)
				if len(index) != 2 || index[0].platform != platforms[0] || index[1].platform != platforms[1] {
					t.Errorf("%s is %+v", image, index)
				}
				if _, digest := harness.Split(image); digest != harness.DigestAt(t, image) || !strings.Contains(manifest, digest) {
					t.Errorf("%s is not pinned:\n%s", image, manifest)
				}
			}
			parent, child := indexAt(t, dest+"/acme/base:latest"), indexAt(t, dest+"/acme/web:1")
			for i := range platforms {
				if parent[i].layers[0] == parent[1-i].layers[0] || child[i].layers[0] != parent[i].layers[0] {
					t.Errorf("the parent is %+v and the child %+v", parent, child)
				}
			}

			var audited struct {
				Images []struct {
					Exists    bool
					Current   *bool
					Platforms []string
				}
			}
			r := harness.Want(t, 0, root, "audit", "--registry", dest, "--output", "json")
			if err := json.Unmarshal([]byte(r.Stdout), &audited); err != nil || len(audited.Images) != 2 {
				t.Fatalf("%v:\n%s", err, r.Stdout)
			}
			for _, a := range audited.Images {
				if !a.Exists || a.Current == nil || !*a.Current || !slices.Equal(a.Platforms, platforms) {
					t.Errorf("audited %+v", a)
				}
			}

			pinned := sources(t, root)
			second := harness.Want(t, 0, root, "all", "--push", "--builder", "unix:///nowhere.sock", "--registry", dest)
			if unchanged(t, root, pinned); second.Stdout != first.Stdout {
				t.Error("the second run prints another ConfigMap")
			}
			r = harness.Want(t, 0, root, "explain", "--registry", dest, "--platform", "linux/amd64", "web:2")
			if !strings.Contains(r.Stdout, "web:2: stale\n    its platforms changed") {
				t.Errorf("explain for one platform: %s", r.Stdout)
			}
		})
	}
}

// An imageAt is one image of an index.
type imageAt struct {
	platform string
	layers   []string // digests
}

// indexAt are the images of the index HOST/path:tag or HOST/path@digest.
func indexAt(t *testing.T, ref string) []imageAt {
	t.Helper()
	repository, version := harness.Split(ref)
	var index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture string }
		}
	}
	harness.ManifestAt(t, repository, version, &index)
	var images []imageAt
	for _, child := range index.Manifests {
		var manifest struct{ Layers []struct{ Digest string } }
		harness.ManifestAt(t, repository, child.Digest, &manifest)
		image := imageAt{platform: child.Platform.OS + "/" + child.Platform.Architecture}
		for _, layer := range manifest.Layers {
			image.layers = append(image.layers, layer.Digest)
		}
		images = append(images, image)
	}
	return images
}
