package registry

import (
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// defaultConcurrency is Config.Concurrency where that is zero: as many as
// pkg/release asks with at once.
const defaultConcurrency = 16

// newTransport has a limit for each step that can hang. There is none for a
// whole request: a layer may take long to push.
//
// No host gets more connections than requests at once: without a bound,
// net/http opens one for every request that finds none idle, though an earlier
// one is about to be.
func newTransport(caFiles []string, connections int) http.RoundTripper {
	if connections <= 0 {
		connections = defaultConcurrency
	}
	roots, err := Roots(caFiles)
	if err != nil {
		return brokenTransport{&localError{err}}
	}
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 60 * time.Second,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       90 * time.Second,
		MaxConnsPerHost:       connections,
		MaxIdleConnsPerHost:   connections,
	}
}

// brokenTransport fails every request: New has no error to return.
type brokenTransport struct{ err error }

// RoundTrip implements http.RoundTripper.
func (t brokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	closeBody(req)
	return nil, t.err
}

// closeBody does what an http.RoundTripper owes to a request that it does not
// send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
