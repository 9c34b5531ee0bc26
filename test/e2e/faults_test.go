//go:build e2e

package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rtbuild/rtbuild/internal/faultproxy"
	"github.com/rtbuild/rtbuild/internal/harness"
)

// releases is how many releases TestFaults runs: RTBUILD_E2E_RELEASES, or 100.
func releases(t *testing.T) int {
	t.Helper()
	text := os.Getenv("RTBUILD_E2E_RELEASES")
	if text == "" {
		return 100
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// Many releases of changing sources through a registry that fails in all
// ways. Whatever happens, a pin is only ever written for a digest that the
// registry serves, a failed release changes no manifest, and one without
// faults completes what the others left.
func TestFaults(t *testing.T) {
	direct := harness.Registry(t, harness.RegistryConfig{})
	anything := regexp.MustCompile(`.`)
	uploads := regexp.MustCompile(`^(PATCH|PUT|POST) .*/blobs/`)
	proxy, err := faultproxy.New(faultproxy.Config{Target: "http://" + direct, Seed: 1, Faults: []faultproxy.Fault{
		{Kind: faultproxy.Status, Route: anything, Rate: 0.04, Status: http.StatusServiceUnavailable},
		{Kind: faultproxy.Status, Route: anything, Rate: 0.02, Status: http.StatusTooManyRequests, Header: http.Header{"Retry-After": {"0"}}},
		{Kind: faultproxy.Reset, Route: anything, Rate: 0.02},
		{Kind: faultproxy.Reset, Route: uploads, Rate: 0.05, Late: true},
		{Kind: faultproxy.Truncate, Route: anything, Rate: 0.02},
		{Kind: faultproxy.Status, Route: regexp.MustCompile(`^PUT .*/manifests/`), Rate: 0.1, Status: http.StatusForbidden},
	}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(func() {
		server.Close()
		proxy.Close()
	})
	host := strings.TrimPrefix(server.URL, "http://")
	root := small(t)
	manifest := filepath.Join(root, "stable/web/web.jsonnet")
	done, failed := 0, 0
	for i := range releases(t) {
		harness.Write(t, filepath.Join(root, "stable/web/Dockerfile.2"), fmt.Sprintf("FROM scratch\nCOPY sh /bin/\nENV RELEASE=%d\n", i))
		before := harness.Read(t, manifest)
		r := harness.Run(t, root, "all", "--push", "--quiet", "--builder", "embedded", "--registry", host)
		for _, digest := range digests.FindAllString(harness.Read(t, manifest), -1) {
			if harness.DigestAt(t, direct+"/acme/web"+digest) == "" {
				t.Fatalf("release %d, exit %d: the manifest has %s, and the registry does not\n%s", i, r.Code, digest, harness.Tail(r.Stderr))
			}
		}
		switch {
		case r.Code == 0:
			done++
		case harness.Read(t, manifest) != before:
			t.Fatalf("release %d failed and changed the manifest\n%s", i, harness.Tail(r.Stderr))
		default:
			failed++
		}
	}
	t.Logf("%d releases done, %d failed", done, failed)
	if done == 0 || failed == 0 {
		t.Errorf("%d releases done and %d failed: the faults are no test", done, failed)
	}
	harness.Want(t, 0, root, "all", "--push", "--quiet", "--builder", "embedded", "--registry", direct)
	for _, version := range []string{"1", "2"} {
		image := direct + "/acme/web:" + version
		if digest := harness.DigestAt(t, image); digest == "" || !strings.Contains(harness.Read(t, manifest), digest) {
			t.Errorf("%s is %s, and the manifest has another", image, digest)
		}
	}
}
