package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
)

// The test binary is also the proxy and the workers: TEST_ROLE says which.
func TestMain(m *testing.M) {
	switch os.Getenv("TEST_ROLE") {
	case "proxy":
		os.Setenv("TEST_ROLE", "worker")
		os.Exit(run())
	case "worker":
		work()
	case "sleeper":
		time.Sleep(time.Hour)
	default:
		os.Exit(m.Run())
	}
}

// work is a worker of the kind that WORKERS.md describes.
func work() {
	switch os.Getenv("TEST_LOAD") {
	case "fail":
		fmt.Fprintln(os.Stderr, "ImportError: no module named missing")
		os.Exit(3)
	case "fail-once": // a later start finds the file
		marker := os.Getenv("TEST_MARKER")
		if _, err := os.Stat(marker); err != nil {
			if err := os.WriteFile(marker, nil, 0o600); err != nil {
				panic(err)
			}
			os.Exit(1)
		}
	case "never":
		time.Sleep(time.Hour)
	case "slow":
		time.Sleep(time.Second)
	}
	var l net.Listener
	var err error
	if socket := os.Getenv("FUNC_SOCKET"); socket != "" {
		l, err = net.Listen("unix", socket)
	} else {
		l, err = net.Listen("tcp", os.Getenv("FUNC_UPSTREAM"))
	}
	if err != nil {
		panic(err)
	}
	if os.Getenv("TEST_SAME") != "" {
		panic(same(l))
	}
	if os.Getenv("TEST_RAW") != "" {
		panic(raw(l))
	}
	f := &function{calls: map[string]running{}}
	panic(http.Serve(l, f))
}

// same answers each request without a body alike, as fast as a Go program can.
func same(l net.Listener) error {
	answer := []byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n" +
		"X-Func-Concurrency: " + os.Getenv("TEST_CONCURRENCY") + "\r\n\r\nhello")
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			buf := make([]byte, 4<<10)
			for {
				n, err := c.Read(buf)
				if err != nil || !bytes.HasSuffix(buf[:n], []byte("\r\n\r\n")) {
					return
				}
				if _, err := c.Write(answer); err != nil {
					return
				}
			}
		}()
	}
}

type function struct {
	one   sync.Mutex // one call at once
	mu    sync.Mutex
	calls map[string]running
}

type running struct {
	stop  func()
	ended chan struct{}
}

func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	many := os.Getenv("TEST_CONCURRENCY")
	if many == "" {
		f.one.Lock()
		defer f.one.Unlock()
	}
	ctx, cancel := context.WithCancel(r.Context())
	if os.Getenv("TEST_CANCEL") != "" {
		// Only the cancel request stops a call, not the closing of its connection.
		ctx, cancel = context.WithCancel(context.Background())
	}
	defer cancel()
	id := r.Header.Get(pool.CallHeader)
	switch r.URL.Path {
	case "/_health":
		if many != "" {
			w.Header().Set("X-Func-Concurrency", many)
		}
		w.Header().Set("X-Func-Cancel", os.Getenv("TEST_CANCEL"))
		return
	case pool.CancelPath:
		f.mu.Lock()
		c := f.calls[id]
		f.mu.Unlock()
		c.stop()
		select {
		case <-c.ended:
		case <-r.Context().Done(): // it does not stop, so there is no answer
		}
		return
	}
	c := running{cancel, make(chan struct{})}
	defer close(c.ended)
	f.mu.Lock()
	f.calls[id] = c
	f.mu.Unlock()
	f.call(ctx, w, r)
}

func seconds(r *http.Request) time.Duration {
	s, err := strconv.ParseFloat(r.URL.Query().Get("s"), 64)
	if err != nil {
		panic(err)
	}
	return time.Duration(s * float64(time.Second))
}

