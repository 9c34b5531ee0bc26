//go:build e2e

package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A project is a tree with a remote that jobs clone and push to.
type project struct {
	t            *testing.T
	root, origin string
}

// git runs git in the project's own clone.
func (p project) git(args ...string) string {
	p.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", p.root}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		p.t.Fatalf("git %q: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit takes what was pushed meanwhile, changes files and pushes them.
func (p project) commit(files map[string]string) {
	p.t.Helper()
	p.git("pull", "-q", "--ff-only")
	for name, content := range files {
		harness.Write(p.t, filepath.Join(p.root, name), content)
	}
	p.git("add", "-A")
	p.git("commit", "-q", "-m", "x")
	p.git("push", "-q")
}

// file is what a file of the branch has after the last push.
func (p project) file(name string) string {
	p.t.Helper()
	p.git("pull", "-q", "--ff-only")
	return harness.Read(p.t, filepath.Join(p.root, name))
}

// stamped is a Dockerfile of which no two machines make the same image.
func stamped(from, name, more string) string {
	return "FROM " + from + "\nRUN [\"/bin/sh\", \"-c\", \"cat /proc/sys/kernel/random/uuid > /" + name + "\"]\n" + more
}

// matrixProject has an image that those of three versions are built from; one of
// the versions has an init image, too.
func matrixProject(t *testing.T, mirror string) project {
	t.Helper()
	return newProject(t, map[string]string{
		"rtbuild.yaml":     "images:\n  - {name: hub, folder: hub, repository: jobs/hub}\nmirrors: {docker.io: " + mirror + "}\n",
		"hub/Dockerfile":   stamped("acme/base", "hub", ""),
		"runtimes.jsonnet": "[import 'stable/a/a.jsonnet', import 'stable/b/b.jsonnet']\n",
		"stable/a/a.jsonnet": `{ ID: 'a', versions: [
  { name: 'a1', version: '1', images: [{ phase: 'runtime', image: 'jobs/a:1' }, { phase: 'installation', image: 'jobs/a-init:1', command: 'true' }] },
  { name: 'a2', version: '2', images: [{ phase: 'runtime', image: 'jobs/a:2' }] },
] }
`,
		"stable/b/b.jsonnet":         "{ ID: 'b', versions: [{ name: 'b1', version: '1', images: [{ phase: 'runtime', image: 'jobs/b:1' }] }] }\n",
		"stable/a/Dockerfile.1":      stamped("jobs/hub", "a-1", ""),
		"stable/a/Dockerfile.init.1": stamped("acme/base", "a-init.1", ""),
		"stable/a/Dockerfile.2":      stamped("jobs/hub", "a-2", ""),
		"stable/b/Dockerfile.1":      stamped("jobs/hub", "b-1", ""),
	})
}

// newProject is a project with files, whose base images are locked.
func newProject(t *testing.T, files map[string]string) project {
	t.Helper()
	for name, value := range map[string]string{
		"GIT_AUTHOR_NAME": "n", "GIT_AUTHOR_EMAIL": "n@example.org", "GIT_COMMITTER_NAME": "n", "GIT_COMMITTER_EMAIL": "n@example.org",
		"GIT_CONFIG_GLOBAL": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	p := project{t: t, root: t.TempDir(), origin: t.TempDir()}
	for name, content := range files {
		harness.Write(t, filepath.Join(p.root, name), content)
	}
	p.git("init", "-q", "-b", "main")
	harness.Want(t, 0, p.root, "lock")
	p.git("add", "-A")
	p.git("commit", "-q", "-m", "x")
	p.git("clone", "-q", "--bare", p.root, p.origin)
	p.git("remote", "add", "origin", p.origin)
	p.git("fetch", "-q")
	p.git("branch", "-q", "-u", "origin/main")
	return p
}

// builtOnce wants each image to be built by one job of a run.
func builtOnce(t *testing.T, r *workflowRun) {
	t.Helper()
	reports, err := filepath.Glob(filepath.Join(r.dir, "artifacts", "*", "report.json"))
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]string{}
	for _, report := range reports {
		for name, status := range statuses(t, report) {
			if status != "built" {
				continue
			}
			if other, ok := by[name]; ok {
				t.Errorf("%s was built by two jobs: %s and %s", name, other, report)
			}
			by[name] = report
		}
	}
}
