package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// plain is a server of net/http alone.
func plain(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: patience, MaxHeaderBytes: 64 << 10,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				w.WriteHeader(http.StatusBadRequest)
			}
		})}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	return l.Addr().String()
}

// class is what a server makes of bytes: the statuses that it answers, and
// whether the connection stays open.
type class struct {
	statuses string
	open     bool
}

// classify sends bytes and waits until the server is silent for a while.
func classify(address, sent string, while time.Duration) (c class, err error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return c, err
	}
	defer conn.Close()
	go func() { _, _ = io.WriteString(conn, sent) }() // the server may close before it has read all
	in := bufio.NewReader(conn)
	method, _, _ := strings.Cut(strings.TrimLeft(sent, "\r\n"), " ")
	for {
		if err := conn.SetReadDeadline(time.Now().Add(while)); err != nil {
			return c, err
		}
		resp, err := http.ReadResponse(in, &http.Request{Method: method})
		if errors.Is(err, os.ErrDeadlineExceeded) {
			c.open = true
			return c, nil
		}
		if err != nil {
			return c, nil
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		c.statuses += fmt.Sprint(resp.StatusCode, " ")
	}
}

// rawRequests are right and wrong requests of all kinds, each with a next one
// behind it.
func rawRequests() []string {
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	lines := []string{"GET / HTTP/1.1", "GET / HTTP/1.0", "GET / HTTP/0.9", "GET / HTTP/2.0", "GET / HTTP/1.2", "GET / http/1.1", "GET /",
		"GET", " GET / HTTP/1.1", "GET  / HTTP/1.1", "GET / HTTP/1.1 ", "GET\t/\tHTTP/1.1", "G@T / HTTP/1.1", "get / HTTP/1.1",
		"GET * HTTP/1.1", "OPTIONS * HTTP/1.1", "GET foo:bar HTTP/1.1", "GET //a HTTP/1.1", "GET http://b/ HTTP/1.1", "GET http://b HTTP/1.1",
		"GET http:b HTTP/1.1", "GET ://b HTTP/1.1", "GET a HTTP/1.1", "GET /%zz HTTP/1.1", "GET /%00 HTTP/1.1", "GET /\x00 HTTP/1.1",
		"GET /\x7f HTTP/1.1", "GET /\x80 HTTP/1.1", "GET /a#b HTTP/1.1", "GET /a b HTTP/1.1", "GET /?a b HTTP/1.1", "GET /\\a HTTP/1.1",
		"GET /../a HTTP/1.1", "GET ?a HTTP/1.1", "CONNECT a:1 HTTP/1.1", "CONNECT / HTTP/1.1", "CONNECT /healthz HTTP/1.1",
		"TRACE / HTTP/1.1", "HEAD / HTTP/1.1", "DELETE / HTTP/1.1", "PATCH / HTTP/1.1", "POST / HTTP/1.1", "PRI / HTTP/1.1", "GET / HTTP/1.1\r",
		"GET / HTTP/11", "GET / HTTP/1.", "GET / HTTP/1.1x", "GET /" + strings.Repeat("a", 20<<10) + " HTTP/1.1"}
	headers := []string{"", "X: a", "X:a", "X:", "X :a", " X: a", "X: a\r\n b", "X: a\r\n\tb", "X", ":a", "X: \x00", "X: \x01", "X: \x7f", "X: \xff",
		"X\x00: a", "X\xff: a", "X(: a", "X: a\rY: b", "X: a\nY: b", "Host: a", "Host: b", "Host:", "Host: a b", "Host: a/b", "Host: [::1", "Host: \xff",
		"Content-Length: 0", "Content-Length: 3", "Content-Length: +3", "Content-Length: -3", "Content-Length: 03", "Content-Length: 0x3",
		"Content-Length: 3, 3", "Content-Length: 3 3", "Content-Length:", "Content-Length: 3\r\nContent-Length: 3", "Content-Length: 3\r\nContent-Length: 4",
		"Content-Length: 99999999999999999999", "Content-Length : 3", "content-length: 3", "Content-Length: 3\r\n ", "Content_Length: 3",
		"Transfer-Encoding: chunked", "Transfer-Encoding: Chunked", "transfer-encoding:chunked", "Transfer-Encoding:", "Transfer-Encoding: identity",
		"Transfer-Encoding: gzip, chunked", "Transfer-Encoding: chunked, chunked", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
		"Transfer-Encoding: xchunked", "Transfer-Encoding: chunked;a", "Transfer-Encoding: \"chunked\"", "Transfer-Encoding: chunked\x0b",
		"Transfer-Encoding: chunked\r\nContent-Length: 3", "Content-Length: 3\r\nTransfer-Encoding: chunked", "Connection: close",
		"Connection: keep-alive", "Connection: keep-alive, close", "Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
		"Expect: 100-continue", "Expect: a", "Upgrade: h2c\r\nConnection: Upgrade", "Upgrade: websocket\r\nConnection: Upgrade", "Trailer: X",
		"Trailer: Content-Length\r\nTransfer-Encoding: chunked", "TE: trailers", "X: " + strings.Repeat("a", 20<<10)}
	bodies := []string{"", "abc", "3\r\nabc\r\n0\r\n\r\n", "3\r\nabc\r\n0\r\nX: a\r\n\r\n", "3;a=b\r\nabc\r\n0\r\n\r\n", "03\r\nabc\r\n0\r\n\r\n", "3\nabc\n0\n\n",
		"3\r\nabcd\r\n0\r\n\r\n", "+3\r\nabc\r\n0\r\n\r\n", "-3\r\nabc\r\n0\r\n\r\n", "3 \r\nabc\r\n0\r\n\r\n", " 3\r\nabc\r\n0\r\n\r\n", "0x3\r\nabc\r\n0\r\n\r\n", "zz\r\n",
		"fffffffffffffffff\r\nabc", "\r\n0\r\n\r\n", "0\r\n\r\n", "0\r\nX\r\n\r\n", "0\r\nContent-Length: 5\r\n\r\n", "3\r\nab"}
	var all []string
	for _, line := range lines {
		all = append(all, line+"\r\nHost: a\r\n\r\n"+next, line+"\r\n\r\n"+next, line+"\nHost: a\n\n"+next)
	}
	for _, h := range headers {
		for _, version := range []string{"1.1", "1.0"} {
			all = append(all, "POST / HTTP/"+version+"\r\nHost: a\r\n"+h+"\r\n\r\n"+next, "GET / HTTP/"+version+"\r\n"+h+"\r\nHost: a\r\n\r\n"+next)
		}
		all = append(all, "POST / HTTP/1.1\r\nHost: a\r\n"+h+"\r\n\r\nabc"+next, "POST / HTTP/1.1\r\nHost: a\r\n"+h+"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"+next,
			"POST / HTTP/1.0\r\nConnection: keep-alive\r\n"+h+"\r\n\r\n3\r\nabc\r\n0\r\n\r\n"+next)
	}
	for _, b := range bodies {
		all = append(all, "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"+b+next,
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n"+b+next)
	}
	return all
}

// stricter says whether the proxy's answers are those of net/http, or fewer.
func stricter(proxy, plain class) bool {
	if proxy == plain {
		return true
	}
	first := func(s string) string { f, _, _ := strings.Cut(s, " "); return f }
	refused := strings.HasPrefix(first(proxy.statuses), "4")
	return !proxy.open && (refused || strings.HasPrefix(plain.statuses, proxy.statuses))
}

// What the proxy makes of a request is what net/http makes of it, or it refuses
// the request and closes the connection.
func TestRequestsMeanWhatTheyMeanToNetHTTP(t *testing.T) {
	reference := plain(t)
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_CONCURRENCY=64", "FUNC_HEADER_TIMEOUT=20").ready()
		requests := make(chan string)
		var all sync.WaitGroup
		for range 24 {
			all.Add(1)
			go func() {
				defer all.Done()
				for sent := range requests {
					var got, want class
					// A busy machine may take longer for an answer.
					for _, while := range []time.Duration{300 * time.Millisecond, 3 * time.Second} {
						var wantErr, gotErr error
						want, wantErr = classify(reference, sent, while)
						got, gotErr = classify(strings.TrimPrefix(p.url, "http://"), sent, while)
						if err := errors.Join(wantErr, gotErr); err != nil {
							t.Error(err)
						}
						if stricter(got, want) {
							break
						}
					}
					if !stricter(got, want) {
						t.Errorf("%.200q: %+v, but net/http: %+v", sent, got, want)
					}
				}
			}()
		}
		for _, sent := range rawRequests() {
			requests <- sent
		}
		close(requests)
		all.Wait()
	})
}

