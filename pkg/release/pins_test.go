package release_test

import (
	"io"
	"log"
	"net/http/httptest"
	"strings"
	"testing"

	fake "github.com/google/go-containerregistry/pkg/registry"

	"github.com/rtbuild/rtbuild/internal/edge/jsonnet"
	"github.com/rtbuild/rtbuild/internal/edge/registry"
	"github.com/rtbuild/rtbuild/internal/testfile"
	"github.com/rtbuild/rtbuild/pkg/config"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// Which images are looked up: those that the tree builds, and those in its
// namespaces without a digest; third parties' on request; the image whose
// Dockerfile is gone never.
func TestPinResolved(t *testing.T) {
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	server := httptest.NewServer(fake.New(fake.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	kept := "sha256:" + strings.Repeat("1", 64)
	root := testfile.Tree(t, map[string]string{
		"runtimes.jsonnet":      "[import 'stable/a/a.jsonnet']",
		"stable/a/Dockerfile.1": "FROM scratch\n",
		"stable/a/a.jsonnet": `{ ID: 'a', versions: [
  { name: 'a0', version: '0', images: [{ phase: 'runtime', image: '` + host + `/acme/a:0@` + kept + `' }] },
  { name: 'a1', version: '1', images: [
    { phase: 'installation', image: '` + host + `/tools/pip:7', command: 'x' },
    { phase: 'compilation', image: '` + host + `/acme/compiler:3', command: 'x' },
    { phase: 'runtime', image: '` + host + `/acme/a' },
  ] },
] }`,
	})
	push(t, host+"/acme/a:0") // another image than the one that is pinned
	tools := push(t, host+"/tools/pip:7")
	compiler := push(t, host+"/acme/compiler:3")
	built := push(t, host+"/acme/a:1")
	project, err := release.Open(t.Context(), jsonnet.New(), root, &config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	client := registry.New(registry.Config{Retries: -1})
	for _, test := range []struct {
		name     string
		names    []string
		external bool
		want     map[string]string
	}{
		{"own images", nil, false, map[string]string{"/0/versions/1/images/1/image": compiler, "/0/versions/1/images/2/image": built}},
		{"third parties' too", nil, true, map[string]string{"/0/versions/1/images/0/image": tools, "/0/versions/1/images/1/image": compiler, "/0/versions/1/images/2/image": built}},
		{"a version", []string{"a:1"}, false, map[string]string{"/0/versions/1/images/1/image": compiler, "/0/versions/1/images/2/image": built}},
		{"a target", []string{host + "/acme/a:1"}, false, map[string]string{"/0/versions/1/images/2/image": built}},
	} {
		t.Run(test.name, func(t *testing.T) {
			changes, err := project.PinResolved(t.Context(), client, "", test.names, test.external)
			if err != nil {
				t.Fatal(err)
			}
			got := map[string]string{}
			for _, change := range changes {
				got[change.Pointer] = change.Digest
			}
			if len(got) != len(test.want) {
				t.Errorf("changes %v, want %v", got, test.want)
			}
			for pointer, digest := range test.want {
				if got[pointer] != digest {
					t.Errorf("%s: %s, want %s", pointer, got[pointer], digest)
				}
			}
		})
	}
}
