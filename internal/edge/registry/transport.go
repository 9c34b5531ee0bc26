package registry

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"

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

// errOtherScheme answers a version check for a scheme when the host has
// answered on the other one.
var errOtherScheme = errors.New("the registry answers on another scheme")

// registryTransport refuses plain HTTP where it is not allowed, and answers a
// registry's version check from memory once it succeeded: the library checks
// again for each repository, over HTTPS and then HTTP, though the answer is
// the host's.
type registryTransport struct {
	inner    http.RoundTripper
	insecure insecureHosts

	mu    sync.Mutex
	hosts map[string]*hostCheck
}

// hostCheck is what is known of one host's version check.
type hostCheck struct {
	// turn holds a token per scheme for who may ask: the others wait, so that
	// many repositories resolved at once cause one check, not many.
	turn map[string]chan struct{}

	mu     sync.Mutex
	scheme string // "" until answered
	status int
	header http.Header
	failed map[string]failedCheck // by scheme
}

// failedCheck is the last failure of a version check. Those who waited for
// their turn meanwhile take it for theirs: the check was tried again and again
// already, and each of them would do the same, one after the other.
type failedCheck struct {
	count  int
	err    error
	status int // if err is nil
	header http.Header
}

func newRegistryTransport(inner http.RoundTripper, insecure insecureHosts) *registryTransport {
	return &registryTransport{inner: inner, insecure: insecure, hosts: map[string]*hostCheck{}}
}

// RoundTrip implements http.RoundTripper.
func (t *registryTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "http" && !t.insecure.allow(req.URL.Host) {
		return nil, &plainHTTPError{host: req.URL.Host}
	}
	// With a login it asks about that one.
	if req.Method != http.MethodGet || req.URL.Path != "/v2/" || req.Header.Get("Authorization") != "" {
		resp, err := t.inner.RoundTrip(req)
		if err == nil && strings.HasPrefix(req.URL.Path, "/v2/") && isChallenge(resp) {
			// It is what the version check would have said.
			t.host(req.URL.Host).remember(req.URL.Scheme, resp, nil)
		}
		return resp, err
	}
	check := t.host(req.URL.Host)
	turn, ok := check.turn[req.URL.Scheme]
	if !ok {
		return t.inner.RoundTrip(req)
	}
	before := check.failure(req.URL.Scheme).count
	select {
	case turn <- struct{}{}:
		defer func() { <-turn }()
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	if resp, err := check.recall(req); resp != nil || err != nil {
		return resp, err
	}
	if failed := check.failure(req.URL.Scheme); failed.count > before {
		if failed.err != nil {
			return nil, failed.err
		}
		return answer(req, failed.status, failed.header), nil
	}
	resp, err := t.inner.RoundTrip(req)
	if req.Context().Err() == nil {
		check.remember(req.URL.Scheme, resp, err)
	}
	return resp, err
}

func (t *registryTransport) host(host string) *hostCheck {
	t.mu.Lock()
	defer t.mu.Unlock()
	check, ok := t.hosts[host]
	if !ok {
		check = &hostCheck{turn: map[string]chan struct{}{
			"http":  make(chan struct{}, 1),
			"https": make(chan struct{}, 1),
		}, failed: map[string]failedCheck{}}
		t.hosts[host] = check
	}
	return check
}

// isChallenge tells whether a registry asks for credentials, and for which.
func isChallenge(resp *http.Response) bool {
	return resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != ""
}

// known tells whether the host has answered, so that a version check takes no
// request.
func (c *hostCheck) known() bool { return c.answersOn() != "" }

// answersOn is the scheme on which the host has answered; "" if it has not.
func (c *hostCheck) answersOn() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scheme
}

// recall answers req from memory, or not at all (nil, nil).
func (c *hostCheck) recall(req *http.Request) (*http.Response, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.scheme {
	case "":
		return nil, nil
	case req.URL.Scheme:
		return answer(req, c.status, c.header), nil
	}
	return nil, errOtherScheme
}

// answer is an answer from memory.
func answer(req *http.Request, status int, header http.Header) *http.Response {
	return &http.Response{
		Status:     fmt.Sprintf("%d %s", status, http.StatusText(status)),
		StatusCode: status,
		Proto:      "HTTP/1.1",
		ProtoMajor: 1,
		ProtoMinor: 1,
		Header:     header.Clone(),
		Body:       http.NoBody,
		Request:    req,
	}
}

func (c *hostCheck) failure(scheme string) failedCheck {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.failed[scheme]
}

// remember keeps the two answers that tell how to talk to the host: no
// credentials needed, or which. Anything else is a failure.
func (c *hostCheck) remember(scheme string, resp *http.Response, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil && (resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized) {
		if c.scheme == "" {
			c.scheme = scheme
			c.status = resp.StatusCode
			c.header = resp.Header.Clone()
		}
		return
	}
	failed := failedCheck{count: c.failed[scheme].count + 1, err: err}
	if err == nil {
		failed.status, failed.header = resp.StatusCode, resp.Header.Clone()
	}
	c.failed[scheme] = failed
}
