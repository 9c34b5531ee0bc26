//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// small makes a repository whose images take no base image: a static shell
// from Debian's busybox is all that they hold.
func small(t *testing.T) string {
	t.Helper()
	root, shell := t.TempDir(), harness.Busybox(t)
	for _, folder := range []string{"base", "stable/web"} {
		harness.Write(t, filepath.Join(root, folder, "sh"), string(shell))
		if err := os.Chmod(filepath.Join(root, folder, "sh"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	harness.Write(t, filepath.Join(root, "rtbuild.yaml"), "images:\n  - {name: base, folder: base, repository: acme/base}\n")
	harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo of-the-base > /mark\"]\n")
	harness.Write(t, filepath.Join(root, "runtimes.jsonnet"), "[import 'stable/web/web.jsonnet']\n")
	harness.Write(t, filepath.Join(root, "stable/web/web.jsonnet"), `{
  ID: 'web',
  versions: [
    { name: 'web' + v, version: v, images: [{ phase: 'runtime', image: images[v] }] }
    for v in ['1', '2']
  ],
  local images = { '1': 'acme/web:1', '2': 'acme/web:2' },
}
`)
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), "FROM acme/base\nRUN [\"/bin/sh\", \"-c\", \"read mark < /mark && test $mark = of-the-base\"]\n")
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY sh /bin/\n")
	return root
}

// A child is built on its parent of this run, with a push and without.
func TestSiblings(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := small(t)
			var built []struct{ Name, Status, Digest string }
			r := harness.Want(t, 0, root, "build", "--builder", builder, "--output", "json")
			if err := json.Unmarshal([]byte(r.Stdout), &built); err != nil || len(built) != 3 || built[0].Name != "base" {
				t.Fatalf("built %+v: %v", built, err)
			}
			r = harness.Want(t, 0, root, "build", "--push", "--builder", builder, "--registry", host, "--output", "json")
			if err := json.Unmarshal([]byte(r.Stdout), &built); err != nil {
				t.Fatal(err)
			}
			for _, target := range built {
				name := target.Name
				if name == "base" {
					name = "base:latest"
				}
				if got := harness.DigestAt(t, host+"/acme/"+name); got == "" || got != target.Digest {
					t.Errorf("%s: printed %s, the registry has %s", name, target.Digest, got)
				}
			}

			// Another base, another child.
			child := harness.DigestAt(t, host+"/acme/web:1")
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), harness.Read(t, filepath.Join(root, "base/Dockerfile"))+"ENV CHANGED=yes\n")
			harness.Want(t, 0, root, "build", "--push", "--builder", builder, "--registry", host, "web:1")
			if harness.DigestAt(t, host+"/acme/web:1") == child {
				t.Error("the child is still the one on the old base")
			}
		})
	}
}

// One failure: the others are built, its dependants are skipped, nothing is
// pinned, and the summary names it with the end of its log.
func TestFailurePinsNothing(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo the reason; exit 3\"]\n")
			before := sources(t, root)
			r := harness.Want(t, 1, root, "all", "--push", "--builder", builder, "--registry", dest, "--quiet")
			unchanged(t, root, before)
			if r.Stdout != "" {
				t.Errorf("a ConfigMap was printed all the same: %s", r.Stdout)
			}
			for _, text := range []string{"failed base (base/Dockerfile)", "    the reason", "skipped web:1", "nothing is pinned"} {
				if !strings.Contains(r.Stderr, text) {
					t.Errorf("stderr lacks %q:\n%s", text, r.Stderr)
				}
			}
			if digest := harness.DigestAt(t, dest+"/acme/web:2"); digest != "" {
				t.Errorf("a version tag was moved by a release that failed: to %s", digest)
			}

			// The next run goes on with what is missing.
			harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo of-the-base > /mark\"]\n")
			report := filepath.Join(t.TempDir(), "report.json")
			r = harness.Want(t, 0, root, "all", "--push", "--builder", builder, "--registry", dest, "--report", report)
			for name, status := range map[string]string{"base": "built", "web:1": "built", "web:2": "fresh"} {
				if got := statuses(t, report)[name]; got != status {
					t.Errorf("%s: %s, want %s", name, got, status)
				}
			}
			for _, image := range imagesOf(t, r.Stdout) {
				if _, digest, _ := strings.Cut(image, "@"); harness.DigestAt(t, image) != digest || digest == "" {
					t.Errorf("%s: the registry has %q", image, harness.DigestAt(t, image))
				}
			}
		})
	}
}

