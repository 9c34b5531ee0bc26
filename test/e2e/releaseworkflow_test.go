//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// password protects a registry: it is of the user "user", and "secret".
const password = "user:$2a$04$FDDqac7qfpB8h2qNUnB/SOFbib.UiJwOp9wx/5amj9jKsOsMK1i2i\n"

// A releaseTest runs the workflow of releases on a project.
type releaseTest struct {
	t            *testing.T
	dest         string // where it pushes
	mirror       string // where its base images lie
	bases        string // the tree that makes those
	builder      string
	p            project
	runner       runner
	images       []string
	first, third map[string]string
}

// The workflow of releases, as it is in .github, against a registry with a login:
// a first release, nothing to do, a base image that moved, a job that fails and
// the run after it, a change of the manifests alone, a branch that moves
// meanwhile, and a branch of its own.
func TestReleaseWorkflow(t *testing.T) {
	host := withLogin(t)
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			r := newReleaseTest(t, host, builder)
			readYAML(t, "../../.github/workflows/release.yml", &r.runner.workflow)
			r.releases()
			r.failure()
			r.manifestsAlone()
			if builder == harness.Builders()[0] { // what git does, engines do not change
				r.movedBranch()
				r.otherBranch()
			}
		})
	}
}

// withLogin is a registry that wants the login that this process has until the test
// ends.
func withLogin(t *testing.T) string {
	t.Helper()
	host := harness.Registry(t, harness.RegistryConfig{Users: password})
	logins := filepath.Join(t.TempDir(), "auth.json")
	harness.Write(t, logins, `{"auths":{"`+host+`":{"auth":"dXNlcjpzZWNyZXQ="}}}`)
	t.Setenv("REGISTRY_AUTH_FILE", logins)
	return host
}

// newReleaseTest has a project and what its repository at GitHub has set; which
// workflow it is, is left to say.
func newReleaseTest(t *testing.T, host, builder string) *releaseTest {
	t.Helper()
	r := &releaseTest{t: t, dest: destinationOf(host, builder), builder: builder, bases: small(t), images: []string{"hub:latest", "a:1", "a-init:1", "a:2", "b:1"}}
	r.mirror = r.dest + "-mirror"
	r.pushBase()
	r.p = matrixProject(t, r.mirror)
	r.runner = runner{
		origin: r.p.origin, branch: "main",
		vars:    map[string]any{"RTBUILD_REGISTRY": r.dest, "REGISTRY_USERNAME": "user", "VERIFY": "no"},
		secrets: map[string]any{"REGISTRY_PASSWORD": "secret"},
		env:     []string{"PATH=" + harness.PathWithBinary(), "RTBUILD_BUILDER=" + builder},
		before:  map[string]func(){},
	}
	return r
}

func (r *releaseTest) pushBase() {
	r.t.Helper()
	harness.Want(r.t, 0, r.bases, "build", "--push", "--builder", r.builder, "--registry", r.mirror, "base")
}

// run runs the workflow and wants its jobs plan, parents, images and release to
// end so.
func (r *releaseTest) run(statuses string) *workflowRun {
	r.t.Helper()
	ran := r.runner.run(r.t)
	got := strings.Join([]string{ran.status["plan"], ran.status["parents"], ran.status["images"], ran.status["release"]}, " ")
	if got != statuses {
		r.t.Fatalf("plan, parents, images and release ended with %s, want %s:\n%s", got, statuses, harness.Tail(ran.log.String()))
	}
	builtOnce(r.t, ran)
	return ran
}

// digests are what the version tags stand for.
func (r *releaseTest) digests() map[string]string {
	r.t.Helper()
	found := map[string]string{}
	for _, image := range r.images {
		found[image] = harness.DigestAt(r.t, r.dest+"/jobs/"+image)
	}
	return found
}

// released wants the branch to pin what the version tags stand for.
func (r *releaseTest) released() map[string]string {
	r.t.Helper()
	now := r.digests()
	manifests := r.p.file("stable/a/a.jsonnet") + r.p.file("stable/b/b.jsonnet")
	for image, digest := range now {
		if digest == "" || image != "hub:latest" && !strings.Contains(manifests, "jobs/"+image+"@"+digest) {
			r.t.Errorf("%s is %q, the manifests:\n%s", image, digest, manifests)
		}
	}
	return now
}

// changed wants these version tags to stand for something else, and no others.
func (r *releaseTest) changed(before, after map[string]string, names ...string) {
	r.t.Helper()
	moved := map[string]bool{}
	for _, name := range names {
		moved[name] = true
	}
	for _, image := range r.images {
		if (before[image] != after[image]) != moved[image] {
			r.t.Errorf("%s was %q and is %q; %v were to change", image, before[image], after[image], names)
		}
	}
}

