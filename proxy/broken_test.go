package main

import (
	"errors"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	ok   = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
	cut  = 0   // the connection ends in the middle of the answer
	fine = 200 // with the body "ok"
)

// five is an answer whose body is "hello".
func five(line, headers string) string {
	return line + "\r\n" + headers + "Content-Length: 5\r\n\r\nhello"
}

// chunks is an answer in chunks.
func chunks(headers, body string) string {
	return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" + headers + "\r\n" + body
}

// brokenCase is what a worker answers, and what its client must get.
type brokenCase struct {
	name   string
	steps  []string
	status int
	body   string // if it is not empty
}

func brokenStatuses() []brokenCase {
	const line = "HTTP/1.1 "
	return []brokenCase{
		{"four digits", []string{five(line+"2000 OK", "")}, 500, ""},
		{"no number", []string{five(line+"abc OK", "")}, 500, ""},
		{"no status", []string{five("HTTP/1.1", "")}, 500, ""},
		{"no HTTP", []string{five("garbage", ""), "@close"}, 500, ""},
		{"zero", []string{five(line+"000 X", "")}, 500, ""},
		{"below 100", []string{five(line+"099 X", "")}, 500, ""},
		{"negative", []string{five(line+"-20 X", "")}, 500, ""},
		{"600", []string{five(line+"600 X", "")}, 500, ""},
		{"999", []string{five(line+"999 X", "")}, 500, ""},
		{"599", []string{five(line+"599 X", "")}, 599, "hello"},
		{"no reason", []string{five(line+"200", "")}, 200, "hello"},
		{"a reason with CR", []string{five(line+"200 O\rK", "")}, 200, "hello"},
		{"a reason in tags", []string{five(line+"200 <script>", "")}, 200, "hello"},
		{"HTTP/1.0", []string{five("HTTP/1.0 200 OK", "")}, 200, "hello"},
		{"HTTP/2", []string{five("HTTP/2.0 200 OK", "")}, 500, ""},
		{"HTTP/0.9", []string{"hello\n", "@close"}, 500, ""},
		{"switching", []string{"HTTP/1.1 101 X\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"}, 500, ""},
		{"continue", []string{"HTTP/1.1 100 Continue\r\n\r\n" + ok}, fine, ""},
		{"processing", []string{"HTTP/1.1 102 Processing\r\n\r\n", "@sleep 0.02", ok}, fine, ""},
		{"hints", []string{"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Func-A: 1\r\nContent-Length: 9\r\n\r\n" + ok}, fine, ""},
		{"hints in chunks", []string{"HTTP/1.1 103 X\r\nTransfer-Encoding: chunked\r\n\r\n" + ok}, fine, ""},
		{"104", []string{"HTTP/1.1 104 X\r\n\r\n" + ok}, 500, ""},
		{"150", []string{"HTTP/1.1 150 X\r\n\r\n" + ok}, 500, ""},
		{"199", []string{"HTTP/1.1 199 X\r\n\r\n" + ok}, 500, ""},
		{"interim without end", []string{strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 100), "@close"}, 500, ""},
		{"204 with a body", []string{five(line+"204 X", "")}, 204, ""},
		{"304 with a body", []string{five(line+"304 X", "")}, 304, ""},
		{"204 in chunks", []string{"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"}, 204, ""},
		{"205 with a body", []string{five(line+"205 X", "")}, 205, ""},
	}
}

