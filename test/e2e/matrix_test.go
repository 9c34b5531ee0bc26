//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// The jobs of a matrix, each on a clone of its own, push and leave the version
// tags alone; a last one moves all of them and pins all images. With a job that
// failed nothing moves.
func TestMatrix(t *testing.T) {
	host := registry(t)
	for _, builder := range builders() {
		t.Run(builder, func(t *testing.T) {
			place := placeOf(host, builder)
			root := small(t)
			first, second, last := clone(t, root), clone(t, root), clone(t, root)
			reports := t.TempDir()
			one, two := filepath.Join(reports, "one.json"), filepath.Join(reports, "two.json")
			job := func(code int, clone, report, target string) {
				t.Helper()
				want(t, code, clone, "build", "--push", "--content-only", "--builder", builder, "--registry", place, "--report", report, target)
			}
			tags := []string{place + "/acme/base:latest", place + "/acme/web:1", place + "/acme/web:2"}
			untouched := func() {
				t.Helper()
				for _, tag := range tags {
					if digest := digestAt(t, tag); digest != "" {
						t.Errorf("%s was moved, to %s", tag, digest)
					}
				}
			}

			job(0, first, one, "web:1")
			dockerfile := filepath.Join(second, "stable/web/Dockerfile.2")
			good := read(t, dockerfile)
			write(t, dockerfile, good+"RUN [\"/bin/sh\", \"-c\", \"exit 3\"]\n")
			job(1, second, two, "web:2")
			before := sources(t, last)
			r := want(t, 1, last, "pin", "--report", one, "--report", two)
			if !strings.Contains(r.stderr, "the reports say of web:2: failed") {
				t.Errorf("stderr:\n%s", tail(r.stderr))
			}
			unchanged(t, last, before)
			untouched()

			write(t, dockerfile, good)
			job(0, second, two, "web:2")
			untouched()
			want(t, 0, last, "pin", "--report", one, "--report", two)
			manifest := read(t, filepath.Join(last, "stable/web/web.jsonnet"))
			for _, tag := range tags {
				digest := digestAt(t, tag)
				if digest == "" || strings.Contains(tag, "web") && !strings.Contains(manifest, digest) {
					t.Errorf("%s is %q, the manifest:\n%s", tag, digest, manifest)
				}
			}
			// It is the release that one run would have made.
			pinned := sources(t, last)
			want(t, 0, last, "all", "--push", "--builder", "unix:///nowhere.sock", "--registry", place)
			unchanged(t, last, pinned)
		})
	}
}
