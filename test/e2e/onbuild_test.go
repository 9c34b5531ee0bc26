//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// What a parent's ONBUILD copies is a file of the child: a change to it rebuilds
// the child and nothing else, whether the tree builds the parent or finds it at
// a registry.
func TestOnBuild(t *testing.T) {
	host := harness.Registry(t, harness.RegistryConfig{})
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := small(t)
			dockerfile, app := filepath.Join(root, "base/Dockerfile"), filepath.Join(root, "stable/web/app")
			harness.Write(t, dockerfile, harness.Read(t, dockerfile)+"ONBUILD COPY app /app\nONBUILD RUN [\"/bin/sh\", \"-c\", \"read app < /app && test $app = good\"]\n")
			harness.Write(t, app, "good\n")
			release := func(root string, want map[string]string) {
				t.Helper()
				report := filepath.Join(t.TempDir(), "report.json")
				harness.Run(t, root, "all", "--push", "--builder", builder, "--registry", dest, "--mirror", "docker.io="+dest, "--report", report)
				for name, status := range want {
					if got := statuses(t, report)[name]; got != status {
						t.Errorf("%s: %s, want %s", name, got, status)
					}
				}
			}
			release(root, map[string]string{"base": "built", "web:1": "built", "web:2": "built"})
			release(root, map[string]string{"base": "fresh", "web:1": "fresh", "web:2": "fresh"})

			explained := func(root, line string) {
				t.Helper()
				r := harness.Want(t, 0, root, "explain", "--registry", dest, "--mirror", "docker.io="+dest)
				if !strings.Contains(r.Stdout, line) {
					t.Errorf("explain lacks %q:\n%s", line, r.Stdout)
				}
			}
			// The parent's instructions run in the child: it says whether this is good.
			harness.Write(t, app, "bad\n")
			explained(root, "web:1: stale\n    stable/web/app changed\n")
			release(root, map[string]string{"base": "fresh", "web:1": "failed", "web:2": "fresh"})

			// A tree that does not build the parent.
			harness.Write(t, app, "good\n")
			harness.Write(t, filepath.Join(root, "rtbuild.yaml"), "images: []\n")
			release(root, map[string]string{"web:1": "built", "web:2": "fresh"})
			if lock := harness.Read(t, filepath.Join(root, "rtbuild.lock")); !strings.Contains(lock, "    - COPY app /app\n") {
				t.Errorf("the lock file:\n%s", lock)
			}
			release(root, map[string]string{"web:1": "fresh", "web:2": "fresh"})
			harness.Write(t, app, "bad\n")
			explained(root, "web:1: stale\n    stable/web/app changed\n")
		})
	}
}
