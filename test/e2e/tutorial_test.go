//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// marked are the blocks of a page that are to be run, as their mark says.
var marked = regexp.MustCompile("(?ms)^<!-- run -->\n```sh\n(.*?)^```$")

// Who follows the tutorial gets what it says. Its commands run as they stand, one
// after the other in one shell, from an empty folder.
func TestTutorial(t *testing.T) {
	const builder = "docker"
	mirror := destinationOf(harness.Registry(t, harness.RegistryConfig{}), "tutorial")
	bases := t.TempDir()
	for name, content := range map[string]string{
		"runtimes.jsonnet":  "[]\n",
		"rtbuild.yaml":      "images: [{name: debian, folder: debian, repository: library/debian, tag: trixie-slim}]\n",
		"debian/Dockerfile": "FROM scratch\nCOPY Dockerfile /\n",
	} {
		harness.Write(t, filepath.Join(bases, name), content)
	}
	harness.Want(t, 0, bases, "build", "--push", "--builder", builder, "--registry", mirror)

	var script strings.Builder
	blocks := marked.FindAllStringSubmatch(harness.Read(t, "../../docs/tutorials/first-runtime.md"), -1)
	if len(blocks) < 5 {
		t.Fatalf("the tutorial has %d blocks to run", len(blocks))
	}
	for _, block := range blocks {
		script.WriteString(block[1])
	}
	cmd := exec.Command("bash", "-euxo", "pipefail", "-c", script.String())
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), "PATH="+harness.PathWithBinary(), "RTBUILD_BUILDER="+builder, "RTBUILD_MIRROR=docker.io="+mirror,
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=n", "GIT_AUTHOR_EMAIL=n@example.org", "GIT_COMMITTER_NAME=n", "GIT_COMMITTER_EMAIL=n@example.org")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, harness.Tail(string(out)))
	}
}
