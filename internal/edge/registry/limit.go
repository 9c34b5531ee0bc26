package registry

import (
	"net/http"
	"sync"
)

// defaultConcurrency is Config.Concurrency where that is zero: as many as
// pkg/release asks with at once.
const defaultConcurrency = 16

// perHost keeps one T for each host (HOST or HOST:PORT), or whatever else has
// the key.
type perHost[T any] struct {
	create func() T

	mu    sync.Mutex
	hosts map[string]T
}

func newPerHost[T any](create func() T) *perHost[T] {
	return &perHost[T]{create: create, hosts: map[string]T{}}
}

func (p *perHost[T]) of(host string) T {
	p.mu.Lock()
	defer p.mu.Unlock()
	one, ok := p.hosts[host]
	if !ok {
		one = p.create()
		p.hosts[host] = one
	}
	return one
}

// forget has the next one made anew.
func (p *perHost[T]) forget(host string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.hosts, host)
}

// concurrencyTransport bounds how many requests a host has to work on at once.
// A request counts until its answer begins: who reads an answer may have to
// ask for something else before its end, and must not wait for itself.
type concurrencyTransport struct {
	inner http.RoundTripper
	slots *perHost[chan struct{}]
}

func newConcurrencyTransport(inner http.RoundTripper, limit int) *concurrencyTransport {
	return &concurrencyTransport{inner: inner, slots: newPerHost(func() chan struct{} {
		return make(chan struct{}, limit)
	})}
}

// RoundTrip implements http.RoundTripper.
func (t *concurrencyTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	slots := t.slots.of(req.URL.Host)
	select {
	case slots <- struct{}{}:
	case <-req.Context().Done():
		closeBody(req)
		return nil, req.Context().Err()
	}
	defer func() { <-slots }()
	return t.inner.RoundTrip(req)
}

// closeBody does what an http.RoundTripper owes to a request that it does not
// send.
func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}
