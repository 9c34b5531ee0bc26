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

	follow(t, "tutorials/first-runtime.md", 5, t.TempDir(), "RTBUILD_BUILDER="+builder, "RTBUILD_MIRROR=docker.io="+mirror)
}

// follow runs the marked blocks of a page, of which there are so many at least, as
// they stand in one shell, in a folder.
func follow(t *testing.T, page string, least int, dir string, env ...string) {
	t.Helper()
	blocks := marked.FindAllStringSubmatch(harness.Read(t, filepath.Join("../../docs", page)), -1)
	if len(blocks) < least {
		t.Fatalf("%s has %d blocks to run", page, len(blocks))
	}
	var script strings.Builder
	script.WriteString("trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n")
	for _, block := range blocks {
		script.WriteString(block[1])
	}
	cmd := exec.Command("bash", "-euxo", "pipefail", "-c", script.String())
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+harness.PathWithBinary(),
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=n", "GIT_AUTHOR_EMAIL=n@example.org", "GIT_COMMITTER_NAME=n", "GIT_COMMITTER_EMAIL=n@example.org")
	cmd.Env = append(cmd.Env, env...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, harness.Tail(string(out)))
	}
}
