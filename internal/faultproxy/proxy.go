// Package faultproxy is a reverse proxy for tests: it sits between a client
// and a registry (or any HTTP server) and injects faults, by rate and by
// route, repeatably.
//
//	proxy, err := faultproxy.New(faultproxy.Config{
//		Target: "http://127.0.0.1:5000",
//		Seed:   1,
//		Faults: []faultproxy.Fault{
//			{Kind: faultproxy.Status, Status: 429, Header: http.Header{"Retry-After": {"1"}}, Rate: 0.1},
//			{Kind: faultproxy.Reset, Route: regexp.MustCompile(`^PATCH `), Rate: 0.2},
//			{Kind: faultproxy.Truncate, Route: regexp.MustCompile(`^GET /v2/.+/manifests/`), Rate: 0.2},
//		},
//	})
//	…
//	server := httptest.NewServer(proxy)
//	defer server.Close()
//
// Bodies are streamed in both directions. The Host header is passed on, so
// that locations that the registry makes of it lead through the proxy again.
package faultproxy

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"sync"
	"time"
)

// A Kind is what goes wrong.
type Kind int

const (
	// Status answers with Fault.Status and Fault.Header.
	Status Kind = iota
	// Reset ends the client's connection with a TCP reset.
	Reset
	// Truncate breaks the connection off in the middle of the answer's body.
	// It does nothing to an answer without one.
	Truncate
	// Slow gives the answer's body out in small pieces, Fault.Delay apart.
	Slow
)

// A Fault is something that goes wrong on some requests.
type Fault struct {
	// Kind says what goes wrong.
	Kind Kind
	// Route is matched against "METHOD /path"; nil matches every request.
	Route *regexp.Regexp
	// Rate is the share of the matching requests that fail, from 0 to 1.
	Rate float64
	// Late, for Status and Reset, lets the registry do what it is asked for
	// before the answer is lost.
	Late bool
	// Status and Header are the answer of Kind Status.
	Status int
	Header http.Header
	// Delay is Kind Slow's pause before each piece.
	Delay time.Duration
}

// Config configures New.
type Config struct {
	// Target is the server's base URL.
	Target string
	// Faults are tried in order; at most one befalls a request.
	Faults []Fault
	// Latency is added to each request before it is passed on.
	Latency time.Duration
	// Seed decides which requests fail: the nth request that a fault is tried
	// on fails or not depending on Seed and n alone. One client that sends one
	// request after the other sees the same every time; with several at once
	// it depends on chance which request is the nth.
	Seed uint64
}

// A Proxy is an http.Handler that passes requests on. It is safe for
// concurrent use. Its server must speak HTTP/1, for the sake of Reset.
type Proxy struct {
	config    Config
	forward   *httputil.ReverseProxy
	transport *http.Transport

	mu       sync.Mutex
	dice     []*rand.Rand // one for each fault
	injected []int
	requests map[string]int
	uploaded int64
}

// New makes a Proxy.
func New(cfg Config) (*Proxy, error) {
	target, err := url.Parse(cfg.Target)
	if err != nil {
		return nil, fmt.Errorf("reading the target's address: %w", err)
	}
	if target.Scheme == "" || target.Host == "" {
		return nil, fmt.Errorf("target %q is not of the form http://HOST:PORT", cfg.Target)
	}
	for i, fault := range cfg.Faults {
		if fault.Kind == Status && (fault.Status < 200 || fault.Status > 599) {
			return nil, fmt.Errorf("fault %d: %d is not a status to answer with", i, fault.Status)
		}
	}
	// Compression is the client's and the server's business.
	transport := &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}
	p := &Proxy{
		config:    cfg,
		transport: transport,
		injected:  make([]int, len(cfg.Faults)),
		requests:  map[string]int{},
		forward: &httputil.ReverseProxy{
			Transport:     transport,
			FlushInterval: -1, // at once
			ErrorLog:      log.New(io.Discard, "", 0),
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(target)
				r.Out.Host = r.In.Host
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				http.Error(w, "faultproxy: "+err.Error(), http.StatusBadGateway)
			},
		},
	}
	for i := range cfg.Faults {
		p.dice = append(p.dice, rand.New(rand.NewPCG(cfg.Seed, uint64(i))))
	}
	return p, nil
}