func (r *releaseTest) releases() {
	r.t.Helper()
	r.run("success success success success")
	released := r.released()

	head := r.p.git("rev-parse", "origin/main")
	r.run("success skipped skipped success")
	r.changed(released, r.released())
	if now := r.p.git("rev-parse", "origin/main"); now != head {
		r.t.Errorf("a run with nothing to do pushed %s", now)
	}

	harness.Write(r.t, filepath.Join(r.bases, "base/Dockerfile"), harness.Read(r.t, filepath.Join(r.bases, "base/Dockerfile"))+"ENV NEW=yes\n")
	r.pushBase()
	r.p.git("pull", "-q", "--ff-only")
	harness.Want(r.t, 0, r.p.root, "lock", "--update")
	r.p.commit(nil)
	r.run("success success success success")
	r.first = r.released()
	r.changed(released, r.first, r.images...)
}

// failure has one job fail: nothing moves. The next run releases what the others
// pushed, too.
func (r *releaseTest) failure() {
	r.t.Helper()
	r.p.commit(map[string]string{
		"stable/a/Dockerfile.1": stamped("jobs/hub", "a-1", "ENV A=b\n"),
		"stable/b/Dockerfile.1": stamped("jobs/hub", "b-1", "RUN [\"/bin/sh\", \"-c\", \"exit 3\"]\n"),
	})
	r.run("success skipped failure skipped")
	r.changed(r.first, r.digests())
	r.p.commit(map[string]string{"stable/b/Dockerfile.1": stamped("jobs/hub", "b-1", "ENV A=b\n")})
	r.run("success skipped success success")
	r.third = r.released()
	r.changed(r.first, r.third, "a:1", "b:1")
}

func (r *releaseTest) manifestsAlone() {
	r.t.Helper()
	r.p.commit(map[string]string{"stable/b/b.jsonnet": strings.Replace(r.p.file("stable/b/b.jsonnet"), "ID: 'b'", "ID: 'b', depName: 'deps.txt'", 1)})
	ran := r.run("success skipped skipped success")
	r.changed(r.third, r.released())
	if configMap := harness.Read(r.t, filepath.Join(ran.dir, "artifacts/configmap/configmap.yaml")); !strings.Contains(configMap, "deps.txt") {
		r.t.Errorf("the ConfigMap lacks the change:\n%s", configMap)
	}
}

// movedBranch has the branch move before the pins are pushed: where it changed
// something else they go on top; where it changed the same lines the images are
// released all the same, and the next run commits their pins.
func (r *releaseTest) movedBranch() {
	r.t.Helper()
	const commit = "Commit the pins"
	r.p.commit(map[string]string{"stable/b/Dockerfile.1": stamped("jobs/hub", "b-1", "ENV A=c\n")})
	r.runner.before[commit] = func() { r.p.commit(map[string]string{"NEWS": "meanwhile\n"}) }
	r.run("success skipped success success")
	now := r.released()
	r.changed(r.third, now, "b:1")
	if news := r.p.file("NEWS"); news != "meanwhile\n" {
		r.t.Errorf("what moved the branch is gone: %q", news)
	}

	r.p.commit(map[string]string{"stable/b/Dockerfile.1": stamped("jobs/hub", "b-1", "ENV A=d\n")})
	r.runner.before[commit] = func() {
		r.p.commit(map[string]string{"stable/b/b.jsonnet": "# Moved.\n" + strings.Replace(r.p.file("stable/b/b.jsonnet"), "@"+now["b:1"], "", 1)})
	}
	ran := r.run("success skipped success failure")
	if !strings.Contains(ran.log.String(), "::error::main has moved") {
		r.t.Errorf("it does not say what to do:\n%s", harness.Tail(ran.log.String()))
	}
	delete(r.runner.before, commit)
	r.run("success skipped skipped success")
	r.changed(now, r.released(), "b:1")
}

// otherBranch releases from a new branch, which is where the pins go.
func (r *releaseTest) otherBranch() {
	r.t.Helper()
	before := r.released()
	r.p.git("checkout", "-q", "-b", "release-1")
	harness.Write(r.t, filepath.Join(r.p.root, "stable/b/Dockerfile.1"), stamped("jobs/hub", "b-1", "ENV A=e\n"))
	r.p.git("commit", "-q", "-a", "-m", "x")
	r.p.git("push", "-q", "-u", "origin", "release-1")
	r.runner.branch = "release-1"
	r.run("success skipped success success")
	r.changed(before, r.released(), "b:1")
	r.p.git("checkout", "-q", "main")
	if manifest := r.p.file("stable/b/b.jsonnet"); !strings.Contains(manifest, before["b:1"]) {
		r.t.Errorf("main pins something else:\n%s", manifest)
	}
}