func (f *function) call(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/echo":
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		w.Header().Set("Content-Length", r.Header.Get("Content-Length"))
		_, _ = io.Copy(w, r.Body)
	case "/stream": // answers each part as it comes
		c := http.NewResponseController(w)
		_ = c.EnableFullDuplex()
		buf := make([]byte, 1024)
		for {
			n, err := r.Body.Read(buf)
			_, _ = w.Write(buf[:n])
			_ = c.Flush()
			if err != nil {
				return
			}
		}
	case "/request":
		_ = json.NewEncoder(w).Encode(map[string]any{"method": r.Method, "uri": r.RequestURI,
			"host": r.Host, "header": r.Header, "trailer": r.Trailer})
	case "/trailer":
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprint(w, "body")
		w.Header().Set("X-Sum", r.Trailer.Get("X-In"))
	case "/hop":
		w.Header().Set("Connection", "X-Hop")
		w.Header().Set("X-Hop", "1")
		w.Header().Set("Keep-Alive", "timeout=5")
		w.Header().Set("X-Func-Secret", "1")
		w.Header().Set("Set-Cookie", "a=b")
		w.WriteHeader(http.StatusTeapot)
	case "/pid":
		fmt.Fprint(w, os.Getpid())
	case "/sleep":
		select {
		case <-time.After(seconds(r)):
		case <-ctx.Done():
		}
		fmt.Fprint(w, "slept")
	case "/mark": // notes its query
		marks, err := os.OpenFile(os.Getenv("TEST_MARKS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		defer marks.Close()
		fmt.Fprint(marks, r.URL.RawQuery)
	case "/burn": // 5 ms of CPU, however long that takes
		var used syscall.Rusage
		for start := int64(0); start == 0 || used.Utime.Nano()+used.Stime.Nano()-start < 5e6; {
			_ = syscall.Getrusage(syscall.RUSAGE_SELF, &used)
			if start == 0 {
				start = used.Utime.Nano() + used.Stime.Nano()
			}
		}
	case "/busy":
		for { //nolint:revive,staticcheck // what this is about
		}
	case "/late": // answers with its body, late if it is the first of all workers
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		marks, err := os.OpenFile(os.Getenv("TEST_MARKS"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			panic(err)
		}
		fmt.Fprint(marks, "x")
		if info, err := marks.Stat(); err != nil || info.Size() <= 8 {
			<-ctx.Done() // until the worker ends
		}
		marks.Close()
		fmt.Fprintf(w, "late %s", body)
	case "/sse":
		w.Header().Set("Content-Type", "text/event-stream")
		for i := 0; ctx.Err() == nil; i++ {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			time.Sleep(20 * time.Millisecond)
		}
	case "/raise", "/print":
		text, err := url.QueryUnescape(r.URL.RawQuery)
		if err != nil {
			panic(err)
		}
		if r.URL.Path == "/print" {
			fmt.Println(text)
			return
		}
		w.Header().Set("X-Func-Error", "ValueError")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "Traceback:\nValueError: "+text)
	case "/throw":
		w.Header().Set("X-Func-Error", "ValueError")
		w.WriteHeader(http.StatusInternalServerError)
		fmt.Fprint(w, "Traceback:\n  line 1\nValueError: wrong")
	default:
		f.misbehave(w, r)
	}
}

func (f *function) misbehave(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/exit":
		fmt.Fprintln(os.Stderr, "leaving")
		os.Exit(4)
	case "/segv":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	case "/half": // ends in the middle of its answer
		w.Header().Set("Content-Length", "100")
		fmt.Fprint(w, "half")
		_ = http.NewResponseController(w).Flush()
		os.Exit(5)
	case "/flood":
		line := strings.Repeat("x", 1023) + "\n"
		for range 20 << 10 {
			fmt.Print(line)
		}
	case "/fork": // leaves orphans, some of which leave the process group
		for _, prefix := range []string{"", "setsid "} {
			if err := exec.Command("sh", "-c", prefix+"sleep 0.2 & "+prefix+"sleep 30 &").Run(); err != nil {
				panic(err)
			}
		}
	case "/bomb": // as many processes as there can be
		for {
			cmd := exec.Command("/proc/self/exe")
			cmd.Env = []string{"TEST_ROLE=sleeper"}
			if err := cmd.Start(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				time.Sleep(time.Hour)
			}
		}
	case "/memory":
		for hold := [][]byte{}; ; {
			hold = append(hold, bytes.Repeat([]byte("x"), 1<<20))
			runtime.KeepAlive(hold)
		}
	case "/full": // no space is left in /tmp
		file, err := os.Create("/tmp/full")
		for err == nil {
			_, err = file.Write(make([]byte, 1<<20))
		}
		fmt.Fprint(w, err)
	case "/unlink": // the sockets
		dir := os.Getenv("FUNC_SOCKET")
		_ = os.RemoveAll(dir[:strings.LastIndex(dir, "/")])
	case "/deaf": // no connections are taken from now on; answers when told
		_ = os.Remove(os.Getenv("FUNC_SOCKET"))
		w.Header().Set("Connection", "close")
		for _, err := os.Stat(os.Getenv("TEST_MARKS")); err != nil; _, err = os.Stat(os.Getenv("TEST_MARKS")) {
			time.Sleep(10 * time.Millisecond)
		}
	case "/garbage":
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(c, "this is no HTTP\r\n\r\n")
		c.Close()
	case "/endless":
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		fmt.Fprint(c, "HTTP/1.1 200 OK\r\n")
		for err == nil {
			_, err = fmt.Fprintf(c, "X-A: %s\r\n", strings.Repeat("a", 1000))
		}
	case "/early": // answers without reading the body
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, "no")
	default:
		fmt.Fprint(w, "hello")
	}
}
