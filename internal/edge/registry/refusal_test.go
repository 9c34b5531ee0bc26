package registry

import (
	"context"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

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
		{404, reference.ErrNotFound, []string{"answered 404 Not Found", "push the image first"}},
		{401, reference.ErrUnauthorized, []string{"answered 401", "credentials: none (anonymous; there is no docker configuration", "docker login "}},
		{403, reference.ErrForbidden, []string{"answered 403", "credentials: none", "docker login ", "access to acme/go"}},
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
			want := push(t, host+"/acme/go:1")
			requests.take()
			broken = true
			got, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
			if err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
			if seen := requests.take(); len(seen) != 2 {
				t.Errorf("requests %v, want a HEAD and a GET", seen)
			}
		})
	}
}

func TestWrongDigestIsAnError(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, registry)
	want := push(t, host+"/acme/go:1")
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
		if !errors.Is(err, reference.ErrUnreachable) {
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
		if !errors.Is(err, reference.ErrUnreachable) {
			t.Fatalf("got %v", err)
		}
		mustContain(t, err, host, "unknown authority", "SSL_CERT_FILE")

		// With the authority trusted, the same server answers.
		_, err = New(Config{Transport: server.Client().Transport}).Resolve(t.Context(), host+"/acme/go:1")
		if !errors.Is(err, reference.ErrNotFound) {
			t.Errorf("with its certificate trusted: %v (certificate:\n%s)", err,
				pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		host, _ := startServer(t, newRegistry())
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := New(Config{}).Resolve(ctx, host+"/acme/go:1")
		if !errors.Is(err, context.Canceled) || errors.Is(err, reference.ErrUnreachable) {
			t.Errorf("got %v", err)
		}
	})
}
