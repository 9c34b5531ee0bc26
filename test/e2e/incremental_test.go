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

// statuses are what a report says became of the targets.
func statuses(t *testing.T, path string) map[string]string {
	t.Helper()
	var report struct {
		Targets []struct{ Name, Status string }
	}
	if err := json.Unmarshal([]byte(harness.Read(t, path)), &report); err != nil {
		t.Fatal(err)
	}
	result := map[string]string{}
	for _, target := range report.Targets {
		result[target.Name] = target.Status
	}
	return result
}

// clone copies a tree as git does: content and executable bits, new times.
func clone(t *testing.T, root string) string {
	t.Helper()
	copied := t.TempDir()
	git := func(dir string, args ...string) {
		t.Helper()
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=x", "-c", "user.email=x@example.com"}, args...)...)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %q: %v\n%s", args, err, out)
		}
	}
	harness.Write(t, filepath.Join(root, ".gitignore"), "/.rtbuild/\n")
	git(root, "init", "-q")
	git(root, "add", "-A")
	git(root, "commit", "-q", "-m", "x", "--allow-empty")
	git(copied, "clone", "-q", root, ".")
	return copied
}

// The registry is the state: a fresh clone builds nothing that exists, and
// does not even need an engine. What changed is built, with what is built from
// it, and nothing else.
func TestIncremental(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			first := harness.Want(t, 0, root, "all", "--push", "--builder", builder, "--registry", dest)

			fresh := clone(t, root)
			second := harness.Want(t, 0, fresh, "all", "--push", "--builder", "unix:///nowhere.sock", "--registry", dest)
			if second.Stdout != first.Stdout {
				t.Errorf("the fresh clone prints another ConfigMap:\n%s", second.Stdout)
			}
			r := harness.Want(t, 0, fresh, "explain", "--registry", dest)
			if strings.Count(r.Stdout, ": fresh: ") != 3 {
				t.Errorf("explain: %s", r.Stdout)
			}
			harness.Want(t, 0, fresh, "audit", "--registry", dest)

			// What no image is made of makes nothing stale.
			harness.Write(t, filepath.Join(fresh, "stable/web/README.md"), "new\n")
			harness.Want(t, 0, fresh, "all", "--push", "--builder", "unix:///nowhere.sock", "--registry", dest)

			// A hub: the image and what is built from it.
			harness.Write(t, filepath.Join(fresh, "base/Dockerfile"), harness.Read(t, filepath.Join(fresh, "base/Dockerfile"))+"ENV A=b\n")
			r = harness.Want(t, 0, fresh, "explain", "--registry", dest)
			for _, line := range []string{"base: stale\n    its Dockerfile changed", "web:1: stale\n    sibling acme/base changed", "web:2: fresh: "} {
				if !strings.Contains(r.Stdout, line) {
					t.Errorf("explain lacks %q:\n%s", line, r.Stdout)
				}
			}
			report := filepath.Join(t.TempDir(), "report.json")
			harness.Want(t, 0, fresh, "all", "--push", "--builder", builder, "--registry", dest, "--report", report)
			for name, status := range map[string]string{"base": "built", "web:1": "built", "web:2": "fresh"} {
				if got := statuses(t, report)[name]; got != status {
					t.Errorf("%s: %s, want %s", name, got, status)
				}
			}

			// Matrix jobs' reports pin the same, without the registry.
			harness.Write(t, filepath.Join(fresh, "stable/web/web.jsonnet"), harness.Read(t, filepath.Join(root, "stable/web/web.jsonnet")))
			harness.Want(t, 0, fresh, "pin", "--report", report)
			harness.Want(t, 0, fresh, "pin", "--check", "--registry", dest)
		})
	}
}

// Only what changed since a revision is planned, with what is built from it.
func TestSince(t *testing.T) {
	root := small(t)
	clone(t, root)
	for rev, wanted := range map[string]string{"HEAD": ""} {
		if got := planned(t, root, "--since", rev); got != wanted {
			t.Errorf("since %s: %q, want %q", rev, got, wanted)
		}
	}
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY sh /bin/sh2\n")
	if got := planned(t, root, "--since", "HEAD"); got != "web:2" {
		t.Errorf("after changing web:2: %q", got)
	}
	harness.Write(t, filepath.Join(root, "base/sh"), "#!changed\n")
	if got := planned(t, root, "--since", "HEAD"); got != "base web:1 web:2" {
		t.Errorf("after changing the base: %q", got)
	}
	r := harness.Want(t, 0, root, "matrix", "--since", "HEAD")
	var matrix struct {
		Include []struct{ Target string }
	}
	if err := json.Unmarshal([]byte(r.Stdout), &matrix); err != nil || len(matrix.Include) != 2 || matrix.Include[0].Target != "web:1" {
		t.Errorf("matrix %s: %v", r.Stdout, err)
	}
	r = harness.Want(t, 1, root, "plan", "--since", "no-such-rev")
	if !strings.Contains(r.Stderr, "no-such-rev") {
		t.Errorf("stderr does not name the revision: %s", r.Stderr)
	}
}

