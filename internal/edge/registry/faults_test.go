package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/rtbuild/rtbuild/internal/faultproxy"
	"github.com/rtbuild/rtbuild/internal/registryserver"
	"github.com/rtbuild/rtbuild/pkg/reference"
)

// startProxy puts a fault proxy in front of the registry at address.
func startProxy(t testing.TB, address string, cfg faultproxy.Config) (proxy *faultproxy.Proxy, host string) {
	t.Helper()
	cfg.Target = "http://" + address
	proxy, err := faultproxy.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	server := httptest.NewUnstartedServer(proxy)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return proxy, strings.TrimPrefix(server.URL, "http://")
}

// served asks the registry itself what it serves for a tag or digest.
func served(ctx context.Context, address, repository, tagOrDigest string) (string, error) {
	url := fmt.Sprintf("http://%s/v2/%s/manifests/%s", address, repository, tagOrDigest)
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return "", err
	}
	req.Header.Set("Accept", "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return "", errors.New(resp.Status)
	}
	return resp.Header.Get("Docker-Content-Digest"), nil
}

// everyFault is all that goes wrong between client and registry, at a rate
// each.
func everyFault(rate float64) []faultproxy.Fault {
	manifests := regexp.MustCompile(`^(GET|HEAD|PUT) /v2/.+/manifests/`)
	blobs := regexp.MustCompile(`^GET /v2/.+/blobs/`)
	return []faultproxy.Fault{
		{Kind: faultproxy.Status, Status: 429, Header: http.Header{"Retry-After": {"0"}}, Rate: rate},
		{Kind: faultproxy.Status, Status: 500, Route: manifests, Rate: rate},
		{Kind: faultproxy.Status, Status: 502, Route: blobs, Rate: 5 * rate},
		{Kind: faultproxy.Status, Status: 503, Late: true, Rate: rate},
		{Kind: faultproxy.Reset, Rate: rate},
		{Kind: faultproxy.Reset, Late: true, Route: blobs, Rate: 5 * rate},
		{Kind: faultproxy.Reset, Late: true, Route: manifests, Rate: rate},
		{Kind: faultproxy.Truncate, Rate: rate},
		{Kind: faultproxy.Slow, Delay: 100 * time.Microsecond, Rate: rate},
	}
}

// A faultRun does operations through a proxy, and checks each success with
// the registry behind it.
type faultRun struct {
	t       *testing.T
	client  *Client
	address string // the registry's
	host    string // the proxy's
	all     bool   // every operation must succeed

	succeeded, failed atomic.Int32
}

// check counts an operation. One that succeeded must have left digest under
// each of names.
func (r *faultRun) check(doing, repository, digest string, err error, names ...string) bool {
	if err != nil {
		if errors.Is(err, reference.ErrNotFound) || errors.Is(err, reference.ErrUnauthorized) || errors.Is(err, reference.ErrForbidden) {
			r.t.Errorf("%s: a fault that may pass was taken for an answer: %v", doing, err)
		}
		if r.all {
			r.t.Errorf("%s: %v", doing, err)
		}
		r.failed.Add(1)
		return false
	}
	r.succeeded.Add(1)
	for _, name := range names {
		if got, err := served(r.t.Context(), r.address, repository, name); err != nil || got != digest {
			r.t.Errorf("%s: reported %s; the registry serves %q for %s: %v", doing, digest, got, name, err)
		}
	}
	return true
}

// release does to one repository what a release does after the engine has pushed:
// tag, resolve, inspect.
func (r *faultRun) release(n int, image v1.Image) {
	ctx := r.t.Context()
	repository := fmt.Sprintf("acme/rt%d", n%10)
	content, version := fmt.Sprintf("c%d", n), fmt.Sprintf("v%d", n)
	base := r.host + "/" + repository
	pushed := write(r.t, r.address+"/"+repository+":"+content, image)
	err := r.client.Tag(ctx, base+":"+version, pushed.Digest)
	if !r.check("tag", repository, pushed.Digest, err, version) {
		return
	}
	resolved, err := r.client.Resolve(ctx, base+":"+version)
	if r.check("resolve", repository, resolved.Digest, err, version, resolved.Digest) && resolved != pushed {
		r.t.Errorf("resolved %+v, pushed %+v", resolved, pushed)
	}
	inspected, err := r.client.Inspect(ctx, base+"@"+pushed.Digest)
	if r.check("inspect", repository, pushed.Digest, err, pushed.Digest) && len(inspected.Platforms) == 0 {
		r.t.Errorf("inspected %+v", inspected)
	}
}

// TestThroughFaults does hundreds of operations while everything goes wrong
// that may: what is reported must be what the registry serves.
func TestThroughFaults(t *testing.T) {
	noCredentials(t)
	registry, err := registryserver.Start(t.Context(), registryserver.Config{Root: t.TempDir(), Address: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := registry.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, test := range []struct {
		name    string
		rate    float64
		retries int
		// all tells whether every operation must succeed, or some must and
		// some must not.
		all bool
	}{
		{name: "retries win", rate: 0.02, retries: 12, all: true},
		{name: "retries run out", rate: 0.07, retries: 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			proxy, host := startProxy(t, registry.Address(), faultproxy.Config{Seed: 7, Faults: everyFault(test.rate)})
			run := &faultRun{t: t, address: registry.Address(), host: host, all: test.all,
				client: New(Config{Retries: test.retries, RetryBase: time.Millisecond})}
			const releases, jobs = 40, 8
			images := make([]v1.Image, releases)
			for n := range images {
				images[n] = platformImage(t, "amd64", nil)
			}
			queue := make(chan int)
			var group sync.WaitGroup
			for range jobs {
				group.Go(func() {
					for n := range queue {
						run.release(n, images[n])
					}
				})
			}
			for n := range images {
				queue <- n
			}
			close(queue)
			group.Wait()

			succeeded, failed := run.succeeded.Load(), run.failed.Load()
			t.Logf("%d operations succeeded, %d failed; %d requests", succeeded, failed, proxy.Count(nil))
			if test.all && failed > 0 || !test.all && (failed == 0 || succeeded == 0) {
				t.Errorf("%d operations succeeded, %d failed", succeeded, failed)
			}
			for i, fault := range everyFault(test.rate) {
				if proxy.Injected(i) == 0 {
					t.Errorf("fault %+v was never injected", fault)
				}
			}
		})
	}
}
