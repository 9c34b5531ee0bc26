package registry

import (
	"context"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/rtbuild/rtbuild/pkg/reference"
)

// insecureHosts are the hosts that may be spoken to over plain HTTP, besides
// loopback.
type insecureHosts map[string]bool

func newInsecureHosts(hosts []string) insecureHosts {
	set := insecureHosts{}
	for _, host := range hosts {
		set[strings.ToLower(host)] = true
	}
	return set
}

// allow tells whether plain HTTP to host (HOST or HOST:PORT) is allowed.
func (h insecureHosts) allow(host string) bool {
	host = strings.ToLower(host)
	bare := reference.HostWithoutPort(host)
	return h[host] || h[bare] || reference.IsLoopback(bare)
}

// A plainHTTPError is a request over plain HTTP to a host where that is not
// allowed.
type plainHTTPError struct{ host string }

func (e *plainHTTPError) Error() string {
	return fmt.Sprintf("plain HTTP to %s is not allowed", e.host)
}

// registryTransport refuses plain HTTP where it is not allowed, hands on what a
// registry's answers say of what it wants to be shown, and takes parameters from
// media types ("; charset=utf-8", as proxies before registries add them): the
// library compares the types of manifests with those of images and indexes.
type registryTransport struct {
	inner    http.RoundTripper
	insecure insecureHosts
	learn    func(*http.Request, *http.Response)
}

// RoundTrip implements http.RoundTripper.
func (t *registryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !t.insecure.allow(req.URL.Host) {
		closeBody(req)
		return nil, &plainHTTPError{host: req.URL.Host}
	}
	resp, err := t.inner.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	t.learn(req, resp)
	if kind, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && len(parameters) > 0 {
		resp.Header.Set("Content-Type", kind)
	}
	return resp, nil
}

// schemeTransport speaks to a registry over the scheme on which it answers: the
// library goes by the host's name.
type schemeTransport struct {
	inner  http.RoundTripper
	host   string
	scheme string
}

// RoundTrip implements http.RoundTripper.
func (t *schemeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Host == t.host && req.URL.Scheme != t.scheme {
		req = req.Clone(req.Context())
		req.URL.Scheme = t.scheme
	}
	return t.inner.RoundTrip(req)
}

// schemeWait bounds the question whether a host that may be spoken to over
// plain HTTP speaks HTTPS. It is what the library gives HTTPS before it tries
// the other as well.
const schemeWait = 300 * time.Millisecond

// scheme is the one on which a registry answers, if that is certain: HTTPS where
// nothing else is allowed, and plain HTTP where it answers in it though HTTPS was
// expected.
func (c *Client) scheme(ctx context.Context, registry name.Registry) (scheme string, certain bool) {
	host := registry.RegistryStr()
	if registry.Scheme() == "https" {
		return "https", true
	}
	if !c.insecure.allow(host) {
		return "", false
	}
	plain, err := c.plain.get(ctx, host, func() (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, schemeWait)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
		if err != nil {
			return false, err
		}
		resp, err := (&http.Client{Transport: c.transport}).Do(req)
		if err == nil {
			_ = resp.Body.Close()
		}
		return errors.Is(err, http.ErrSchemeMismatch), nil
	})
	return "http", err == nil && plain
}
