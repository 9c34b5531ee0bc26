//go:build e2e && linux

package engine

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/internal/harness"
	"github.com/rtbuild/rtbuild/pkg/build"
)

// A weakRegistry passes requests on to a registry, but the first few of those
// that upload something fail.
type weakRegistry struct {
	address string
	// failed counts the requests that failed.
	failed atomic.Int64
}

// A weakness is how a weakRegistry fails.
type weakness struct {
	// part is in the paths of the requests that fail: "/blobs/uploads/" or
	// "/manifests/".
	part string
	// times is how many requests fail; negative for all.
	times int64
	// status is the answer; 0 resets the connection instead.
	status int
}

func weaken(t *testing.T, registry string, w weakness) *weakRegistry {
	t.Helper()
	r := &weakRegistry{}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(&url.URL{Scheme: "http", Host: registry})
		p.Out.Host = p.In.Host // for the addresses of uploads
	}}
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, req *http.Request) {
		uploads := req.Method != http.MethodGet && req.Method != http.MethodHead
		if !uploads || !strings.Contains(req.URL.Path, w.part) {
			proxy.ServeHTTP(out, req)
			return
		}
		if n := r.failed.Add(1); w.times >= 0 && n > w.times {
			r.failed.Add(-1)
			proxy.ServeHTTP(out, req)
			return
		}
		if w.status != 0 {
			http.Error(out, "failing as told", w.status)
			return
		}
		reset(t, out)
	}))
	t.Cleanup(server.Close)
	r.address = server.Listener.Addr().String()
	return r
}

// reset ends a connection as a crashing server does.
func reset(t *testing.T, out http.ResponseWriter) {
	conn, _, err := http.NewResponseController(out).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	if err := errors.Join(conn.(*net.TCPConn).SetLinger(0), conn.Close()); err != nil {
		t.Error(err)
	}
}

// pushRequest makes a request with a layer that the registry does not have.
func (b bench) pushRequest(t *testing.T, registry string) build.Request {
	t.Helper()
	b.registry = registry
	t.Cleanup(func() { b.sweep(t, registry+"/test/") })
	req := b.request(t, "weak-"+strings.ToLower(fresh()), map[string]string{"Dockerfile": "FROM scratch\nCOPY mark /mark\n", "mark": fresh()})
	req.Push = true
	return req
}

// withoutWaits opens another builder, which tries pushes again at once.
func (b bench) withoutWaits(t *testing.T) bench {
	t.Helper()
	b.builder = openBuilder(t, b.choice)
	b.builder.retry.first = time.Millisecond
	return b
}

// A push comes to its end if the registry recovers in time. The numbers are
// above what engines overcome by themselves in at least one place each:
// BuildKit repeats 429 5 times at once and a 5xx or a reset 8 times in 7
// seconds, Docker's engine a layer 5 times in 50 seconds and a manifest never.
func testPushRecovers(t *testing.T, b bench) {
	b = b.withoutWaits(t)
	tests := []struct {
		name string
		weakness
	}{
		{"too many requests", weakness{"/manifests/", 12, http.StatusTooManyRequests}},
		{"time-out", weakness{"/manifests/", 3, http.StatusRequestTimeout}},
		{"unavailable", weakness{"/manifests/", 3, http.StatusServiceUnavailable}},
		{"unavailable for layers", weakness{"/blobs/uploads/", 1, http.StatusServiceUnavailable}},
		{"reset", weakness{"/manifests/", 3, 0}},
	}
	if b.choice == "docker" {
		tests[0].times = 4 // it sends no request twice
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			weak := weaken(t, b.registry, test.weakness)
			req := b.pushRequest(t, weak.address)
			result, err := b.builder.Build(t.Context(), req)
			if err != nil {
				t.Fatalf("Build = %v", err)
			}
			if got := harness.DigestAt(t, req.References[0]); got != result.Digest {
				t.Errorf("digest = %s, the registry has %s", result.Digest, got)
			}
			if got := weak.failed.Load(); got != test.times {
				t.Errorf("%d requests failed, want %d", got, test.times)
			}
			if result.Cached {
				t.Error("the build says that it was cached: so was only its repetition")
			}
		})
	}
}

// A push to a registry that stays broken ends, one that is not allowed ends at
// once; the errors name the reference, the registry and the next step.
func testPushFails(t *testing.T, b bench) {
	b = b.withoutWaits(t)
	tests := []struct {
		name string
		weakness
		want string
		// most is how many requests there may be at most.
		most int64
	}{
		{"too many requests", weakness{"/manifests/", -1, http.StatusTooManyRequests}, "try again later", 5 * 6},
		{"unavailable", weakness{"/manifests/", -1, http.StatusBadGateway}, "try again later", 2 * 8},
		{"reset", weakness{"/manifests/", -1, 0}, "try again later", 2 * 4 * 6},
		{"forbidden", weakness{"/blobs/uploads/", -1, http.StatusForbidden}, "docker login", 2},
		{"no login", weakness{"/blobs/uploads/", -1, http.StatusUnauthorized}, "docker login", 4},
		{"bad request", weakness{"/manifests/", -1, http.StatusBadRequest}, "400", 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			weak := weaken(t, b.registry, test.weakness)
			req := b.pushRequest(t, weak.address)
			_, err := b.builder.Build(t.Context(), req)
			var push *pushError
			if !errors.As(err, &push) {
				t.Fatalf("Build = %T %v, want a pushError", err, err)
			}
			t.Logf("%d requests failed: %v", weak.failed.Load(), err)
			for _, want := range []string{req.References[0], weak.address, test.want} {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if got := weak.failed.Load(); got > test.most {
				t.Errorf("%d requests, want %d at most", got, test.most)
			}
		})
	}
}
