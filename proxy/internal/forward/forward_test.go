package forward

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// named is a server that answers its name and what it was asked.
func named(t *testing.T, name string) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Seen", r.Host+" "+r.Header.Get("X-Forwarded-For")+" "+r.UserAgent())
		fmt.Fprintf(w, "%s %s %s %s", name, r.Method, r.URL.RequestURI(), body)
	}))
	t.Cleanup(server.Close)
	return server
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, file string) string {
	t.Helper()
	server := httptest.NewServer(New(file, slog.New(slog.DiscardHandler)))
	t.Cleanup(server.Close)
	return server.URL
}

func call(ctx context.Context, method, url, body string) (string, http.Header, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", nil, err
	}
	request.Host = "function.example"
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return fmt.Sprint(response.StatusCode, " ", string(answer)), response.Header, err
}

// What is forwarded is what was sent, and goes where the file says at the time.
func TestForward(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upstream")
	first, second := named(t, "first"), named(t, "second")
	write(t, file, first.Listener.Addr().String()+"\n")
	url := start(t, file)
	want := func(want string) {
		t.Helper()
		got, header, err := call(t.Context(), http.MethodPut, url+"/a%2Fb?c=d;e", "body")
		if err != nil || got != want {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
		if seen := header.Get("Seen"); seen != "function.example 127.0.0.1 Go-http-client/1.1" {
			t.Errorf("the server saw %q", seen)
		}
	}
	want("200 first PUT /a%2Fb?c=d;e body")
	write(t, file, second.Listener.Addr().String()) // not written to its end
	want("200 first PUT /a%2Fb?c=d;e body")
	write(t, file, second.Listener.Addr().String()+"\n")
	want("200 second PUT /a%2Fb?c=d;e body")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	want("200 second PUT /a%2Fb?c=d;e body")
}

// Servers come and go under load, each ended as soon as no call can be on its
// way to it, and no call is lost.
func TestReplace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upstream")
	current := named(t, "function")
	write(t, file, current.Listener.Addr().String()+"\n")
	url := start(t, file)
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	var answered [4]atomic.Int64
	for i := range answered {
		callers.Add(1)
		go func() {
			defer callers.Done()
			for ctx.Err() == nil {
				if got, _, err := call(t.Context(), http.MethodPost, url, "body"); err != nil || got != "200 function POST / body" {
					t.Errorf("got %q, %v", got, err)
				}
				answered[i].Add(1)
			}
		}()
	}
	for range 20 {
		next := named(t, "function")
		write(t, file, next.Listener.Addr().String()+"\n")
		for i := range answered {
			// The second call from now on began after the file was written.
			for from := answered[i].Load(); answered[i].Load() < from+2; {
				time.Sleep(time.Millisecond)
			}
		}
		current.Close()
		current = next
	}
	stop()
	callers.Wait()
}

// A server that is not there yet gets the call when it is.
func TestLate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "upstream")
	url := start(t, file)
	late := named(t, "late")
	time.AfterFunc(100*time.Millisecond, func() { write(t, file, late.Listener.Addr().String()+"\n") })
	if got, _, err := call(t.Context(), http.MethodGet, url, ""); err != nil || got != "200 late GET / " {
		t.Errorf("got %q, %v", got, err)
	}
}
