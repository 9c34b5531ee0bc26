//go:build e2e

package e2e

import (
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/faultproxy"
	"github.com/rtbuild/rtbuild/internal/harness"
)

// One changed line of a worker is one new layer, in the image and in those that
// are built from it: whoever builds it, from a new clone, with an engine that
// has built nothing before. The others keep their digests, and are not pushed
// again. The graph driver store of Docker's engine keeps those that it has in its
// cache, which are the ones below the changed one.
func TestLayersStay(t *testing.T) {
	proxy, err := faultproxy.New(faultproxy.Config{Target: "http://" + harness.Registry(t, harness.RegistryConfig{})})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.Close()
		proxy.Close()
	})
	host := strings.TrimPrefix(server.URL, "http://")
	for _, builder := range harness.Builders() {
		t.Run(builder, func(t *testing.T) {
			dest := destinationOf(host, builder)
			root := layered(t)
			release := func(year string) (base, child []string, uploaded int64) {
				t.Helper()
				t.Setenv("GIT_COMMITTER_DATE", year+"-01-01T00:00:00Z")
				before := proxy.Uploaded()
				harness.Want(t, 0, clone(t, root), "all", "--push", "--quiet", "--builder", builder, "--registry", dest)
				return layersAt(t, dest+"/acme/base:latest"), layersAt(t, dest+"/acme/web:1"), proxy.Uploaded() - before
			}
			base, child, all := release("2020")
			harness.Write(t, filepath.Join(root, "base/worker"), "another line\n")
			newBase, newChild, changed := release("2021")
			if len(base) != 3 || len(child) != 5 || all < 500_000 {
				t.Fatalf("there are %d and %d layers, of %d bytes: this test proves nothing", len(base), len(child), all)
			}
			// Of the base: the shell, what RUN made, the worker. The child's own
			// come on top.
			if got := differing(base, newBase); got != "3" {
				t.Errorf("other layers of the base: %q, want the third alone", got)
			}
			got := differing(child, newChild)
			if strings.HasPrefix(builder, "docker") {
				// Those on the changed one are made anew, with the second as their
				// time.
				if !strings.HasPrefix(got, "3") {
					t.Errorf("other layers of the child: %q, want the third, and at most those on it", got)
				}
				return
			}
			if got != "3" {
				t.Errorf("other layers of the child: %q, want the third alone", got)
			}
			if changed > 100_000 {
				t.Errorf("%d bytes were pushed for one line, %d at first", changed, all)
			}
		})
	}
}

// layered is a tree of an image of three layers, the last of them a small one,
// and an image with two more.
func layered(t *testing.T) string {
	t.Helper()
	root := small(t)
	harness.Write(t, filepath.Join(root, "base/worker"), "a line\n")
	harness.Write(t, filepath.Join(root, "base/Dockerfile"), `FROM scratch
COPY sh /bin/
RUN ["/bin/sh", "-c", "mkdir -p /made/by/run && cp /bin/sh /made/by/run/sh && ln /made/by/run/sh /made/hard && ln -s hard /made/soft"]
COPY worker /usr/lib/worker
`)
	harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.1"), `FROM acme/base
COPY --chmod=0755 sh /usr/bin/other
RUN ["/bin/sh", "-c", "rm -r /made/by && mkdir -p /made/by && echo child > /made/by/child"]
`)
	return root
}

// layersAt lists the digests of an image's layers, lowest first.
func layersAt(t *testing.T, ref string) []string {
	t.Helper()
	repository, version := harness.Split(ref)
	var manifest struct {
		Layers []struct{ Digest string }
	}
	harness.ManifestAt(t, repository, version, &manifest)
	var digests []string
	for _, layer := range manifest.Layers {
		digests = append(digests, layer.Digest)
	}
	return digests
}

// differing lists the places, from 1, at which two lists differ.
func differing(a, b []string) string {
	var places []string
	for i := range max(len(a), len(b)) {
		if i >= len(a) || i >= len(b) || a[i] != b[i] {
			places = append(places, string(rune('1'+i)))
		}
	}
	return strings.Join(places, " ")
}
