package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wire is a client's connection without a client's ways.
type wire struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func (p *proxy) wire(t *testing.T) *wire {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	return &wire{c, t, bufio.NewReader(c)}
}

func (w *wire) send(text string) {
	w.t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		w.t.Fatal(err)
	}
}

// answer reads the next answer.
func (w *wire) answer(status int) (*http.Response, string) {
	w.t.Helper()
	resp, err := http.ReadResponse(w.in, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		w.t.Fatalf("status %d, error %v, want %d; body: %s", resp.StatusCode, err, status, shorten(string(body)))
	}
	return resp, string(body)
}

// closed waits for the end of the connection.
func (w *wire) closed() {
	w.t.Helper()
	if n, err := w.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		w.t.Errorf("%d bytes and %v, want the connection's end", n, err)
	}
}

const hello = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"

func echo(body string) string {
	return fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

func TestRequestsInPartsAndTogether(t *testing.T) {
	p := start(t).ready()
	t.Run("byte by byte", func(t *testing.T) {
		w := p.wire(t)
		for _, b := range hello + echo("abc") {
			w.send(string(b))
			time.Sleep(time.Millisecond)
		}
		w.answer(200)
		if _, body := w.answer(200); body != "abc" {
			t.Errorf("body %q", body)
		}
	})
	t.Run("a part that is late", func(t *testing.T) {
		w := p.wire(t)
		w.send(hello + "GET / HT")
		w.answer(200)
		time.Sleep(300 * time.Millisecond)
		w.send("TP/1.1\r\nHost: a\r\n\r\n")
		w.answer(200)
	})
	t.Run("many at once, of all kinds", func(t *testing.T) {
		w := p.wire(t)
		w.send(hello + echo("1") + hello + echo("2") + echo(strings.Repeat("3", 40<<10)) + hello +
			"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n4\r\n0\r\n\r\n" + echo("5"))
		for _, want := range []string{"hello", "1", "hello", "2", strings.Repeat("3", 40<<10), "hello", "4", "5"} {
			if _, body := w.answer(200); body != want {
				t.Errorf("body %q, want %q", shorten(body), shorten(want))
			}
		}
	})
	t.Run("the last of a connection", func(t *testing.T) {
		w := p.wire(t)
		w.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
		if resp, _ := w.answer(200); !resp.Close {
			t.Errorf("header %v", resp.Header)
		}
		w.closed()
	})
	t.Run("no HTTP", func(t *testing.T) {
		w := p.wire(t)
		w.send("\x16\x03\x01\r\n\r\n")
		w.answer(400)
		w.closed()
	})
}

// A client that reads late gets all answers, and holds up nobody.
func TestSlowReaders(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=1").ready()
	w := p.wire(t)
	if err := w.Conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	const answers = 400
	body := strings.Repeat("x", 30<<10)
	go func() {
		for range answers {
			if _, err := io.WriteString(w, echo(body)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	p.eventually("a stuck client", func() bool {
		before := strings.Count(p.out.String(), "/echo")
		time.Sleep(50 * time.Millisecond)
		return before > 0 && before < answers && strings.Count(p.out.String(), "/echo") == before
	})
	p.get("/").want(t, 200)
	for range answers {
		if _, got := w.answer(200); got != body {
			t.Fatalf("%d bytes", len(got))
		}
	}
}

func TestClientsThatLeave(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=1").ready()
	running, waiting := p.wire(t), p.wire(t)
	running.send("GET /sleep?s=2 HTTP/1.1\r\nHost: a\r\n\r\n")
	p.eventually("a call", func() bool { return p.metric(`function_workers{state="busy"}`) == "1" })
	waiting.send(hello)
	p.eventually("a queue", func() bool { return p.metric("function_queue_length") == "1" })
	time.Sleep(300 * time.Millisecond) // so that they do not just end what they send
	running.Close()
	waiting.Close()
	p.eventually("both to be missed", func() bool {
		return strings.Count(p.out.String(), " 499 ") == 2 && p.metric("function_queue_length") == "0"
	})
	p.get("/").want(t, 200)
	if got := p.metric("function_worker_restarts_total"); got != "0" {
		t.Errorf("%s workers were replaced", got)
	}
}

// What usual requests get does not depend on how they are served: those with
// a Pragma header are never served by the front.
func TestBothWaysAreAlike(t *testing.T) {
	for _, origins := range []string{"*", "off", "http://one.example"} {
		p := start(t, "FUNC_CORS_ORIGINS="+origins, "TEST_CANCEL=1").ready()
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/", ""}, {"GET", "/request?a=%20b&c", ""}, {"DELETE", "/request", ""}, {"POST", "/request", ""},
			{"PUT", "/request", "x"}, {"POST", "/echo", "abc"}, {"GET", "/hop", ""}, {"GET", "/throw", ""},
			{"GET", "/request//a", ""}, {"GET", "/none", ""},
		} {
			see := func(header ...string) string {
				var body io.Reader
				if c.body != "" {
					body = strings.NewReader(c.body)
				}
				a := p.do(c.method, c.path, body, append(header, "x-two", "1", "X-Two", "2", "Origin", "http://one.example")...)
				a.header.Del("Date")
				var seen struct{ Header http.Header }
				if json.Unmarshal([]byte(a.body), &seen) == nil {
					seen.Header.Del("Pragma")
					seen.Header.Del("X-Func-Call-Id") // numbers them
					a.body = fmt.Sprint(seen)
					a.header.Del("Content-Length")
				}
				return fmt.Sprint(a.status, a.header, a.body, a.err)
			}
			one := see("Cache-Control", "no-cache")
			other := see("Cache-Control", "no-cache", "Pragma", "no-cache")
			if one != other {
				t.Errorf("origins %s: %s %s: %s, but with Pragma: %s", origins, c.method, c.path, one, other)
			}
		}
	}
}

// Calls of all kinds on kept connections, more than workers, from clients some
// of whom leave: each gets its own answer.
func TestCallsOfAllKindsAtOnce(t *testing.T) {
	for _, loops := range []string{"1", "3"} {
		t.Run(loops+" loops", func(t *testing.T) {
			allKindsAtOnce(t, start(t, "FUNC_MAX_WORKERS=3", "FUNC_TIMEOUT=10", "FUNC_LOOPS="+loops).ready())
		})
	}
}

func allKindsAtOnce(t *testing.T, p *proxy) {
	var all sync.WaitGroup
	for i := range 12 {
		all.Add(1)
		go func() {
			defer all.Done()
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
				if err := oneOfAll(p, i, random.IntN(8)); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
	p.eventually("idle workers", func() bool {
		return p.metric(`function_workers{state="busy"}`) == "0" && p.metric("function_queue_length") == "0"
	})
	if got := p.metric("function_worker_restarts_total"); got != "0" {
		t.Errorf("%s workers were replaced", got)
	}
}

func oneOfAll(p *proxy, i, kind int) error {
	text := strings.Repeat(fmt.Sprintf("client %d, ", i), []int{1, 1, 1, 100, 1000, 10000, 1, 1}[kind])
	var a answer
	want := answer{status: 200, body: text}
	switch kind {
	case 0, 3, 4, 5:
		a = p.do("POST", "/echo", strings.NewReader(text))
	case 1:
		a = p.do("POST", "/stream", io.MultiReader(strings.NewReader(text)))
	case 2:
		a, want = p.get("/throw"), answer{status: 500, body: "the function failed\n"}
	case 6:
		a, want = p.get("/"), answer{status: 200, body: "hello"}
	case 7: // leaves
		c, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://"))
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = io.WriteString(c, "GET /sleep?s=0.02 HTTP/1.1\r\nHost: a\r\n\r\n")
		return err
	}
	if a.err != nil || a.status != want.status || a.body != want.body {
		return fmt.Errorf("kind %d: status %d, error %w, body %q; want %d, %q", kind, a.status, a.err, shorten(a.body), want.status,
			shorten(want.body))
	}
	return nil
}

// head asks for what net/http alone serves.
func (w *wire) head() {
	w.t.Helper()
	w.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n")
	if _, err := http.ReadResponse(w.in, &http.Request{Method: http.MethodHead}); err != nil {
		w.t.Fatal(err)
	}
}

// An unusual request does not make all others of its connection slow: net/http
// serves some, and then the client connects again.
func TestUsualRequestsEndOtherConnections(t *testing.T) {
	if os.Getenv("TEST_LOOPS") == "0" {
		t.Skip("net/http serves all requests")
	}
	p := start(t).ready()
	usual, large := p.wire(t), p.wire(t)
	for _, w := range []*wire{usual, large} {
		w.head()
	}
	served := 0
	for closed := false; !closed; served++ {
		usual.send(hello)
		resp, _ := usual.answer(200)
		closed = resp.Close
	}
	usual.closed()
	if served < 2 || served > 100 {
		t.Errorf("the connection ended after %d usual requests", served)
	}
	for range 10 * served {
		large.send(echo(strings.Repeat("x", 40<<10)))
		if resp, _ := large.answer(200); resp.Close {
			t.Fatal("the connection ended after large requests")
		}
	}
	kept := p.wire(t)
	for range 10 * served {
		kept.send(hello)
		if resp, _ := kept.answer(200); resp.Close {
			t.Fatal("the connection ended though all requests were usual")
		}
	}
}

func TestShutdownOfKeptConnections(t *testing.T) {
	// It gives them a second, which may be over before it is looked at.
	for range 3 {
		if shutDownWithClients(t) {
			return
		}
	}
	t.Error("the proxy ends before its clients have closed their connections")
}

// shutDownWithClients stops a proxy, and tells whether it waits for those whom it
// has answered.
func shutDownWithClients(t *testing.T) (waited bool) {
	p := start(t, "FUNC_MAX_WORKERS=1").ready()
	silent, idle, other, running, waiting := p.wire(t), p.wire(t), p.wire(t), p.wire(t), p.wire(t)
	idle.send(hello)
	idle.answer(200)
	other.head()
	running.send("GET /sleep?s=1 HTTP/1.1\r\nHost: a\r\n\r\n")
	p.eventually("a call", func() bool { return p.metric(`function_workers{state="busy"}`) == "1" })
	waiting.send(hello)
	p.eventually("a queue", func() bool { return p.metric("function_queue_length") == "1" })
	p.signal(syscall.SIGTERM)
	idle.closed()
	other.closed()
	if strings.Contains(p.out.String(), "/sleep") {
		t.Error("idle connections are closed after the last call only")
	}
	for _, w := range []*wire{running, waiting} {
		if resp, _ := w.answer(200); !resp.Close {
			t.Errorf("header %v", resp.Header)
		}
		w.closed()
	}
	if _, err := net.Dial("tcp", strings.TrimPrefix(p.url, "http://")); err == nil {
		t.Error("a connection was accepted after SIGTERM")
	}
	// For a second clients may say that they have the answer, which is lost
	// otherwise if the container ends at once.
	time.Sleep(100 * time.Millisecond)
	select {
	case err := <-p.ended:
		p.ended <- err
	default:
		waited = true
	}
	for _, w := range []*wire{running, waiting, silent} {
		_ = w.Close()
	}
	if err := p.wait(); err != nil {
		t.Error(err)
	}
	lines := slices.Collect(strings.Lines(p.out.String()))
	if last := lines[len(lines)-1]; !strings.Contains(last, "GET / 200 ") {
		t.Errorf("the last line of the log is %q", last)
	}
	return waited
}