// Close drops the kept connections to the target.
func (p *Proxy) Close() { p.transport.CloseIdleConnections() }

// Count is how many requests came whose "METHOD /path" route matches; nil
// matches all.
func (p *Proxy) Count(route *regexp.Regexp) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := 0
	for request, n := range p.requests {
		if route == nil || route.MatchString(request) {
			sum += n
		}
	}
	return sum
}

// Uploaded is how many bytes the bodies of requests had so far.
func (p *Proxy) Uploaded() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.uploaded
}

// Injected is how many requests Config.Faults[i] befell.
func (p *Proxy) Injected(i int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.injected[i]
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := p.draw(r.Method + " " + r.URL.Path)
	r.Body = countedBody{r.Body, p}
	if p.config.Latency > 0 && !pause(r, p.config.Latency) {
		return
	}
	switch {
	case fault == nil:
		p.forward.ServeHTTP(w, r)
	case fault.Kind == Truncate, fault.Kind == Slow:
		p.disturb(w, r, fault)
	default:
		if fault.Late {
			p.forward.ServeHTTP(&swallowed{header: http.Header{}}, r)
		}
		if fault.Kind == Reset {
			reset(w)
			return
		}
		for name, values := range fault.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(fault.Status)
	}
}

// draw counts a request and picks what befalls it; nil for nothing.
func (p *Proxy) draw(request string) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests[request]++
	for i := range p.config.Faults {
		fault := &p.config.Faults[i]
		if fault.Route != nil && !fault.Route.MatchString(request) {
			continue
		}
		if p.dice[i].Float64() < fault.Rate {
			p.injected[i]++
			return fault
		}
	}
	return nil
}

// countedBody adds what is read from it to what was uploaded.
type countedBody struct {
	io.ReadCloser
	proxy *Proxy
}

func (b countedBody) Read(piece []byte) (int, error) {
	n, err := b.ReadCloser.Read(piece)
	b.proxy.mu.Lock()
	defer b.proxy.mu.Unlock()
	b.proxy.uploaded += int64(n)
	return n, err
}

// pause returns false if the client went away.
func pause(r *http.Request, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// reset closes the client's connection such that it gets a TCP reset.
func reset(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // the server closes it then
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// disturb passes r on and spoils the answer's body.
func (p *Proxy) disturb(w http.ResponseWriter, r *http.Request, fault *Fault) {
	forward := *p.forward
	forward.ModifyResponse = func(resp *http.Response) error {
		switch {
		case fault.Kind == Slow:
			resp.Body = &slowBody{ReadCloser: resp.Body, request: r, delay: fault.Delay}
		case resp.ContentLength > 0 && r.Method != http.MethodHead:
			resp.Body = &cutBody{ReadCloser: resp.Body, left: resp.ContentLength / 2}
		case resp.ContentLength < 0:
			resp.Body = &cutBody{ReadCloser: resp.Body, left: 1}
		}
		return nil
	}
	forward.ServeHTTP(w, r)
}

// errCut makes the reverse proxy abort the client's connection.
var errCut = errors.New("cut off on purpose")

// cutBody fails after left bytes.
type cutBody struct {
	io.ReadCloser
	left int64
}

func (b *cutBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errCut
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// slowPiece is how much a slow answer gives out at once, in bytes.
const slowPiece = 256

type slowBody struct {
	io.ReadCloser
	request *http.Request
	delay   time.Duration
}

func (b *slowBody) Read(p []byte) (int, error) {
	if !pause(b.request, b.delay) {
		return 0, b.request.Context().Err()
	}
	return b.ReadCloser.Read(p[:min(len(p), slowPiece)])
}

// swallowed is where an answer goes that the client does not get.
type swallowed struct{ header http.Header }

func (s *swallowed) Header() http.Header         { return s.header }
func (s *swallowed) Write(p []byte) (int, error) { return len(p), nil }
func (s *swallowed) WriteHeader(int)             {}
