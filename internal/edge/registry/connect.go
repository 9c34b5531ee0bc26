package registry

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"
)

// newTransport has a limit for each step that can hang. There is none for a
// whole request: a layer may take long to push.
func newTransport(caFiles []string, idle int) (*http.Transport, error) {
	roots, err := trusted(caFiles)
	if err != nil {
		return nil, err
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
		MaxIdleConnsPerHost:   idle,
	}, nil
}

// trusted are the system's authorities and those of files; nil, which stands
// for the system's, without files.
func trusted(files []string) (*x509.CertPool, error) {
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, &caError{fmt.Errorf("reading the system's trusted certificates: %w", err)}
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, &caError{fmt.Errorf("reading the CA file: %w", err)}
		}
		if !pool.AppendCertsFromPEM(content) {
			return nil, &caError{fmt.Errorf("CA file %s holds no certificate in PEM form", file)}
		}
	}
	return pool, nil
}

// A caError is why the certificates to trust could not be read.
type caError struct{ err error }

func (e *caError) Error() string { return e.err.Error() }
func (e *caError) Unwrap() error { return e.err }

func isCAError(err error) bool {
	var ca *caError
	return errors.As(err, &ca)
}

// brokenTransport fails every request: New has no error to return.
type brokenTransport struct{ err error }

// RoundTrip implements http.RoundTripper.
func (t brokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	closeBody(req)
	return nil, t.err
}
