package main

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers what it got.
func echo(w http.ResponseWriter, r *http.Request) {
	// A client whose time is up has left.
	_, _ = io.Copy(w, r.Body)
}

func TestLoad(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"with a length": echo,
		"in parts": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			echo(w, r)
		},
		"a connection each": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			echo(w, r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			got, err := newLoad("echo", "POST", "text/plain", []byte("hello")).run(t.Context(), listening(server), 3, 0, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if got.calls < 3 || got.failures != 0 || got.failure != nil || got.p50 > got.p99 || got.perSecond <= 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// TestLoadFailures counts calls that fail beside those that succeed.
func TestLoadFailures(t *testing.T) {
	for name, c := range map[string]struct {
		fail http.HandlerFunc
		want string
	}{
		"a status":      {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }, "status 418"},
		"no connection": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			var calls, failed atomic.Int64
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if calls.Add(1)%2 == 0 {
					failed.Add(1)
					c.fail(w, r)
				}
			}))
			defer server.Close()
			got, err := newLoad("get", "GET", "", nil).run(t.Context(), listening(server), 1, 0, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			// The answer to the last call may have come too late to count.
			if missing := failed.Load() - int64(got.failures); missing < 0 || missing > 1 {
				t.Errorf("%d calls failed, %d counted", failed.Load(), got.failures)
			}
			if got.failure == nil || !strings.Contains(got.failure.Error(), c.want) {
				t.Errorf("failure %v, want %q", got.failure, c.want)
			}
		})
	}
}

func TestLoadWithoutSuccess(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	if got, err := newLoad("get", "GET", "", nil).run(t.Context(), listening(server), 1, 0, 50*time.Millisecond); err == nil || got.failures == 0 {
		t.Errorf("a server that answers 404 alone gave %+v, %v", got, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := newLoad("get", "GET", "", nil).run(t.Context(), endpoint{"tcp", listener.Addr().String()}, 1, 0, 50*time.Millisecond); err == nil {
		t.Error("a closed port gave no error")
	}
}

// TestLoadWarmUp counts the answers after the warm-up alone.
func TestLoadWarmUp(t *testing.T) {
	var warm atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !warm.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	time.AfterFunc(100*time.Millisecond, func() { warm.Store(true) })
	got, err := newLoad("get", "GET", "", nil).run(t.Context(), listening(server), 2, 2*time.Second, 200*time.Millisecond)
	if err != nil || got.failures != 0 || got.calls == 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestLoadInterrupted(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(echo))
	defer server.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if got, err := newLoad("get", "GET", "", nil).run(ctx, listening(server), 2, 0, time.Minute); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func listening(server *httptest.Server) endpoint {
	return endpoint{"tcp", server.Listener.Addr().String()}
}
