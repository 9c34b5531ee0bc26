package registry

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// tokensFor is a registry that wants a token for everything but public
// repositories and gives one to everybody.
func tokensFor(registry http.Handler, public string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			fmt.Fprint(w, `{"token": "for-everybody"}`)
		case r.Header.Get("Authorization") == "Bearer for-everybody", public != "" && strings.HasPrefix(r.URL.Path, "/v2/"+public+"/"):
			registry.ServeHTTP(w, r)
		default:
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="http://%s/token",service="test"`, r.Host))
			w.WriteHeader(http.StatusUnauthorized)
		}
	})
}

// What a Client without credentials asks, reference by reference.
func TestHeadComesFirst(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, registry)
	push(t, host+"/acme/go:1")
	push(t, host+"/acme/ruby:1")
	const (
		goHead, rubyHead = "HEAD /v2/acme/go/manifests/1", "HEAD /v2/acme/ruby/manifests/1"
		absentHead       = "HEAD /v2/acme/go/manifests/absent"
		check, token     = "GET /v2/", "GET /token"
	)
	type question struct {
		ref  string
		want []string
	}
	for name, test := range map[string]struct {
		registry  http.Handler
		questions []question
	}{
		"open": {registry, []question{
			{"/acme/go:1", []string{goHead}},
			{"/acme/ruby:1", []string{rubyHead}},
			// That nothing is there may be said to strangers alone.
			{"/acme/go:absent", []string{absentHead, check}},
			{"/acme/go:absent", []string{absentHead}},
		}},
		"a token for everybody": {tokensFor(registry, ""), []question{
			// The refusal says what the version check would have said.
			{"/acme/go:1", []string{goHead, token, goHead}},
			{"/acme/go:1", []string{goHead}},
			{"/acme/ruby:1", []string{token, rubyHead}},
		}},
		"a token for one repository": {tokensFor(registry, "acme/go"), []question{
			{"/acme/go:1", []string{goHead}},
			{"/acme/ruby:1", []string{rubyHead, token, rubyHead}},
			{"/acme/go:1", []string{goHead}},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			host, requests := startServer(t, test.registry)
			c := New(Config{})
			for _, q := range test.questions {
				_, err := c.Resolve(t.Context(), host+q.ref)
				if missing := strings.HasSuffix(q.ref, "absent"); missing != errors.Is(err, reference.ErrNotFound) || !missing && err != nil {
					t.Fatalf("%s: %v", q.ref, err)
				}
				if got := requests.take(); !slices.Equal(got, q.want) {
					t.Errorf("%s: requests %v, want %v", q.ref, got, q.want)
				}
			}
		})
	}
}

// A private image's 404 is not the last word while there is a token to get.
func TestHiddenFromStrangers(t *testing.T) {
	noCredentials(t)
	registry := newRegistry()
	host, _ := startServer(t, registry)
	want := push(t, host+"/acme/go:1")
	guarded := tokensFor(registry, "")
	host, _ = startServer(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/manifests/") && r.Header.Get("Authorization") == "" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		guarded.ServeHTTP(w, r)
	}))
	if got, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1"); err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

// With credentials the version check comes first: the HEAD would be in vain.
func TestCredentialsAreAskedForFirst(t *testing.T) {
	home := noCredentials(t)
	registry := newRegistry()
	host, requests := startServer(t, registry)
	push(t, host+"/acme/go:1")
	requests.take()
	writeAuth(t, home, host)
	if _, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1"); err != nil {
		t.Fatal(err)
	}
	if got, want := requests.take(), []string{"GET /v2/", "HEAD /v2/acme/go/manifests/1"}; !slices.Equal(got, want) {
		t.Errorf("requests %v, want %v", got, want)
	}
}

// A loopback registry that speaks HTTPS is never asked in plain HTTP.
func TestEarlyKeepsToHTTPS(t *testing.T) {
	noCredentials(t)
	server := httptest.NewTLSServer(newRegistry())
	defer server.Close()
	var plain atomic.Int32
	c := New(Config{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.URL.Scheme == "http" {
			plain.Add(1)
		}
		return server.Client().Transport.RoundTrip(req)
	})})
	ref := strings.TrimPrefix(server.URL, "https://") + "/acme/go:1"
	if _, err := c.Resolve(t.Context(), ref); !errors.Is(err, reference.ErrNotFound) {
		t.Errorf("got %v, want not found", err)
	}
	if n := plain.Load(); n > 0 {
		t.Errorf("%d requests in plain HTTP", n)
	}
}
