package registry

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/random"

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

func push(t *testing.T, c *Client, ref string) Descriptor {
	t.Helper()
	desc, written, err := c.Push(t.Context(), ref, randomImage(t))
	if err != nil {
		t.Fatal(err)
	}
	if !written {
		t.Fatalf("%s: not written", ref)
	}
	return desc
}

func TestResolve(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	want := push(t, New(Config{}), host+"/acme/go:1")
	second := push(t, New(Config{}), host+"/acme/ruby:1")
	requests.take()

	c := New(Config{})
	for _, test := range []struct {
		ref      string
		want     Descriptor
		requests int
	}{
		{host + "/acme/go:1", want, 2},
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

func TestPushSkipsWhatIsThere(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	c := New(Config{})
	image := randomImage(t)
	for _, want := range []bool{true, false} {
		_, written, err := c.Push(t.Context(), host+"/acme/go:1", image)
		if err != nil {
			t.Fatal(err)
		}
		if written != want {
			t.Errorf("written = %v, want %v", written, want)
		}
		seen := requests.take()
		if !want && len(seen) != 1 {
			t.Errorf("requests for an image that is there: %v, want one HEAD", seen)
		}
	}
	// A tag that stands for another image moves.
	moved := push(t, c, host+"/acme/go:1")
	got, err := c.Resolve(t.Context(), host+"/acme/go:1")
	if err != nil {
		t.Fatal(err)
	}
	if got != moved {
		t.Errorf("after moving the tag: got %v, want %v", got, moved)
	}
}

func TestResolveAll(t *testing.T) {
	noCredentials(t)
	host, requests := startServer(t, newRegistry())
	pusher := New(Config{})
	var refs []string
	var want []Descriptor
	for i := range 12 {
		ref := fmt.Sprintf("%s/acme/rt%d:1", host, i)
		refs, want = append(refs, ref), append(want, push(t, pusher, ref))
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
	// One version check for the host, one HEAD for each distinct reference.
	if seen := requests.take(); len(seen) != 1+12 {
		t.Errorf("%d requests, want 13: %v", len(seen), seen)
	}
}

func TestResolveAllReportsEveryFailure(t *testing.T) {
	noCredentials(t)
	host, _ := startServer(t, newRegistry())
	c := New(Config{})
	push(t, c, host+"/acme/go:1")
	_, err := release.ResolveAll(t.Context(), c, []string{host + "/acme/a:1", host + "/acme/go:1", host + "/acme/b:2", "Not/A:Ref:x"})
	if !errors.Is(err, release.ErrNotFound) {
		t.Fatalf("error: %v", err)
	}
	mustContain(t, err, "/acme/a:1", "/acme/b:2", "Not/A:Ref:x")
}

func mustContain(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not say %q:\n%v", part, err)
		}
	}
}

// answering is a registry that lets everybody in and answers every manifest
// request with status.
func answering(status int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/" {
			return
		}
		w.WriteHeader(status)
	})
}

func TestRefusals(t *testing.T) {
	home := noCredentials(t)
	for _, test := range []struct {
		status int
		want   error
		says   []string
	}{
		{404, release.ErrNotFound, []string{"answered 404 Not Found", "push the image first"}},
		{401, release.ErrUnauthorized, []string{"answered 401", "credentials: none (anonymous; there is no docker configuration", "docker login "}},
		{403, release.ErrForbidden, []string{"answered 403", "credentials: none", "docker login ", "access to acme/go"}},
	} {
		host, _ := startServer(t, answering(test.status))
		ref := host + "/acme/go:1"
		_, err := New(Config{}).Resolve(t.Context(), ref)
		if !errors.Is(err, test.want) {
			t.Fatalf("%d: got %v, want %v", test.status, err, test.want)
		}
		mustContain(t, err, append(test.says, ref, host)...)
	}

	t.Run("credentials from the docker configuration", func(t *testing.T) {
		host, _ := startServer(t, answering(403))
		file := writeAuth(t, home, host)
		_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
		mustContain(t, err, "credentials: "+file+";")
		_, err = New(Config{}).Resolve(t.Context(), strings.Replace(host, "127.0.0.1", "localhost", 1)+"/acme/go:1")
		mustContain(t, err, file+" has no entry for localhost")
	})
	t.Run("a pushed layer", func(t *testing.T) {
		host, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/v2/":
			case r.Method == http.MethodHead:
				w.WriteHeader(404)
			default:
				w.WriteHeader(403)
			}
		}))
		_, _, err := New(Config{}).Push(t.Context(), host+"/acme/go:1", randomImage(t))
		if !errors.Is(err, release.ErrForbidden) {
			t.Fatalf("got %v", err)
		}
		mustContain(t, err, "pushing "+host+"/acme/go:1")
	})
}