func brokenFraming() []brokenCase {
	const head = "HTTP/1.1 200 OK\r\n"
	return []brokenCase{
		{"same lengths", []string{five(head+"Content-Length: 5", "")}, 200, "hello"},
		{"two lengths", []string{five(head+"Content-Length: 3", "")}, 500, ""},
		{"plus", []string{head + "Content-Length: +5\r\n\r\nhello"}, 500, ""},
		{"minus", []string{head + "Content-Length: -5\r\n\r\nhello"}, 500, ""},
		{"list", []string{head + "Content-Length: 5, 5\r\n\r\nhello"}, 500, ""},
		{"huge", []string{head + "Content-Length: 99999999999999999999\r\n\r\nhello"}, 500, ""},
		{"hex", []string{head + "Content-Length: 0x5\r\n\r\nhello"}, 500, ""},
		{"length and chunks", []string{chunks("Content-Length: 3\r\n", "5\r\nhello\r\n0\r\n\r\n")}, 200, "hello"},
		{"length and no chunks", []string{chunks("Content-Length: 5\r\n", "hello\r\n")}, cut, ""},
		{"unknown coding", []string{head + "Transfer-Encoding: xchunked\r\n\r\nhello"}, 500, ""},
		{"two codings", []string{head + "Transfer-Encoding: gzip, chunked\r\n\r\nhello"}, 500, ""},
		{"chunk of no size", []string{chunks("", "zz\r\nhello")}, cut, ""},
		{"second chunk of no size", []string{chunks("", "5\r\nhello\r\n"), "@sleep 0.1", "zz\r\n"}, cut, ""},
		{"chunk of any size", []string{chunks("", "ffffffffffffffff\r\nhello"), "@close"}, cut, ""},
		{"end between chunks", []string{chunks("", "5\r\nhello\r\n"), "@close"}, cut, ""},
		{"end in a chunk", []string{chunks("", "5\r\nhel"), "@close"}, cut, ""},
		{"end in a chunk's size", []string{chunks("", "5"), "@close"}, cut, ""},
		{"end in a trailer", []string{chunks("", "5\r\nhello\r\n0\r\nX: "), "@close"}, cut, ""},
		{"chunks longer than they say", []string{chunks("", "2\r\nhello\r\n0\r\n\r\n")}, cut, ""},
		{"no length", []string{head + "\r\nhello", "@close"}, 200, "hello"},
		{"more than asked for", []string{five(head[:15], "") + "EXTRA"}, 200, "hello"},
		{"two answers", []string{ok + ok}, fine, ""},
		{"no body but one", []string{head + "Content-Length: 0\r\n\r\nhello"}, 200, ""},
		{"short", []string{head + "Content-Length: 50\r\n\r\nhello", "@close"}, 500, ""},
		{"short and large", []string{head + "Content-Length: 200000\r\n\r\n", "@fill 100000", "@close"}, cut, ""},
		{"short and the process", []string{head + "Content-Length: 50\r\n\r\nhel", "@exit"}, 500, ""},
		{"nothing", []string{"@close"}, 500, ""},
		{"nothing but the end of the process", []string{"@exit"}, 500, ""},
		{"half a head", []string{head + "Content-Le", "@close"}, 500, ""},
		{"a head without end", []string{head + "Content-Length: 5\r\n", "@close"}, 500, ""},
		{"half a status line", []string{"HTTP/1.", "@close"}, 500, ""},
		{"said to close", []string{five(head[:15], "Connection: close\r\n"), "@close"}, 200, "hello"},
		{"closes unsaid", []string{ok, "@close"}, fine, ""},
		{"slowly", []string{head, "@sleep 0.1", "Content-Le", "@sleep 0.1", "ngth: 2\r\n\r\no", "@sleep 0.1", "k"}, fine, ""},
		{"before the body is read", []string{ok}, fine, ""},
	}
}

