package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// slowClient sends a request, then goes on as slowly as it likes.
type slowClient struct {
	name, request string
	more          string // sent again and again
	every         time.Duration
}

func slowClients() []slowClient {
	const chunked, sized = "POST /trailer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
		"POST /trailer HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
	return []slowClient{
		{"a chunk, then nothing", chunked + "1\r\nx\r\n", "", 0},
		{"a large chunk, then nothing", chunked + "9000\r\n" + strings.Repeat("x", 0x9000) + "\r\n", "", 0},
		{"half a chunk, then nothing", chunked + "5\r\nx", "", 0},
		{"no chunk", chunked, "", 0},
		{"a byte of many", sized + "x", "", 0},
		{"some bytes of many", sized + strings.Repeat("x", 40_000), "", 0},
		{"chunks that trickle", chunked, "1\r\nx\r\n", 200 * time.Millisecond},
		{"bytes that trickle", sized + strings.Repeat("x", 40_000), "x", 200 * time.Millisecond},
	}
}

func (s slowClient) call(t *testing.T, p *proxy) {
	w := p.wire(t)
	w.send(s.request)
	if s.every == 0 {
		return
	}
	go func() {
		for {
			time.Sleep(s.every)
			if _, err := io.WriteString(w, s.more); err != nil {
				return
			}
		}
	}()
}

// Clients that send slowly keep nobody else out, nor those forever who send
// large bodies, too: a call that waited for one of them would be given up first.
func TestSlowBodies(t *testing.T) {
	for _, s := range slowClients() {
		t.Run(s.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, loops string) {
				p := start(t, loops, "FUNC_MAX_WORKERS=4", "FUNC_TIMEOUT=300", "FUNC_HEADER_TIMEOUT=300").ready()
				for range 12 {
					s.call(t, p)
				}
				time.Sleep(500 * time.Millisecond)
				for range 5 {
					p.get("/").want(t, 200)
				}
				large := strings.Repeat("x", 200_000)
				if got := p.do("POST", "/echo", strings.NewReader(large)).want(t, 200); got != large {
					t.Errorf("%d bytes", len(got))
				}
			})
		})
	}
}

// A body that stalls is given up, even if nobody else waits.
func TestBodiesThatStandStill(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "FUNC_MAX_WORKERS=1", "FUNC_TIMEOUT=300", "FUNC_HEADER_TIMEOUT=1").ready()
		for _, s := range slowClients()[:6] {
			w := p.wire(t)
			w.send(s.request)
			w.answer(http.StatusRequestTimeout)
			w.closed()
		}
		// One that waits for its answer does not.
		w := p.wire(t)
		w.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		w.send("1\r\ny\r\n0\r\n\r\n")
		if body, err := io.ReadAll(resp.Body); string(body) != "xy" || err != nil {
			t.Errorf("body %q, %v", body, err)
		}
	})
}

// Clients that do not take their answers keep nobody else out.
func TestSlowReadersOfLargeAnswers(t *testing.T) {
	for name, answer := range map[string][]string{
		"of known length":   {"HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n", "@fill 50000000"},
		"of unknown length": {"HTTP/1.1 200 OK\r\n\r\n", "@fill 50000000", "@close"},
	} {
		t.Run(name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, loops string) {
				p := start(t, loops, "TEST_RAW=1", "FUNC_MAX_WORKERS=4", "FUNC_TIMEOUT=300", "FUNC_HEADER_TIMEOUT=300").ready()
				for i := range 12 {
					w := p.wire(t)
					if err := w.Conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
						t.Fatal(err)
					}
					w.send("GET " + script(answer...) + " HTTP/1.1\r\nHost: a\r\n\r\n")
					if i%2 == 0 { // slowly instead of not at all
						go func() {
							for err := error(nil); err == nil; time.Sleep(100 * time.Millisecond) {
								_, err = w.Read(make([]byte, 10))
							}
						}()
					}
				}
				p.eventually("busy workers", func() bool { return p.metric(`function_workers{state="busy"}`) == "4" })
				for range 3 {
					p.get("/").want(t, 200)
				}
			})
		})
	}
}

// Clients of HTTP/2 are no exception.
func TestSlowBodiesOfHTTP2(t *testing.T) {
	p := start(t, "FUNC_MAX_WORKERS=4", "FUNC_TIMEOUT=300", "FUNC_HEADER_TIMEOUT=2").ready()
	slow := &proxy{t: t, url: p.url, client: newClient()}
	slow.http2()
	results := make(chan answer, 12)
	for range 12 {
		body, feed := io.Pipe()
		go func() { _, _ = io.WriteString(feed, "x") }()
		go func() { results <- slow.do("POST", "/trailer", body) }()
	}
	time.Sleep(500 * time.Millisecond)
	p.get("/").want(t, 200)
	for range 12 {
		(<-results).want(t, http.StatusRequestTimeout)
	}
}

func TestMaxBodyOfHTTP2(t *testing.T) {
	p := start(t, "FUNC_MAX_BODY=100k").ready()
	p.http2()
	for _, size := range []int{100_001, 10_000_000} {
		large := strings.Repeat("x", size)
		for path, body := range map[string]io.Reader{"/echo": strings.NewReader(large), "/trailer": io.MultiReader(strings.NewReader(large))} {
			a := p.do("POST", path, body)
			if a.err != nil || a.status != http.StatusRequestEntityTooLarge {
				t.Error(fmt.Sprintf("%d bytes, %s:", size, path), a.status, a.err)
			}
		}
	}
	p.get("/").want(t, 200)
}