// What net/http is too lenient with.
func TestFaultyRequests(t *testing.T) {
	const next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n"
	chunked := "Transfer-Encoding: chunked\r\n"
	for _, c := range []struct {
		name, sent string
		want       class
	}{
		{"two framings", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 ", false}},
		{"two framings, the other way", "POST / HTTP/1.1\r\nHost: a\r\n" + chunked + "content-length: 5\r\n\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 ", false}},
		{"two framings behind a request", next + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 200 ", false}},
		{"two framings behind a body", "POST / HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" +
			"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 200 ", false}},
		{"chunks alone", "POST / HTTP/1.1\r\nHost: a\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 200 ", true}},
		{"chunks of HTTP/1.0", "POST / HTTP/1.0\r\nConnection: keep-alive\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n" + next, class{"400 ", false}},
		{"chunks of HTTP/1.0 with a length", "POST / HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 1\r\n" + chunked + "\r\na" + next, class{"400 ", false}},
		{"chunks of HTTP/1.0 behind a request", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" +
			"POST / HTTP/1.0\r\nConnection: keep-alive\r\n" + chunked + "\r\n1\r\na\r\n0\r\n\r\n", class{"200 400 ", false}},
		{"OPTIONS of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + next + "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n" + chunked +
			"\r\n1\r\na\r\n0\r\n\r\n" + next, class{"200 200 200 ", false}},
		{"a folded length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n 3\r\n\r\nabc" + next, class{"200 ", false}},
		{"an empty line before", "\r\n" + next, class{"200 ", true}},
		{"empty lines before", "\r\n\n\r\n" + next + "\r\n\r\n" + next, class{"200 200 ", true}},
		{"an empty line before what the slow path serves", "\r\nHEAD / HTTP/1.1\r\nHost: a\r\n\r\n", class{"200 ", true}},
		{"empty lines without end", strings.Repeat("\r\n", 100) + next, class{"400 ", false}},
		{"CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + next, class{"405 ", false}},
		{"CONNECT to a path", "CONNECT /healthz HTTP/1.1\r\nHost: a\r\n\r\n" + next, class{"405 ", false}},
		{"an opaque target", "GET foo:bar HTTP/1.1\r\nHost: a\r\n\r\n" + next, class{"400 ", false}},
		{"a star", "GET * HTTP/1.1\r\nHost: a\r\n\r\n" + next, class{"400 ", false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, loops string) {
				p := start(t, loops).ready()
				got, err := classify(strings.TrimPrefix(p.url, "http://"), c.sent, 2*time.Second)
				if err != nil || got != c.want {
					t.Errorf("%+v, error %v, want %+v", got, err, c.want)
				}
			})
		})
	}
}

