package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen at last.
const patience = 30 * time.Second

// recorded is an output that can be read while it grows.
type recorded struct {
	mu   sync.Mutex
	data bytes.Buffer
}

func (r *recorded) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data.Write(p)
}

func (r *recorded) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.data.String()
}

// proxy is a running proxy.
type proxy struct {
	t           testing.TB
	url         string
	cmd         *exec.Cmd
	out, err    recorded
	ended       chan error
	client      *http.Client
	environment []string
	marks       string // a file of the workers'
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// bothWays runs a test with event loops and without: with net/http alone.
func bothWays(t *testing.T, test func(t *testing.T, loops string)) {
	if os.Getenv("TEST_LOOPS") != "" {
		t.Skip("runs both ways where TEST_LOOPS is not set")
	}
	for _, loops := range []string{"1", "0"} {
		t.Run(loops+" loops", func(t *testing.T) {
			t.Parallel()
			test(t, "FUNC_LOOPS="+loops)
		})
	}
}

// start runs a proxy of workers with sockets; env is "NAME=value" pairs that
// come last.
func start(t testing.TB, env ...string) *proxy {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	port := freePort(t)
	p := &proxy{t: t, url: fmt.Sprintf("http://127.0.0.1:%d", port), ended: make(chan error, 1)}
	p.marks = filepath.Join(t.TempDir(), "marks")
	p.environment = append([]string{"PATH=" + os.Getenv("PATH"), "TEST_ROLE=proxy", "FUNC_UPSTREAM=unix",
		"FUNC_PROCESS='" + self + "'", fmt.Sprintf("FUNC_PORT=%d", port), "FUNC_SOCKET_DIR=" + t.TempDir(),
		"TEST_MARKS=" + p.marks, "SHUTDOWN_DELAY=0", "FUNC_LOOPS=" + os.Getenv("TEST_LOOPS")}, env...)
	p.cmd = exec.Command(self)
	p.cmd.Env = p.environment
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.err
	p.cmd.WaitDelay = patience
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.client = newClient()
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() {
		p.client.CloseIdleConnections()
		_ = p.cmd.Process.Kill() // has usually ended
		_ = p.wait()             // the test looks at how it ended
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", shorten(p.out.String()), shorten(p.err.String()))
		}
		if strings.Contains(p.err.String(), "DATA RACE") || strings.Contains(p.err.String(), "goroutine ") {
			t.Errorf("the proxy has a bug:\n%s", p.err.String())
		}
	})
	return p
}

func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}, Timeout: time.Minute}
}

// http2 has the proxy's client speak HTTP/2 from here on.
func (p *proxy) http2() {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	p.client.CloseIdleConnections()
	p.client = &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: time.Minute}
}

func shorten(s string) string { return s[max(0, len(s)-4000):] }

// ready waits until /readyz is fine.
func (p *proxy) ready() *proxy {
	p.t.Helper()
	p.eventually("health", func() bool { return p.status("/readyz") == http.StatusOK })
	return p
}

func (p *proxy) eventually(what string, is func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if is() {
			return
		}
	}
	p.t.Fatalf("%s: not within %s", what, patience)
}

// wait returns the error of the proxy's process when it has ended.
func (p *proxy) wait() error {
	select {
	case err := <-p.ended:
		p.ended <- err
		return err
	case <-time.After(patience):
		return errors.New("the proxy does not end")
	}
}

func (p *proxy) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// answer is a response, read; err is set if there is none.
type answer struct {
	status int
	header http.Header
	body   string
	tail   http.Header
	err    error
}

func (p *proxy) do(method, path string, body io.Reader, header ...string) answer {
	return p.doContext(context.Background(), method, path, body, header...)
}

func (p *proxy) doContext(ctx context.Context, method, path string, body io.Reader, header ...string) answer {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, body)
	if err != nil {
		return answer{err: err}
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Add(header[i], header[i+1])
	}
	resp, err := p.client.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, resp.Header, string(data), resp.Trailer, err}
}

func (p *proxy) get(path string) answer { return p.do(http.MethodGet, path, nil) }

// status is 0 if there was no answer.
func (p *proxy) status(path string) int { return p.get(path).status }

// want fails the test unless the answer has this status; it returns the body.
func (a answer) want(t testing.TB, status int) string {
	t.Helper()
	if a.err != nil || a.status != status {
		t.Fatalf("got status %d, error %v, want %d; body: %s", a.status, a.err, status, shorten(a.body))
	}
	return a.body
}

// metric returns the value of a series, "" if there is none.
func (p *proxy) metric(series string) string {
	for line := range strings.Lines(p.get("/metrics").body) {
		if value, ok := strings.CutPrefix(line, series+" "); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