// What a failed step printed is said once in each form of progress, also where other
// images are built after it, and where GitHub folds it.
func TestFailureSaysOnce(t *testing.T) {
	// As a line: in plain progress, in a terminal's, in the summary or in a group.
	said := regexp.MustCompile(`(?m)^(?:#\d+ [\d.]+ |[\d.]+ |    |\| )?reason-42\r?$`)
	for _, builder := range harness.Builders() {
		root := small(t)
		harness.Write(t, filepath.Join(root, "base/Dockerfile"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo reason-$((40 + 2)); exit 3\"]\n")
		for name, args := range map[string][]string{
			"quiet": {"--quiet"}, "lines": {"--progress", "lines"}, "plain": {"--progress", "plain"}, "verbose": {"--verbose"},
			"plain, failing fast": {"--progress", "plain", "--fail-fast"}, "plain, pushing": {"--progress", "plain", "--push", "--registry", "local"},
			"tty": {"--progress", "tty"},
		} {
			for _, github := range []string{"", "true"} {
				t.Run(fmt.Sprintf("%s, %s, GITHUB_ACTIONS=%s", builder, name, github), func(t *testing.T) {
					cmd := harness.Command(root, append([]string{"build", "--builder", builder, "--jobs", "1"}, args...)...)
					if name == "tty" {
						// script's terminal is the only one here.
						cmd.Path, cmd.Args = "/usr/bin/script", []string{"script", "-qec", strings.Join(cmd.Args, " "), "/dev/null"}
					}
					cmd.Env = append(os.Environ(), "GITHUB_ACTIONS="+github, "GITHUB_STEP_SUMMARY=")
					r := harness.Finish(t, cmd)
					if all := r.Stdout + r.Stderr; r.Code != 1 || len(said.FindAllString(all, -1)) != 1 || strings.Count(all, "%0Areason-42") != 0 {
						t.Errorf("exit code %d, %d times:\n%s", r.Code, len(said.FindAllString(all, -1)), all)
					}
				})
			}
		}
	}
}

// Without --push images are built and nothing else happens.
func TestAllWithoutPush(t *testing.T) {
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := small(t)
			before := sources(t, root)
			r := harness.Want(t, 0, root, "all", "--builder", builder)
			unchanged(t, root, before)
			if images := imagesOf(t, r.Stdout); len(images) != 2 || images[0] != "acme/web:1" {
				t.Errorf("images %q", images)
			}
			if !strings.Contains(r.Stderr, "nothing is pinned") {
				t.Errorf("stderr does not say so:\n%s", harness.Tail(r.Stderr))
			}
		})
	}
}

// The embedded registry keeps what it has over restarts, so that a second
// run finds the first one's images.
func TestLocalRegistry(t *testing.T) {
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := small(t)
			first := harness.Want(t, 0, root, "all", "--push", "--builder", builder, "--registry", "local")
			harness.Want(t, 0, root, "pin", "--check", "--registry", "local")
			second := harness.Want(t, 0, root, "all", "--push", "--builder", builder, "--registry", "local")
			if first.Stdout != second.Stdout {
				t.Errorf("the ConfigMap changed from\n%s\nto\n%s", first.Stdout, second.Stdout)
			}
		})
	}
}

// Ctrl-C ends a build that would take minutes, and leaves the tree as it was.
func TestInterrupt(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			root := small(t)
			harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), "FROM scratch\nCOPY sh /bin/\nRUN [\"/bin/sh\", \"-c\", \"echo now sleeping; sleep 600\"]\n")
			before := sources(t, root)
			cmd, stderr := start(t, root, "all", "--push", "--builder", builder, "--registry", host+"/interrupted")
			waitFor(t, stderr, "now sleeping\n")
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			go func() {
				_ = cmd.Wait() // the exit code is looked at below
				close(done)
			}()
			select {
			case <-done:
			case <-time.After(2 * time.Minute):
				_ = cmd.Process.Kill()
				t.Fatal("still running two minutes after SIGINT")
			}
			if code := cmd.ProcessState.ExitCode(); code != 130 {
				t.Errorf("exit code %d, want 130", code)
			}
			unchanged(t, root, before)
		})
	}
}

// Registries that refuse are named, with what they said; nothing is pinned.
func TestRegistryRefuses(t *testing.T) {
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			for name, status := range map[string]int{"unauthorized": 401, "forbidden": 403, "gone": 404} {
				t.Run(name, func(t *testing.T) {
					root := small(t)
					host := refusing(t, status)
					before := sources(t, root)
					r := harness.Want(t, 1, root, "all", "--push", "--builder", builder, "--registry", host, "web:2")
					unchanged(t, root, before)
					if !strings.Contains(r.Stderr, host) {
						t.Errorf("stderr does not name %s:\n%s", host, harness.Tail(r.Stderr))
					}
				})
			}
			root := small(t)
			r := harness.Want(t, 1, root, "all", "--push", "--builder", builder, "--registry", "127.0.0.1:1", "web:2")
			if !strings.Contains(r.Stderr, "127.0.0.1:1") {
				t.Errorf("stderr does not name the registry:\n%s", harness.Tail(r.Stderr))
			}
		})
	}
}