// writeAuth stores user:pass for host in the docker configuration of home.
func writeAuth(t *testing.T, home, host string) string {
	t.Helper()
	return writeConfig(t, home, fmt.Sprintf(`{"auths": {%q: {"auth": "dXNlcjpwYXNz"}}}`, host))
}

func writeConfig(t *testing.T, home, content string) string {
	t.Helper()
	file := filepath.Join(home, ".docker", "config.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestCredentialHelpers(t *testing.T) {
	home := noCredentials(t)
	host, _ := startServer(t, answering(401))

	file := writeConfig(t, home, fmt.Sprintf(`{"credHelpers": {%q: "absent-for-test"}}`, host))
	_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	if err == nil {
		t.Fatal("no error though the credential helper is missing")
	}
	mustContain(t, err, "reading the credentials for "+host, file, "docker-credential-absent-for-test")

	bin := t.TempDir()
	helper := "#!/bin/sh\necho '{\"Username\": \"user\", \"Secret\": \"pass\"}'\n"
	if err := os.WriteFile(filepath.Join(bin, "docker-credential-absent-for-test"), []byte(helper), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	_, err = New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	if !errors.Is(err, release.ErrUnauthorized) {
		t.Fatalf("got %v", err)
	}
	mustContain(t, err, "credentials: docker-credential-absent-for-test (named in "+file+")")

	writeConfig(t, home, "{")
	_, err = New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	mustContain(t, err, "reading the credentials", file)
}

func TestBearerToken(t *testing.T) {
	home := noCredentials(t)
	const token = "a-token"
	registry := newRegistry()
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if user, password, _ := r.BasicAuth(); user != "user" || password != "pass" {
				w.WriteHeader(401)
				return
			}
			fmt.Fprintf(w, `{"token": %q}`, token)
			return
		}
		if r.Header.Get("Authorization") != "Bearer "+token {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(401)
			return
		}
		registry.ServeHTTP(w, r)
	})
	host, requests := startServer(t, handler)

	_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	if !errors.Is(err, release.ErrUnauthorized) {
		t.Fatalf("without credentials: %v", err)
	}
	writeAuth(t, home, host)
	push(t, New(Config{}), host+"/acme/go:1")
	push(t, New(Config{}), host+"/acme/ruby:1")
	requests.take()

	c := New(Config{})
	for _, test := range []struct {
		ref  string
		want []string
	}{
		{"/acme/go:1", []string{"GET /v2/", "GET /token", "HEAD /v2/acme/go/manifests/1"}},
		{"/acme/go:1", []string{"HEAD /v2/acme/go/manifests/1"}},
		{"/acme/ruby:1", []string{"GET /token", "HEAD /v2/acme/ruby/manifests/1"}},
	} {
		if _, err := c.Resolve(t.Context(), host+test.ref); err != nil {
			t.Fatal(err)
		}
		if got := requests.take(); strings.Join(got, ", ") != strings.Join(test.want, ", ") {
			t.Errorf("%s: requests %v, want %v", test.ref, got, test.want)
		}
	}
}

func TestHeadThatIsNotEnough(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	for name, head := range map[string]http.HandlerFunc{
		"no digest": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
			w.Header().Set("Content-Length", "7")
		},
		"not allowed": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(405) },
	} {
		t.Run(name, func(t *testing.T) {
			broken := false
			host, requests := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if broken && r.Method == http.MethodHead {
					head(w, r)
					return
				}
				registry.ServeHTTP(w, r)
			}))
			want := push(t, New(Config{}), host+"/acme/go:1")
			requests.take()
			broken = true
			got, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if seen := requests.take(); len(seen) != 3 {
				t.Errorf("requests %v, want a version check, a HEAD and a GET", seen)
			}
		})
	}
}