func brokenHeaders() []brokenCase {
	const line = "HTTP/1.1 200 OK"
	return []brokenCase{
		{"CR", []string{five(line, "X: a\rSet-Cookie: evil\r\n")}, 500, ""},
		{"LF", []string{five(line, "X: a\nSet-Cookie: mine\r\n")}, 200, "hello"},
		{"bare LF", []string{"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"}, 200, "hello"},
		{"bare LF, mixed", []string{"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\nhello"}, 200, "hello"},
		{"NUL", []string{five(line, "X: a\x00b\r\n")}, 0, "any"},
		{"control", []string{five(line, "X: a\x01b\r\n")}, 0, "any"},
		{"Latin-1", []string{five(line, "X: \u00e9\r\n")}, 200, "hello"},
		{"a space in a name", []string{five(line, "X Y: a\r\n")}, 200, "hello"},
		{"a space before the colon", []string{five(line, "X : a\r\n")}, 200, "hello"},
		{"folded", []string{five(line, "X: a\r\n b\r\n")}, 200, "hello"},
		{"no colon", []string{five(line, "XY\r\n")}, 500, ""},
		{"no name", []string{five(line, ": a\r\n")}, 500, ""},
		{"ten thousand", []string{line + "\r\n", "@headers 10000", "Content-Length: 2\r\n\r\nok"}, fine, ""},
		{"900 KB", []string{line + "\r\nX: ", "@fill 900000", "\r\nContent-Length: 2\r\n\r\nok"}, fine, ""},
		{"2 MB", []string{line + "\r\nX: ", "@fill 2000000", "\r\nContent-Length: 2\r\n\r\nok"}, 500, ""},
		{"an empty line first", []string{"\r\n" + ok}, 500, ""},
		{"the connection's own", []string{five(line, "Connection: X-A, keep-alive\r\nX-A: s\r\nKeep-Alive: 5\r\nUpgrade: h2c\r\n"+
			"Proxy-Authenticate: x\r\nX-Func-Call-Id: x\r\n")}, 200, "hello"},
		{"an exception", []string{five(line, "X-Func-Error: Foo\r\n")}, 500, ""},
		{"two dates", []string{five(line, "Date: x\r\nDate: y\r\n")}, 200, "hello"},
		{"trailers", []string{chunks("Trailer: X-T\r\n", "2\r\nok\r\n0\r\nX-T: v\r\nX-U: w\r\n\r\n")}, fine, ""},
		{"a framing trailer announced", []string{chunks("Trailer: Content-Length\r\n", "2\r\nok\r\n0\r\n\r\n")}, 500, ""},
		{"trailers that frame", []string{chunks("Trailer: X-Func-Z\r\n",
			"2\r\nok\r\n0\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\nX-Func-Z: q\r\nSet-Cookie: a\r\n\r\n")}, fine, ""},
		{"a trailer with CR", []string{chunks("", "2\r\nok\r\n0\r\nX-T: a\rb\r\n\r\n")}, cut, ""},
	}
}

// Whatever a worker answers: its client gets a sound answer, an error, or a
// connection that ends in the middle, soon; and the next call, on the same
// connection if it goes on, its own.
func TestBrokenWorkers(t *testing.T) {
	cases := slices.Concat(brokenStatuses(), brokenFraming(), brokenHeaders())
	for _, concurrency := range []string{"1", "8"} {
		bothWays(t, func(t *testing.T, loops string) {
			p := start(t, loops, "TEST_RAW="+concurrency, "FUNC_MAX_WORKERS=1", "FUNC_TIMEOUT=60").ready()
			for _, c := range cases {
				t.Run(concurrency+" "+c.name, func(t *testing.T) { c.try(t, p) })
			}
			p.eventually("an idle worker", func() bool { return p.metric(`function_workers{state="idle"}`) == "1" })
			if strings.Contains(p.err.String(), "panic") {
				t.Error(p.err.String())
			}
		})
	}
}

// forbidden are headers and trailers that no client gets.
func forbidden() []string {
	return []string{"X-Func-A", "X-Func-Z", "X-Func-Call-Id", "X-Func-Error", "X-A", "Keep-Alive", "Upgrade", "Proxy-Authenticate"}
}

