package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// /readyz is 503 until the function is loaded, /healthz only if a new start
// could help. Neither tells clients what the function printed.
func TestProbesTellWhy(t *testing.T) {
	for _, tt := range []struct {
		name    string
		env     []string
		healthy bool
		want    []string
		secrets []string // told where FUNC_DEBUG is set, and on the port of their own
	}{
		{"fails", []string{"TEST_LOAD=fail"}, false, []string{"crash-looping"}, []string{"exit status 3", "ImportError: no module named missing"}},
		{"never", []string{"TEST_LOAD=never"}, true, []string{"loading"}, nil},
		{"too slow", []string{"TEST_LOAD=never", "FUNC_LOAD_TIMEOUT=0.2"}, false, []string{"crash-looping"}, []string{"was not ready within 200ms"}},
		{"no program", []string{"FUNC_PROCESS=/etc/passwd | cat"}, false, []string{"crash-looping"}, []string{"ermission denied"}},
	} {
		for _, where := range []string{"", "FUNC_DEBUG=1", "FUNC_ADMIN_PORT"} {
			t.Run(tt.name+" "+where, func(t *testing.T) {
				t.Parallel()
				env, told := append([]string{}, tt.env...), where != ""
				var port int
				if where == "FUNC_ADMIN_PORT" {
					port = freePort(t)
					where = fmt.Sprintf("FUNC_ADMIN_PORT=%d", port)
				}
				p := start(t, append(env, where)...)
				probes := p
				if port > 0 {
					probes = &proxy{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port), client: newClient()}
				}
				p.eventually("the reasons", func() bool {
					ready, health := probes.get("/readyz"), probes.get("/healthz")
					for _, want := range tt.want {
						if !strings.Contains(ready.body, want) || !strings.Contains(health.body, want) {
							return false
						}
					}
					for _, secret := range tt.secrets {
						if strings.Contains(ready.body+health.body, secret) && !told {
							t.Errorf("clients are told %q", ready.body)
						}
						if !strings.Contains(ready.body, secret) && told {
							return false
						}
					}
					return ready.status == 503 && (health.status == 200) == tt.healthy
				})
				if tt.name != "never" && where != "FUNC_DEBUG=1" {
					if body := p.get("/").want(t, 503); strings.Contains(body, "ImportError") {
						t.Errorf("clients see %q", body)
					}
				}
				p.signal(syscall.SIGTERM)
				if err := p.wait(); err != nil {
					t.Errorf("the proxy ended: %v", err)
				}
			})
		}
	}
}

// With a port of their own, probes and metrics are there alone.
func TestAdminPort(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		port := freePort(t)
		p := start(t, loops, fmt.Sprintf("FUNC_ADMIN_PORT=%d", port))
		admin := &proxy{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port), client: newClient()}
		admin.ready()
		p.get("/").want(t, 200)
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			admin.get(path).want(t, 200)
			p.get(path).want(t, 404)
			p.get("/%"+fmt.Sprintf("%x", path[1])+path[2:]).want(t, 404)
		}
		admin.get("/").want(t, 404)
		admin.get("/_health").want(t, 404)
		if got := admin.metric(`function_calls_total{method="GET"}`); got != "1" {
			t.Errorf("%s calls", got)
		}
	})
}

// A probe that cannot know the function's port has one that is always the same,
// and the function's port has what it had.
func TestProbePort(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		port := freePort(t)
		p := start(t, loops, fmt.Sprintf("FUNC_PROBE_PORT=%d", port)).ready()
		probes := &proxy{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port), client: newClient()}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			probes.get(path).want(t, 200)
			p.get(path).want(t, 200)
		}
		probes.get("/").want(t, 404)
		p.get("/").want(t, 200)
	})
}

// After SIGTERM calls are answered for SHUTDOWN_DELAY, on new connections and
// on kept ones, which end with an answer, and none is lost.
func TestNoCallIsLostAtShutdown(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_CONCURRENCY=64", "SHUTDOWN_DELAY=6").ready()
		address := strings.TrimPrefix(p.url, "http://")
		var gone, stop atomic.Bool
		var all sync.WaitGroup
		// call makes a call and says whether the connection goes on.
		call := func(c net.Conn, in *bufio.Reader, i int) (bool, error) {
			pragma := []string{"", "Pragma: a\r\n"}[i%2]
			if _, err := io.WriteString(c, "GET /sleep?s=0.01 HTTP/1.1\r\nHost: a\r\n"+pragma+"\r\n"); err != nil {
				return false, err
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil {
				return false, err
			}
			body, err := io.ReadAll(resp.Body)
			if err == nil && (resp.StatusCode != 200 || string(body) != "slept") {
				err = errors.New(resp.Status)
			}
			return !resp.Close, err
		}
		for i := range 16 {
			all.Add(1)
			go func() {
				defer all.Done()
				for !stop.Load() {
					c, err := net.Dial("tcp", address)
					if err != nil {
						if !gone.Load() {
							t.Errorf("a connection is refused: %v", err)
						}
						return
					}
					in := bufio.NewReader(c)
					for goes := true; goes && !stop.Load(); {
						if goes, err = call(c, in, i); err != nil {
							t.Errorf("a call is lost: %v", err)
							goes = false
						}
						if !goes || i < 8 { // a new connection for each call
							break
						}
					}
					c.Close()
				}
			}()
		}
		kept := p.wire(t)
		kept.send(hello)
		kept.answer(200)
		time.Sleep(300 * time.Millisecond)
		p.signal(syscall.SIGTERM)
		p.eventually("not ready", func() bool { return p.status("/readyz") == 503 })
		if got := p.status("/healthz"); got != 200 {
			t.Errorf("/healthz is %d while calls are answered", got)
		}
		time.Sleep(300 * time.Millisecond)
		kept.send(hello)
		if resp, _ := kept.answer(200); !resp.Close {
			t.Errorf("a kept connection goes on: %v", resp.Header)
		}
		time.Sleep(500 * time.Millisecond)
		stop.Store(true) // who sends calls has learned of it by now
		gone.Store(true)
		all.Wait()
		if err := p.wait(); err != nil {
			t.Errorf("the proxy ended: %v", err)
		}
	})
}

// A second signal ends the delay.
func TestShutdownAtOnce(t *testing.T) {
	p := start(t, "SHUTDOWN_DELAY=1000").ready()
	p.signal(syscall.SIGTERM)
	p.eventually("not ready", func() bool { return p.status("/readyz") == 503 })
	p.get("/").want(t, 200)
	p.signal(syscall.SIGTERM)
	if err := p.wait(); err != nil {
		t.Errorf("the proxy ended: %v", err)
	}
}
