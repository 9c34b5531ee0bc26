//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/harness"
)

// refusing serves the registry protocol up to the point where an image is
// uploaded, which it refuses with a status.
func refusing(t *testing.T, status int) string {
	t.Helper()
	codes := map[int]string{401: "UNAUTHORIZED", 403: "DENIED", 404: "NAME_UNKNOWN"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/v2/" && status != http.StatusUnauthorized:
			w.WriteHeader(http.StatusOK)
		case r.Method == http.MethodHead && status != http.StatusUnauthorized:
			w.WriteHeader(http.StatusNotFound)
		default:
			if status == http.StatusUnauthorized {
				w.Header().Set("Www-Authenticate", `Basic realm="registry"`)
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"errors":[{"code":"` + codes[status] + `","message":"refused"}]}`))
		}
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// secretive is a registry with a password that answers 403 for what does not
// exist, and 400 for every HEAD of a manifest, and is otherwise the one at host.
func secretive(t *testing.T, host string) string {
	t.Helper()
	upstream := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: host})
	upstream.ModifyResponse = func(resp *http.Response) error {
		manifest := strings.Contains(resp.Request.URL.Path, "/manifests/")
		switch {
		case manifest && resp.Request.Method == http.MethodHead:
			resp.StatusCode = http.StatusBadRequest
		case manifest && resp.StatusCode == http.StatusNotFound:
			resp.StatusCode = http.StatusForbidden
		}
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "bot" || password != "secret" {
			w.Header().Set("Www-Authenticate", `Basic realm="registry"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		upstream.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://")
}

// A first release, and one that finds all of it there, at such a registry.
func TestSecretiveRegistry(t *testing.T) {
	open := harness.Registry(t, harness.RegistryConfig{})
	host := secretive(t, open)
	docker := t.TempDir()
	harness.Write(t, filepath.Join(docker, "config.json"), fmt.Sprintf(`{"auths": {%q: {"auth": "Ym90OnNlY3JldA=="}}}`, host))
	t.Setenv("DOCKER_CONFIG", docker)
	root := small(t)
	for _, status := range []string{"built", "fresh"} {
		report := filepath.Join(t.TempDir(), "report.json")
		harness.Want(t, 0, root, "all", "--push", "--builder", "embedded", "--registry", host+"/new", "--mirror", "docker.io="+open, "--report", report)
		for name, got := range statuses(t, report) {
			if got != status {
				t.Errorf("%s: %s, want %s", name, got, status)
			}
		}
	}
	harness.Want(t, 0, root, "pin", "--check", "--registry", host+"/new")
	harness.Want(t, 0, root, "audit", "--registry", host+"/new", "--mirror", "docker.io="+open)
}