func TestWrongDigestIsAnError(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, registry)
	want := push(t, New(Config{}), host+"/acme/go:1")
	lying, _ := startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Whatever digest is asked for, the manifest is that of tag 1.
		if strings.Contains(r.URL.Path, "/manifests/") {
			r.URL.Path = "/v2/acme/go/manifests/1"
		}
		registry.ServeHTTP(w, r)
	}))
	other := "sha256:" + strings.Repeat("0", 64)
	got, err := New(Config{}).Resolve(t.Context(), lying+"/acme/go@"+other)
	if err == nil {
		t.Fatalf("got %v for %s", got, other)
	}
	mustContain(t, err, want.Digest, other)
}

func TestUnreachable(t *testing.T) {
	noCredentials(t)
	t.Run("connection refused", func(t *testing.T) {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		host := listener.Addr().String()
		listener.Close()
		_, err = New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
		if !errors.Is(err, release.ErrUnreachable) {
			t.Fatalf("got %v", err)
		}
		mustContain(t, err, host+"/acme/go:1", "connection refused", "check the host and port")
	})
	t.Run("certificate of an unknown authority", func(t *testing.T) {
		server := httptest.NewUnstartedServer(newRegistry())
		server.Config.ErrorLog = log.New(io.Discard, "", 0)
		server.StartTLS()
		defer server.Close()
		host := strings.TrimPrefix(server.URL, "https://")
		_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
		if !errors.Is(err, release.ErrUnreachable) {
			t.Fatalf("got %v", err)
		}
		mustContain(t, err, host, "unknown authority", "SSL_CERT_FILE")

		// With the authority trusted, the same server answers.
		_, err = New(Config{Transport: server.Client().Transport}).Resolve(t.Context(), host+"/acme/go:1")
		if !errors.Is(err, release.ErrNotFound) {
			t.Errorf("with its certificate trusted: %v (certificate:\n%s)", err,
				pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		host, _ := startServer(t, newRegistry())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := New(Config{}).Resolve(ctx, host+"/acme/go:1")
		if !errors.Is(err, context.Canceled) || errors.Is(err, release.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}

// rewire sends every connection to one server, whatever the host.
func rewire(server string) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, server)
	}}
}

func TestPlainHTTP(t *testing.T) {
	noCredentials(t)
	server, requests := startServer(t, newRegistry())
	for _, test := range []struct {
		host     string
		insecure []string
		allowed  bool
	}{
		{host: "127.0.0.1:5000", allowed: true},
		{host: "127.8.8.8:5000", allowed: true},
		{host: "[::1]:5000", allowed: true},
		{host: "localhost:5000", allowed: true},
		{host: "registry.example:5000"},
		{host: "registry.example", insecure: []string{"other.example"}},
		{host: "registry.example:5000", insecure: []string{"registry.example"}, allowed: true},
		{host: "registry.example:5000", insecure: []string{"registry.example:5000"}, allowed: true},
		{host: "registry.example:5000", insecure: []string{"registry.example:5001"}},
		// The library would try plain HTTP for these by itself.
		{host: "10.0.0.1:5000"},
		{host: "192.168.1.1:5000"},
		{host: "10.0.0.1:5000", insecure: []string{"10.0.0.1"}, allowed: true},
		{host: "registry.localhost:5000"},
	} {
		t.Run(test.host+" "+strings.Join(test.insecure, ","), func(t *testing.T) {
			requests.take()
			c := New(Config{Insecure: test.insecure, Transport: rewire(server)})
			_, err := c.Resolve(t.Context(), test.host+"/acme/go:1")
			if test.allowed {
				if !errors.Is(err, release.ErrNotFound) {
					t.Errorf("got %v, want not found", err)
				}
				return
			}
			if !errors.Is(err, release.ErrUnreachable) {
				t.Fatalf("got %v, want unreachable", err)
			}
			mustContain(t, err, "list it as an insecure registry")
			if seen := requests.take(); len(seen) > 0 {
				t.Errorf("requests over plain HTTP: %v", seen)
			}
		})
	}
}
