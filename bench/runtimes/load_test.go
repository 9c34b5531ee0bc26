package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

func TestLoad(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{
		"with a length": func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) },
		"in parts": func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush()
			io.Copy(w, r.Body)
		},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(handler)
			defer server.Close()
			at := endpoint{"tcp", server.Listener.Addr().String()}
			got, err := newLoad("echo", "POST", "text/plain", []byte("hello")).run(t.Context(), at, 3, 200*time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			if got.Calls < 3 || got.Failures != 0 || got.P50 > got.P99 || got.PerSecond <= 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestLoadFails(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	at := endpoint{"tcp", server.Listener.Addr().String()}
	if got, err := newLoad("get", "GET", "", nil).run(t.Context(), at, 1, 50*time.Millisecond); err == nil || got.Failures == 0 {
		t.Errorf("a server that answers 404 alone gave %+v, %v", got, err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	if _, err := newLoad("get", "GET", "", nil).run(t.Context(), endpoint{"tcp", listener.Addr().String()}, 1, time.Second); err == nil {
		t.Error("a closed port gave no error")
	}
}
