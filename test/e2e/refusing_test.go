//go:build e2e

package e2e

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
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
