//go:build e2e

package e2e

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// A tree gets the workflows as the how-to says, and is released by them.
func TestHowToReleaseGitHub(t *testing.T) {
	r := newReleaseTest(t, withLogin(t), "docker")
	harness.Follow(t, "../../docs/how-to/release.md#github-actions", 1, r.p.root, "RTBUILD="+repository(t))
	r.p.git("push", "-q")
	for _, name := range []string{"release", "ci", "bases"} {
		source := harness.Read(t, filepath.Join(r.p.root, ".github/workflows", name+".yml"))
		if strings.Contains(source, "uses: ./") || strings.Contains(source, "version: source") || !strings.Contains(source, "uses: rtbuild/rtbuild@v1\n") {
			t.Errorf("%s.yml does not install a release:\n%s", name, source)
		}
	}
	r.runner.workflow = workflow{}
	readYAML(t, filepath.Join(r.p.root, ".github/workflows/release.yml"), &r.runner.workflow)
	r.run("success success success success")
	r.released()
}

// repository is this repository's folder.
func repository(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A tree is released by one command, and then by GitLab's jobs, as the how-to says: one
// looks at a branch, one releases what was merged.
func TestHowToReleaseGitLab(t *testing.T) {
	mirror := harness.Registry(t, harness.RegistryConfig{}) + "/mirror"
	baseImages(t, mirror)
	host := withLogin(t)
	p := python(t, mirror)
	dest := host + "/acme/runtimes"
	env := []string{"RTBUILD=" + repository(t), "RTBUILD_REGISTRY=" + dest, "RTBUILD_BUILDER=docker"}
	harness.Follow(t, "../../docs/how-to/release.md#gitlab", 1, p.root, env...)
	harness.Follow(t, "../../docs/how-to/release.md#without-a-matrix", 1, p.root, env...)
	p.git("push", "-q")
	const image = "/kubeless/python:3.13"
	first := harness.DigestAt(t, dest+image)
	if first == "" || !strings.Contains(p.file("stable/python/python.jsonnet"), first) {
		t.Fatalf("%s is %q, the manifest:\n%s", image, first, p.file("stable/python/python.jsonnet"))
	}

	base := p.git("rev-parse", "HEAD")
	p.git("checkout", "-q", "-b", "change")
	worker := filepath.Join(p.root, "stable/python/worker.py")
	harness.Write(t, worker, harness.Read(t, worker)+"# More.\n")
	p.git("commit", "-q", "-a", "-m", "x")
	p.git("push", "-q", "-u", "origin", "change")
	g := gitLab{p: p, variables: map[string]string{
		"CI_REGISTRY": host, "CI_REGISTRY_USER": "user", "CI_REGISTRY_PASSWORD": "secret", "CI_REGISTRY_IMAGE": dest, "RTBUILD_BUILDER": "docker",
		"CI_SERVER_HOST": "gitlab.example", "CI_PROJECT_PATH": "acme/runtimes", "PINS_TOKEN": "token",
		// GitLab is where the project's remote is.
		"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "url.file://" + p.origin + ".insteadOf",
		"GIT_CONFIG_VALUE_0": "https://rtbuild:token@gitlab.example/acme/runtimes.git",
	}}
	clone := g.job(t, "affected", "change", map[string]string{"CI_MERGE_REQUEST_DIFF_BASE_SHA": base})
	if built := harness.Read(t, filepath.Join(clone, "build.xml")); !strings.Contains(built, `name="python:3.13"`) {
		t.Errorf("the job for the branch did not build what it affects:\n%s", built)
	}
	if now := harness.DigestAt(t, dest+image); now != first {
		t.Errorf("the job for the branch moved %s to %s", image, now)
	}

	p.git("push", "-q", "origin", "change:main")
	p.git("checkout", "-q", "main")
	g.job(t, "release", "main", nil)
	second := harness.DigestAt(t, dest+image)
	if second == first || !strings.Contains(p.file("stable/python/python.jsonnet"), second) {
		t.Errorf("%s is %q, the manifest:\n%s", image, second, p.file("stable/python/python.jsonnet"))
	}
}

// A gitLab runs jobs of .gitlab-ci.yml in clones.
type gitLab struct {
	p         project
	variables map[string]string
}

// job runs a job on a branch as GitLab's runner does, with variables: its lines in one
// shell, in a clone without a branch.
func (g gitLab) job(t *testing.T, name, branch string, more map[string]string) (clone string) {
	t.Helper()
	clone = filepath.Join(t.TempDir(), "clone")
	g.p.git("clone", "-q", g.p.origin, clone)
	g.p.git("-C", clone, "checkout", "-q", "--detach", "origin/"+branch)
	variables := map[string]string{"CI_COMMIT_BRANCH": branch, "HOME": t.TempDir(), "PATH": harness.PathWithBinary()}
	maps.Copy(variables, g.variables)
	maps.Copy(variables, more)
	var file map[string]yaml.Node
	if err := yaml.Unmarshal([]byte(harness.Read(t, filepath.Join(clone, ".gitlab-ci.yml"))), &file); err != nil {
		t.Fatal(err)
	}
	var settings map[string]string
	var job struct {
		Before []string `yaml:"before_script"`
		Script []string
	}
	for key, into := range map[string]any{"variables": &settings, name: &job} {
		node := file[key]
		if err := node.Decode(into); err != nil {
			t.Fatalf("%s in .gitlab-ci.yml: %v", key, err)
		}
	}
	for key, value := range settings {
		if !strings.HasPrefix(key, "DOCKER_") { // the engine is this machine's
			variables[key] = os.Expand(value, func(name string) string { return variables[name] })
		}
	}
	cmd := exec.Command("bash", "-eo", "pipefail", "-c", strings.Join(append(job.Before, job.Script...), "\n"))
	cmd.Dir, cmd.Env = clone, machineEnv()
	for key, value := range variables {
		cmd.Env = append(cmd.Env, key+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the job %s: %v\n%s", name, err, harness.Tail(string(out)))
	}
	return clone
}

// python is a project that has Python's runtime as it is here, with its base images at
// a mirror.
func python(t *testing.T, mirror string) project {
	t.Helper()
	files := map[string]string{}
	root := ownTree(t)
	for path, content := range sources(t, root) {
		files[strings.TrimPrefix(path, root+"/")] = content
	}
	files["rtbuild.yaml"] += "mirrors: {docker.io: " + mirror + "}\n"
	p := newProject(t, files)
	p.git("-C", p.origin, "config", "receive.advertisePushOptions", "true")
	return p
}
