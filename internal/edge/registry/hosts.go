package registry

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"slices"
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

// hosts carries requests, and refuses plain HTTP where it is not allowed. It keeps
// what each host wants to be shown, as the answer to a version check (GET /v2/)
// or a refusal says, for the library makes that check for each repository: it is
// given the answer that there is. It takes parameters from media types
// ("; charset=utf-8", as proxies before registries add them), too: the library
// compares the types of manifests with those of images and indexes. Of several
// challenges it puts those for a token first, as Docker does: the library takes the
// first that it knows, and some registries name passwords and do not take them.
type hosts struct {
	inner    http.RoundTripper
	insecure insecureHosts
	known    sync.Map // greeting by host
}

// A greeting is what a host says to those who show nothing.
type greeting struct {
	// scheme is the one that it answers on.
	scheme string
	// status is 0 if it was not asked.
	status int
	header http.Header
}

func (h *hosts) greeting(host string) greeting {
	known, _ := h.known.Load(host)
	said, _ := known.(greeting)
	return said
}

// RoundTrip implements http.RoundTripper.
func (h *hosts) RoundTrip(req *http.Request) (*http.Response, error) { return h.send(req, false) }

// assumingOpen takes hosts that were not asked for open: they want nothing to be shown.
type assumingOpen struct{ *hosts }

// RoundTrip implements http.RoundTripper.
func (h assumingOpen) RoundTrip(req *http.Request) (*http.Response, error) { return h.send(req, true) }

func (h *hosts) send(req *http.Request, assumeOpen bool) (*http.Response, error) {
	host := req.URL.Host
	if req.URL.Scheme == "http" && !h.insecure.allow(host) {
		closeBody(req)
		return nil, &plainHTTPError{host: host}
	}
	check := req.URL.Path == "/v2/" && req.Header.Get("Authorization") == ""
	if said := h.greeting(host); check {
		switch {
		case said.scheme != "" && said.scheme != req.URL.Scheme:
			return nil, http.ErrSchemeMismatch
		case said.status != 0:
			return said.answer(req), nil
		case assumeOpen && (said.scheme != "" || !h.insecure.allow(host)):
			return greeting{status: http.StatusOK}.answer(req), nil
		}
	}
	resp, err := h.inner.RoundTrip(req)
	if err == nil {
		slices.SortStableFunc(resp.Header["Www-Authenticate"], func(a, b string) int {
			return -cmp.Compare(wantsToken(a), wantsToken(b))
		})
	}
	if h.greeting(host).status == 0 && strings.HasPrefix(req.URL.Path, "/v2/") {
		h.learn(req, check, resp, err)
	}
	if err != nil {
		return nil, err
	}
	if kind, parameters, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && len(parameters) > 0 {
		resp.Header.Set("Content-Type", kind)
	}
	return resp, nil
}

// wantsToken is 1 for a challenge that asks for a token, else 0.
func wantsToken(challenge string) int {
	if scheme, _, _ := strings.Cut(challenge, " "); strings.EqualFold(scheme, "bearer") {
		return 1
	}
	return 0
}

// learn keeps what an answer says, if it does.
func (h *hosts) learn(req *http.Request, check bool, resp *http.Response, err error) {
	var record tls.RecordHeaderError
	switch {
	case errors.As(err, &record) && string(record.RecordHeader[:]) == "HTTP/":
		h.known.LoadOrStore(req.URL.Host, greeting{scheme: "http"})
	case err != nil:
	case check && resp.StatusCode == http.StatusOK,
		resp.StatusCode == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != "":
		h.known.Store(req.URL.Host, greeting{scheme: req.URL.Scheme, status: resp.StatusCode, header: resp.Header.Clone()})
	}
}

func (g greeting) answer(req *http.Request) *http.Response {
	return &http.Response{StatusCode: g.status, Header: g.header.Clone(), Body: http.NoBody, Request: req}
}