func (c brokenCase) try(t *testing.T, p *proxy) {
	w := p.wire(t)
	if err := w.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	w.send("GET " + script(c.steps...) + " HTTP/1.1\r\nHost: a\r\n\r\n")
	resp, body, err := w.final()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal("no end")
	}
	switch want := c.body; {
	case want == "any":
		if err == nil && resp.StatusCode != 200 && resp.StatusCode != 500 {
			t.Errorf("status %d", resp.StatusCode)
		}
	case c.status == cut:
		if err == nil && resp.StatusCode != 500 {
			t.Errorf("status %d, body %q, want an end in the middle", resp.StatusCode, shorten(body))
		}
	case err != nil || resp.StatusCode != c.status:
		t.Errorf("got %v, error %v, body %q, want %d", resp, err, shorten(body), c.status)
	case c.status == fine && want == "" && len(body) > 0 && body != "ok", want != "" && body != want:
		t.Errorf("body %q, want %q", shorten(body), want)
	case c.status == 204 && (body != "" || resp.Header["Content-Length"] != nil):
		t.Errorf("header %v, body %q", resp.Header, body)
	}
	if err == nil {
		for _, name := range forbidden() {
			if resp.Header[name] != nil || resp.Trailer[name] != nil {
				t.Errorf("header %v, trailer %v", resp.Header, resp.Trailer)
			}
		}
		for name := range resp.Trailer {
			if name != "X-T" && name != "X-U" {
				t.Errorf("trailer %v", resp.Trailer)
			}
		}
	}
	if slices.Contains(c.steps, "@exit") { // twice, as it is tried again: there is a pause then
		p.eventually("recovery", func() bool { return p.status("/") == 200 })
	}
	if err != nil || resp.Close {
		w = p.wire(t)
	}
	w.send("GET /seen/" + strings.ReplaceAll(c.name, " ", "-") + " HTTP/1.1\r\nHost: a\r\n\r\n")
	if resp, body, err = w.final(); err != nil || resp.StatusCode != 200 ||
		!strings.HasPrefix(body, "GET /seen/"+strings.ReplaceAll(c.name, " ", "-")+" ") {
		t.Errorf("the next call got %v, error %v, body %q", resp, err, shorten(body))
	}
}

// final reads an answer, without the hints before it.
func (w *wire) final() (*http.Response, string, error) {
	for {
		resp, err := http.ReadResponse(w.in, nil)
		if err != nil {
			return nil, "", err
		}
		if resp.StatusCode < 200 {
			continue
		}
		body, err := io.ReadAll(resp.Body)
		return resp, string(body), err
	}
}

// What a worker sends between two calls is nobody's answer.
func TestLateAnswers(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_RAW=1", "FUNC_MAX_WORKERS=1").ready()
		for range 3 {
			w := p.wire(t)
			w.send("GET " + script(ok, "@sleep 0.02", strings.ReplaceAll(ok, "ok", "no")) + " HTTP/1.1\r\nHost: a\r\n\r\n")
			w.answer(200)
			time.Sleep(100 * time.Millisecond)
			w.send("GET " + script(ok) + " HTTP/1.1\r\nHost: a\r\n\r\n")
			if _, body := w.answer(200); body != "ok" {
				t.Errorf("body %q", body)
			}
		}
	})
}

// Answers that end early are told from those that are late by the end of the
// connection alone, which comes at any moment.
func TestAnswersThatEndEarly(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_RAW=4", "FUNC_TIMEOUT=60").ready()
		answer := five("HTTP/1.1 200 OK", "X-A: b\r\n")
		for cut := range len(answer) {
			w := p.wire(t)
			w.send("GET " + script(answer[:cut], "@close") + " HTTP/1.1\r\nHost: a\r\n\r\n")
			resp, body, err := w.final()
			if err != nil || resp.StatusCode != 500 {
				t.Errorf("%q: got %v, error %v, body %q", answer[:cut], resp, err, body)
			}
		}
	})
}

// An answer means the same in whatever parts it comes.
func TestAnswersInParts(t *testing.T) {
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_RAW=4", "FUNC_TIMEOUT=60").ready()
		for _, answer := range []string{five("HTTP/1.1 200 OK", "X-A: b\r\n"),
			chunks("Trailer: X-T\r\n", "5\r\nhello\r\n0\r\nX-T: a\r\n\r\n")} {
			w := p.wire(t)
			for cut := range len(answer) {
				w.send("GET " + script(answer[:cut], "@sleep 0.001", answer[cut:]) + " HTTP/1.1\r\nHost: a\r\n\r\n")
				resp, body, err := w.final()
				if err != nil || resp.StatusCode != 200 || body != "hello" {
					t.Fatalf("%q, %q: got %v, error %v, body %q", answer[:cut], answer[cut:], resp, err, body)
				}
				if resp.Close {
					w = p.wire(t)
				}
			}
		}
	})
}