// planned are the names of the targets of a plan.
func planned(t *testing.T, root string, args ...string) string {
	t.Helper()
	r := harness.Want(t, 0, root, append([]string{"plan", "--output", "json"}, args...)...)
	var plan struct{ Targets []struct{ Name string } }
	if err := json.Unmarshal([]byte(r.Stdout), &plan); err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, target := range plan.Targets {
		names = append(names, target.Name)
	}
	return strings.Join(names, " ")
}

// The gate: an image that is pushed but refused is not released, and not by the
// next run either, which finds it at the registry. What is released is not
// asked for again.
func TestVerifyCommand(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	builder := harness.Builders()[0]
	root := small(t)
	before := sources(t, root)
	log := filepath.Join(t.TempDir(), "asked")
	all := func(code int, builder, verdict string) (asked string, r harness.Result) {
		t.Helper()
		harness.Write(t, log, "")
		r = harness.Want(t, code, root, "all", "--push", "--builder", builder, "--registry", host,
			"--verify-command", `echo "$RTBUILD_TARGET $RTBUILD_IMAGE" >>`+log+"; "+verdict)
		lines := strings.Fields(harness.Read(t, log))
		var names []string
		for i := 0; i < len(lines); i += 2 {
			names = append(names, lines[i])
		}
		slices.Sort(names)
		return strings.Join(names, " "), r
	}
	const everything = "base web:1 web:2"
	// The second run needs no engine: the images are there.
	for _, engine := range []string{builder, "unix:///nowhere.sock"} {
		asked, r := all(1, engine, `test "$RTBUILD_TARGET" != web:2`)
		if asked != everything {
			t.Errorf("asked for %q, want %q", asked, everything)
		}
		unchanged(t, root, before)
		if !strings.Contains(r.Stderr, "verifying "+host+"/acme/web:2-") || harness.DigestAt(t, host+"/acme/web:1") != "" {
			t.Errorf("stderr:\n%s", harness.Tail(r.Stderr))
		}
	}
	if asked, _ := all(0, "unix:///nowhere.sock", "true"); asked != everything {
		t.Errorf("asked for %q, want %q", asked, everything)
	}
	if harness.DigestAt(t, host+"/acme/web:2") == "" {
		t.Error("what was admitted is not released")
	}
	if asked, _ := all(0, "unix:///nowhere.sock", "false"); asked != "" {
		t.Errorf("asked again for %q, which is released", asked)
	}
	harness.Want(t, 2, root, "build", "--verify-command", "true")
}

// The lock file holds the digests of base images whichever way tags move.
func TestLock(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	builder := harness.Builders()[0]
	root := small(t)
	harness.Want(t, 0, root, "build", "--push", "--builder", builder, "--registry", host+"/mirror", "base")
	other := t.TempDir()
	base := "docker.io/acme/base:latest"
	mirrored := []string{"--mirror", "docker.io=" + host + "/mirror", "--registry", host + "/out", "--builder", builder}
	harness.Write(t, filepath.Join(other, "runtimes.jsonnet"), "[import 'stable/x/x.jsonnet']\n")
	harness.Write(t, filepath.Join(other, "stable/x/x.jsonnet"), "{ ID: 'x', versions: [{ name: 'x', version: '1', images: [{ phase: 'runtime', image: 'other/x:1' }] }] }\n")
	harness.Write(t, filepath.Join(other, "stable/x/Dockerfile.1"), "FROM acme/base\nENV A=b\n")

	r := harness.Want(t, 1, other, append([]string{"all", "--push", "--locked"}, mirrored...)...)
	if !strings.Contains(r.Stderr, base+" is not in rtbuild.lock") {
		t.Errorf("stderr:\n%s", harness.Tail(r.Stderr))
	}
	harness.Want(t, 0, other, append([]string{"all", "--push"}, mirrored...)...)
	locked := harness.Read(t, filepath.Join(other, "rtbuild.lock"))
	digest := harness.DigestAt(t, host+"/mirror/acme/base:latest")
	if !strings.Contains(locked, base) || !strings.Contains(locked, digest) {
		t.Errorf("the lock file:\n%s", locked)
	}
	harness.Want(t, 0, other, append([]string{"outdated"}, mirrored[:2]...)...)

	// The base moves: nothing is rebuilt until it is asked for.
	harness.Write(t, filepath.Join(root, "base/Dockerfile"), harness.Read(t, filepath.Join(root, "base/Dockerfile"))+"ENV NEW=yes\n")
	harness.Want(t, 0, root, "build", "--push", "--builder", builder, "--registry", host+"/mirror", "base")
	harness.Want(t, 0, other, append([]string{"all", "--push", "--locked"}, append(mirrored[:4:4], "--builder", "unix:///nowhere.sock")...)...)
	r = harness.Want(t, 1, other, append([]string{"outdated"}, mirrored[:2]...)...)
	if !strings.Contains(r.Stdout, base) || !strings.Contains(r.Stdout, "x:1") {
		t.Errorf("outdated: %s", r.Stdout)
	}
	harness.Want(t, 0, other, append([]string{"lock", "--update", "acme/base"}, mirrored[:2]...)...)
	r = harness.Want(t, 0, other, append([]string{"explain"}, mirrored...)...)
	if !strings.Contains(r.Stdout, "base image acme/base changed") {
		t.Errorf("explain: %s", r.Stdout)
	}
}
