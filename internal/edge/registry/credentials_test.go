package registry

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

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
	if !errors.Is(err, reference.ErrUnauthorized) {
		t.Fatalf("got %v", err)
	}
	mustContain(t, err, "credentials: docker-credential-absent-for-test (named in "+file+")")

	writeConfig(t, home, "{")
	_, err = New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	mustContain(t, err, "reading the credentials", file)
}

// withTokens makes a registry want tokens, which its server gives to the user of
// writeAuth.
func withTokens(registry http.Handler) http.Handler {
	const token = "a-token"
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			if user, password, _ := r.BasicAuth(); user != "user" || password != "pass" {
				w.WriteHeader(401)
				fmt.Fprint(w, `{"errors": [{"code": "UNAUTHORIZED", "message": "who are you?"}]}`)
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
}

func TestBearerToken(t *testing.T) {
	home := noCredentials(t)
	host, requests := startServer(t, withTokens(newRegistry()))

	_, err := New(Config{}).Resolve(t.Context(), host+"/acme/go:1")
	if !errors.Is(err, reference.ErrUnauthorized) {
		t.Fatalf("without credentials: %v", err)
	}
	writeAuth(t, home, host)
	push(t, host+"/acme/go:1")
	push(t, host+"/acme/ruby:1")
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

// Servers that count wrong passwords lock their user out.
func TestWrongPasswordIsTriedOnce(t *testing.T) {
	home := noCredentials(t)
	host, requests := startServer(t, withTokens(newRegistry()))
	writeConfig(t, home, fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, host, encode("user:wrong")))
	c := New(Config{})
	const images = 20
	errs := make([]error, images)
	var all sync.WaitGroup
	for i := range images {
		all.Go(func() { _, errs[i] = c.Resolve(t.Context(), fmt.Sprintf("%s/acme/%d:1", host, i)) })
	}
	all.Wait()
	for _, err := range errs {
		if !errors.Is(err, reference.ErrUnauthorized) {
			t.Fatalf("got %v", err)
		}
		mustContain(t, err, "answered 401", "who are you?")
	}
	tokens := 0
	for _, request := range requests.take() {
		if request == "GET /token" {
			tokens++
		}
	}
	if tokens != 2 {
		t.Errorf("%d requests for a token with a wrong password, want 2: one for a repository, one for none", tokens)
	}
}
