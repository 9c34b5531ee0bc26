//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// Who follows the tutorial gets what it says. Its commands run as they stand, one
// after the other in one shell, from an empty folder.
func TestTutorial(t *testing.T) {
	mirror := harness.Registry(t, harness.RegistryConfig{}) + "/mirror"
	baseImages(t, mirror)
	t.Cleanup(func() { _ = exec.Command("docker", "rmi", "--force", "acme/shell:1").Run() })
	harness.Follow(t, "../../docs/tutorials/first-runtime.md", 7, t.TempDir(), "RTBUILD_BUILDER=docker", "RTBUILD_MIRROR=docker.io="+mirror)
}

// What the README shows of the commands runs as it stands, on a tree of one of the
// runtimes here.
func TestReadme(t *testing.T) {
	mirror := harness.Registry(t, harness.RegistryConfig{}) + "/mirror"
	baseImages(t, mirror)
	p := python(t, mirror)
	harness.Follow(t, "../../README.md#use", 1, p.root, "RTBUILD_REGISTRY=local", "RTBUILD_BUILDER=docker")
	manifest := harness.Read(t, filepath.Join(p.root, "stable/python/python.jsonnet"))
	if pinned := strings.Count(manifest, "@sha256:"); pinned != 6 || !strings.Contains(manifest, "'3.15'") {
		t.Errorf("%d images are pinned:\n%s", pinned, manifest)
	}
	if document := harness.Read(t, filepath.Join(p.root, "runtimes.jsonnet")); !strings.Contains(document, "import 'incubator/perl/perl.jsonnet'") {
		t.Errorf("the root document is %s", document)
	}
}
