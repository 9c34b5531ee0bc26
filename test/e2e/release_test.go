//go:build e2e

package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// TestRelease releases a runtime of the repository: real base images, real
// packages, a registry of other make, and where the engine runs containers the
// contract suite as the gate. It is the main job, end to end.
func TestRelease(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	mirror := host + "/mirror"
	baseImages(t, mirror)
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := ownTree(t)
			dest := destinationOf(host, builder)
			args := []string{"all", "--push", "--builder", builder, "--registry", dest, "--mirror", "docker.io=" + mirror}
			if builder == "docker" {
				args = append(args, "--verify")
			}
			before := sources(t, root)

			first := harness.Want(t, 0, root, args...)
			images := imagesOf(t, first.Stdout)
			if len(images) != 6 {
				t.Fatalf("the ConfigMap names %d images, want 6: %q", len(images), images)
			}
			for _, image := range images {
				_, digest, pinned := strings.Cut(image, "@")
				if !pinned || !strings.HasPrefix(image, dest+"/") || harness.DigestAt(t, image) != digest {
					t.Errorf("%s: the registry has %q", image, harness.DigestAt(t, image))
				}
			}
			after, lock := sources(t, root), filepath.Join(root, "rtbuild.lock")
			for _, suite := range []string{"bookworm", "trixie", "forky"} {
				if base := harness.DigestAt(t, mirror+"/library/debian:"+suite+"-slim"); !strings.Contains(after[lock], base) {
					t.Errorf("%s, the base of %s, is not in the lock file:\n%s", base, suite, after[lock])
				}
			}
			delete(after, lock)
			onlyDigestsChanged(t, before, after)
			for _, image := range images {
				manifest := harness.Read(t, filepath.Join(root, "stable/python/python.jsonnet"))
				if !strings.Contains(manifest, strings.TrimPrefix(image, dest+"/")) {
					t.Errorf("the manifest does not have %s", image)
				}
			}

			pinned := sources(t, root)
			second := harness.Want(t, 0, root, args...)
			unchanged(t, root, pinned)
			if second.Stdout != first.Stdout {
				t.Error("the second run prints another ConfigMap")
			}
			harness.Want(t, 0, root, "pin", "--check", "--registry", dest)
		})
	}
}

// baseImages puts the base images of this repository's images into a mirror.
func baseImages(t *testing.T, mirror string) {
	t.Helper()
	bases := exec.Command("../../hack/base-images.sh", "--registry", mirror)
	bases.Stderr = os.Stderr
	if err := bases.Run(); err != nil {
		t.Fatalf("making base images: %v", err)
	}
}

// ownTree copies one of the repository's runtimes and what it is built from,
// unpinned. The others are released by hack/test.sh.
func ownTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range []string{"rtbuild.yaml", "proxy", "stable/python"} {
		copied := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(copied), 0o755); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("cp", "-r", filepath.Join("../..", name), copied).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	harness.Write(t, filepath.Join(root, "runtimes.jsonnet"), "[import 'stable/python/python.jsonnet']\n")
	for path, content := range sources(t, root) {
		if strings.HasSuffix(path, ".jsonnet") {
			harness.Write(t, path, digests.ReplaceAllString(content, ""))
		}
	}
	return root
}

var digests = regexp.MustCompile(`@sha256:[0-9a-f]{64}`)

// onlyDigestsChanged wants trees to be equal but for digests.
func onlyDigestsChanged(t *testing.T, before, after map[string]string) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%d files before, %d after", len(before), len(after))
	}
	for path, content := range after {
		if digests.ReplaceAllString(content, "") != digests.ReplaceAllString(before[path], "") {
			t.Errorf("%s: more than digests changed", path)
		}
	}
}

// imagesOf are the images in a printed ConfigMap's runtime-images.
func imagesOf(t *testing.T, printed string) []string {
	t.Helper()
	var object struct {
		Kind string
		Data map[string]string
	}
	if err := yaml.Unmarshal([]byte(printed), &object); err != nil {
		t.Fatalf("%v:\n%s", err, printed)
	}
	if object.Kind != "ConfigMap" {
		t.Fatalf("kind %q", object.Kind)
	}
	var runtimes []struct {
		Versions []struct{ Images []struct{ Image string } }
	}
	if err := json.Unmarshal([]byte(object.Data["runtime-images"]), &runtimes); err != nil {
		t.Fatal(err)
	}
	var images []string
	for _, r := range runtimes {
		for _, v := range r.Versions {
			for _, image := range v.Images {
				images = append(images, image.Image)
			}
		}
	}
	return images
}
