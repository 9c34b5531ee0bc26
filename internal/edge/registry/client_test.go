package registry

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/partial"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/rtbuild/rtbuild/pkg/reference"
	"github.com/rtbuild/rtbuild/pkg/release"
)

// recorder notes the requests that reach a handler.
type recorder struct {
	handler http.Handler

	mu       sync.Mutex
	requests []string
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	r.mu.Unlock()
	r.handler.ServeHTTP(w, req)
}

// take returns the requests since the last call.
func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	taken := r.requests
	r.requests = nil
	return taken
}

// noCredentials keeps the machine's own docker configuration out of a test.
func noCredentials(t *testing.T) string {
	t.Helper()
	home := t.TempDir()
	// Not HOME: the docker configuration library looks that up once per process.
	t.Setenv("HOME", home)
	t.Setenv("DOCKER_CONFIG", filepath.Join(home, ".docker"))
	for _, name := range []string{"REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"} {
		t.Setenv(name, "")
	}
	return home
}

func startServer(t *testing.T, handler http.Handler) (host string, requests *recorder) {
	t.Helper()
	requests = &recorder{handler: handler}
	server := httptest.NewUnstartedServer(requests)
	// The client's HTTPS attempt is not worth a line per test.
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), requests
}

func newRegistry() http.Handler {
	return ggcr.New(ggcr.Logger(log.New(io.Discard, "", 0)))
}

func randomImage(t *testing.T) v1.Image {
	t.Helper()
	image, err := random.Image(256, 1)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

func push(t *testing.T, ref string) Descriptor {
	t.Helper()
	return write(t, ref, randomImage(t))
}

// write pushes an image without a HEAD, which not every registry here answers.
func write(t testing.TB, ref string, image v1.Image) Descriptor {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	login, err := findLogin(t.Context(), parsed.Context())
	if err != nil {
		t.Fatal(err)
	}
	pusher, err := remote.NewPusher(remote.WithAuth(authenticator(login)))
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := image.Layers()
	if err != nil {
		t.Fatal(err)
	}
	config, err := partial.ConfigLayer(image)
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range append(blobs, config) {
		if err := pusher.Upload(t.Context(), parsed.Context(), blob); err != nil {
			t.Fatal(err)
		}
	}
	if err := pusher.Put(t.Context(), parsed, image); err != nil {
		t.Fatal(err)
	}
	described, err := partial.Descriptor(image)
	if err != nil {
		t.Fatal(err)
	}
	return Descriptor{Digest: described.Digest.String(), MediaType: string(described.MediaType), Size: described.Size}
}

func TestResolve(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	want := push(t, host+"/acme/go:1")
	second := push(t, host+"/acme/ruby:1")
	requests.take()

	c := New(Config{})
	for _, test := range []struct {
		ref      string
		want     Descriptor
		requests int
	}{
		{host + "/acme/go:1", want, 1},
		{host + "/acme/go:1", want, 1},
		{host + "/acme/go@" + want.Digest, want, 1},
		{host + "/acme/go:1@" + want.Digest, want, 1},
		{host + "/acme/ruby:1", second, 1},
	} {
		got, err := c.Resolve(t.Context(), test.ref)
		if err != nil {
			t.Fatal(err)
		}
		if got != test.want {
			t.Errorf("%s: got %+v, want %+v", test.ref, got, test.want)
		}
		if seen := requests.take(); len(seen) != test.requests {
			t.Errorf("%s: requests %v, want %d", test.ref, seen, test.requests)
		}
	}
}

func TestResolveAll(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	var refs []string
	var want []Descriptor
	for i := range 12 {
		ref := fmt.Sprintf("%s/acme/rt%d:1", host, i)
		refs, want = append(refs, ref), append(want, push(t, ref))
	}
	refs, want = append(refs, refs[3]), append(want, want[3])
	requests.take()

	got, err := release.ResolveAll(t.Context(), New(Config{}), refs)
	if err != nil {
		t.Fatal(err)
	}
	for i, ref := range refs {
		if got[ref] != want[i].Digest {
			t.Errorf("%s: got %v, want %v", ref, got[ref], want[i])
		}
	}
	// One HEAD for each distinct reference, and nothing else.
	if seen := requests.take(); len(seen) != 12 {
		t.Errorf("%d requests, want 12: %v", len(seen), seen)
	}
}

func TestResolveAllReportsEveryFailure(t *testing.T) {
	noCredentials(t)
	host, _ := startServer(t, newRegistry())
	c := New(Config{})
	push(t, host+"/acme/go:1")
	_, err := release.ResolveAll(t.Context(), c, []string{host + "/acme/a:1", host + "/acme/go:1", host + "/acme/b:2", "Not/A:Ref:x"})
	if !errors.Is(err, reference.ErrNotFound) {
		t.Fatalf("error: %v", err)
	}
	mustContain(t, err, "/acme/a:1", "/acme/b:2", "Not/A:Ref:x")
}
