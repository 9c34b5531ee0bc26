package faultproxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// start runs handler behind a proxy, and returns the proxy and its address.
func start(t *testing.T, handler http.HandlerFunc, cfg Config) (*Proxy, string) {
	t.Helper()
	target := httptest.NewServer(handler)
	t.Cleanup(target.Close)
	cfg.Target = target.URL
	proxy, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(proxy.Close)
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return proxy, server.URL
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := (&http.Client{Transport: transport}).Get(url)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestKinds(t *testing.T) {
	content := strings.Repeat("x", 2000)
	var reached atomic.Int32
	handler := func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if r.URL.Path == "/chunked" {
			_, _ = io.WriteString(w, content[:1000])
			w.(http.Flusher).Flush()
			_, _ = io.WriteString(w, content[1000:])
			return
		}
		_, _ = io.WriteString(w, content)
	}
	for _, test := range []struct {
		name    string
		path    string
		fault   Fault
		status  int
		header  string
		err     error
		body    string
		reached int32
	}{
		{name: "status", fault: Fault{Kind: Status, Status: 429, Header: http.Header{"Retry-After": {"7"}}}, status: 429, header: "7"},
		{name: "late status", fault: Fault{Kind: Status, Status: 503, Late: true}, status: 503, reached: 1},
		{name: "reset", fault: Fault{Kind: Reset}, err: syscall.ECONNRESET},
		{name: "late reset", fault: Fault{Kind: Reset, Late: true}, err: syscall.ECONNRESET, reached: 1},
		{name: "truncate", fault: Fault{Kind: Truncate}, status: 200, err: io.ErrUnexpectedEOF, reached: 1},
		{name: "truncate chunked", path: "chunked", fault: Fault{Kind: Truncate}, status: 200, err: io.ErrUnexpectedEOF, reached: 1},
		{name: "slow", fault: Fault{Kind: Slow, Delay: time.Microsecond}, status: 200, body: content, reached: 1},
		{name: "another route", fault: Fault{Kind: Reset, Route: regexp.MustCompile("^PUT ")}, status: 200, body: content, reached: 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			reached.Store(0)
			test.fault.Rate = 1
			proxy, url := start(t, handler, Config{Faults: []Fault{test.fault}})
			resp, body, err := get(t, url+"/"+test.path)
			if !errors.Is(err, test.err) {
				t.Fatalf("error %v, want %v", err, test.err)
			}
			if test.status != 0 && (resp.StatusCode != test.status || resp.Header.Get("Retry-After") != test.header) {
				t.Errorf("%s, Retry-After %q; want %d, %q", resp.Status, resp.Header.Get("Retry-After"), test.status, test.header)
			}
			if test.err == nil && body != test.body {
				t.Errorf("a body of %d bytes, want %d", len(body), len(test.body))
			}
			if test.err != nil && len(body) >= len(content) {
				t.Errorf("the whole body came")
			}
			if got := reached.Load(); got != test.reached {
				t.Errorf("%d requests reached the server, want %d", got, test.reached)
			}
			want := 1
			if test.fault.Route != nil {
				want = 0
			}
			if got := proxy.Injected(0); got != want {
				t.Errorf("%d faults injected, want %d", got, want)
			}
		})
	}
}

func TestSameSeedSameFaults(t *testing.T) {
	run := func(seed uint64) []int {
		_, url := start(t, func(http.ResponseWriter, *http.Request) {}, Config{
			Seed:   seed,
			Faults: []Fault{{Status: 500, Rate: 0.3}, {Status: 429, Rate: 0.3}},
		})
		var statuses []int
		for i := range 60 {
			resp, _, err := get(t, fmt.Sprintf("%s/%d", url, i))
			if err != nil {
				t.Fatal(err)
			}
			statuses = append(statuses, resp.StatusCode)
		}
		return statuses
	}
	first, again, other := run(1), run(1), run(2)
	if !slices.Equal(first, again) {
		t.Errorf("the same seed gave\n%v and\n%v", first, again)
	}
	if slices.Equal(first, other) {
		t.Errorf("two seeds gave the same: %v", first)
	}
	for _, status := range []int{200, 429, 500} {
		if !slices.Contains(first, status) {
			t.Errorf("no %d in %v", status, first)
		}
	}
}

func TestCount(t *testing.T) {
	proxy, url := start(t, func(http.ResponseWriter, *http.Request) {}, Config{Latency: time.Microsecond})
	for _, path := range []string{"/v2/", "/v2/a/manifests/1", "/v2/a/manifests/1", "/v2/b/manifests/1"} {
		if _, _, err := get(t, url+path); err != nil {
			t.Fatal(err)
		}
	}
	for route, want := range map[string]int{"": 4, "^GET /v2/$": 1, "^GET /v2/.+/manifests/": 3, "^HEAD ": 0} {
		if got := proxy.Count(regexp.MustCompile(route)); got != want {
			t.Errorf("%q: %d requests, want %d", route, got, want)
		}
	}
	if got := proxy.Count(nil); got != 4 {
		t.Errorf("%d requests, want 4", got)
	}
}

func TestUploaded(t *testing.T) {
	proxy, url := start(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
	}, Config{})
	for _, size := range []int{0, 1, 100_000} {
		response, err := http.Post(url+"/v2/a/blobs/uploads/", "", strings.NewReader(strings.Repeat("x", size)))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	}
	if got := proxy.Uploaded(); got != 100_001 {
		t.Errorf("%d bytes, want 100001", got)
	}
}

// The server answers when the first half has come, and the client sends the
// second half only then: a proxy that collects the body would never finish.
func TestUploadsAreStreamed(t *testing.T) {
	got := make(chan string, 1)
	_, url := start(t, func(_ http.ResponseWriter, r *http.Request) {
		half := make([]byte, 5)
		if _, err := io.ReadFull(r.Body, half); err != nil {
			got <- err.Error()
			return
		}
		got <- string(half)
		_, _ = io.Copy(io.Discard, r.Body)
	}, Config{})
	body, send := io.Pipe()
	done := make(chan error, 1)
	go func() {
		resp, err := http.Post(url, "", body)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	if _, err := send.Write([]byte("first")); err != nil {
		t.Fatal(err)
	}
	if half := <-got; half != "first" {
		t.Errorf("the server got %q", half)
	}
	if _, err := send.Write(bytes.Repeat([]byte("x"), 1000)); err != nil {
		t.Fatal(err)
	}
	send.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestBadConfig(t *testing.T) {
	for _, cfg := range []Config{
		{},
		{Target: "127.0.0.1"},
		{Target: "http://%zz"},
		{Target: "http://127.0.0.1:1", Faults: []Fault{{Rate: 1}}},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("no error for %+v", cfg)
		}
	}
}