// A connection that is kept after one framing can use the other.
func TestFramingsInTurn(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops).ready()
		w := p.wire(t)
		for range 3 {
			w.send("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nPragma: a\r\n\r\nab")
			w.answer(200)
			w.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n")
			if resp, body := w.answer(200); resp.Close || body != "ab" {
				t.Fatalf("closes %t, body %q", resp.Close, body)
			}
		}
	})
}

// A request means the same in whatever two parts it comes.
func TestRequestsInTwoParts(t *testing.T) {
	for _, request := range []string{hello, echo("abc"), "\r\n" + hello,
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\nHost: a\r\nPragma: a\r\n\r\n",
		"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\nX: a\r\n\r\n"} {
		bothWays(t, func(t *testing.T, loops string) {
			p := start(t, loops, "TEST_CONCURRENCY=64").ready()
			var all sync.WaitGroup
			for cut := range len(request) {
				all.Add(1)
				go func() {
					defer all.Done()
					w := p.wire(t)
					for range 2 {
						_, _ = io.WriteString(w, request[:cut]) // an answer tells
						time.Sleep(130 * time.Millisecond)      // longer than the loops wait for the rest
						_, _ = io.WriteString(w, request[cut:])
						method, _, _ := strings.Cut(strings.TrimSpace(request), " ")
						resp, err := http.ReadResponse(w.in, &http.Request{Method: method})
						if err != nil {
							t.Errorf("%q, %q: %v", request[:cut], request[cut:], err)
							return
						}
						body, err := io.ReadAll(resp.Body)
						if want := map[string]string{"HEAD": "", "GET": "hello", "POST": "abc"}[method]; err != nil || resp.StatusCode != 200 || string(body) != want {
							t.Errorf("%q, %q: status %d, body %q, %v", request[:cut], request[cut:], resp.StatusCode, body, err)
						}
					}
				}()
			}
			all.Wait()
		})
	}
}

// A client that ends what it sends behind its request gets the answer.
func TestHalfClosedClients(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_CONCURRENCY=64").ready()
		for _, c := range []struct{ sent, want string }{
			{hello, "hello"}, {echo("abc"), "abc"}, {hello + echo("abc"), "hello"},
			{"GET /sleep?s=1 HTTP/1.1\r\nHost: a\r\n\r\n", "slept"},
			{"GET /sleep?s=1 HTTP/1.1\r\nHost: a\r\nPragma: a\r\n\r\n", "slept"},
			{"GET /sleep?s=1 HTTP/1.0\r\n\r\n", "slept"},
			{"POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "abc"},
			{echo(strings.Repeat("x", 300<<10)), strings.Repeat("x", 300<<10)},
		} {
			for _, pause := range []time.Duration{0, 50 * time.Millisecond} {
				w := p.wire(t)
				w.send(c.sent)
				time.Sleep(pause)
				if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if _, body := w.answer(200); body != c.want {
					t.Errorf("%.100q: body %q", c.sent, shorten(body))
				}
				if strings.Count(c.sent, "Host") == 2 {
					w.answer(200)
				}
				w.closed()
			}
		}
		if log := p.out.String(); strings.Contains(log, " 499 ") {
			t.Errorf("clients were taken for gone:\n%s", shorten(log))
		}
		for sent, status := range map[string]int{"GET / HTTP/1.1\r\nHost": 400, "POST /trailer HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc": 400} {
			w := p.wire(t)
			w.send(sent)
			if err := w.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			w.answer(status)
		}
	})
}
