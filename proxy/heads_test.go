package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

// A worker never gets a head larger than FUNC_MAX_HEADER, in whatever way it
// became so large: workers take what is beyond their own limits for the next
// request.
func TestLargeHeads(t *testing.T) {
	const limit = 64 << 10
	head := func(target, headers string) string {
		return "GET " + target + " HTTP/1.1\r\nHost: a\r\n" + headers + "\r\n"
	}
	repeat := strings.Repeat
	for _, c := range []struct {
		name, request string
		refused       bool
	}{
		{"small", head("/", ""), false},
		{"a header of 15 KiB", head("/", "X: "+repeat("v", 15<<10)+"\r\n"), false},
		{"a header of 60 KiB", head("/", "X: "+repeat("v", 60<<10)+"\r\n"), false},
		{"a header of 64 KiB", head("/", "X: "+repeat("v", limit)+"\r\n"), true},
		{"a header of 70 KiB", head("/", "X: "+repeat("v", 70<<10)+"\r\n"), true},
		{"a header of 2 MiB", head("/", "X: "+repeat("v", 2<<20)+"\r\n"), true},
		{"a target of 60 KiB", head("/"+repeat("a", 60<<10), ""), false},
		{"a target of 70 KiB", head("/"+repeat("a", 70<<10), ""), true},
		{"a query of 70 KiB", head("/?"+repeat("a", 70<<10), ""), true},
		{"a query that grows", head("/?"+repeat("\x80", 22<<10), ""), false},
		{"2,000 short headers", head("/", repeat("a:b\r\n", 2_000)), false},
		{"12,000 short headers that grow", head("/", repeat("a:b\r\n", 12_000)), true},
		{"13,200 headers that grow", head("/", repeat("a:\r\n", 13_200)), true},
		{"200,000 short headers", head("/", repeat("a:b\r\n", 200_000)), true},
		{"an event's attributes", event(repeat("\u00e9", 20<<10)), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			bothWays(t, func(t *testing.T, loops string) {
				p := start(t, loops, "TEST_RAW=1").ready()
				w := p.wire(t)
				go func() { _, _ = io.WriteString(w, c.request) }() // the proxy may close before it has read all
				resp, body, err := w.final()
				switch {
				case c.refused && (err != nil || resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge):
					t.Errorf("got %v, error %v, want 431", resp, err)
				case !c.refused && (err != nil || resp.StatusCode != 200):
					t.Errorf("got %v, error %v, body %q, want 200", resp, err, shorten(body))
				}
				if seen, _, _ := strings.Cut(body, "\r\n\r\n"); len(seen)+4 > limit {
					t.Errorf("the worker got a head of %d bytes", len(seen)+4)
				}
			})
		})
	}
}

// event is a request with a structured event whose ID is given.
func event(id string) string {
	body := `{"specversion":"1.0","id":"` + id + `","type":"t","source":"/s"}`
	return fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/cloudevents+json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// The limit holds for what HTTP/2 sends in few bytes, too.
func TestLargeHeadsOfHTTP2(t *testing.T) {
	p := start(t, "TEST_RAW=1", "FUNC_MAX_HEADER=8Ki").ready()
	p.http2()
	p.do("GET", "/", nil, "X-A", strings.Repeat("v", 7<<10)).want(t, 200)
	header := make([]string, 0, 400)
	for range 200 {
		header = append(header, "X-A", strings.Repeat("v", 50))
	}
	if a := p.do("GET", "/", nil, header...); a.err == nil && a.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d", a.status) // Go's client does not even ask
	}
}

// Headers that programs of the CGI kind take for others do not reach them, nor
// do trailers.
func TestShadowingHeaders(t *testing.T) {
	sent := []string{"Proxy: http://evil", "proxy: http://evil", "X_Func_Call_Id: evil", "X.Func.Error: evil", "Content_Length: evil",
		"Content_Type: evil", "Transfer_Encoding: evil", "X_Forwarded_For: evil", "X-Forwarded_For: evil", "Event_Id: evil",
		"event.type: evil", "Ce_Id: evil", "Host_: fine", "X_Mine: evil", "X-Mine: fine", "X_Twice: evil", "X.Twice: evil",
		"X_Alone: fine", "Proxy-Authorization: evil", "Proxy_Connection: evil", "connection_: fine", "x_func-: evil"}
	fine := []string{"Host_: fine", "X-Mine: fine", "X_alone: fine", "Connection_: fine"}
	check := func(t *testing.T, seen string) {
		if strings.Contains(seen, "evil") {
			t.Errorf("the worker got %q", seen)
		}
		for _, want := range fine {
			if !strings.Contains(seen, "\r\n"+want+"\r\n") {
				t.Errorf("the worker did not get %q: %q", want, seen)
			}
		}
	}
	bothWays(t, func(t *testing.T, loops string) {
		p := start(t, loops, "TEST_RAW=1").ready()
		w := p.wire(t)
		w.send("GET / HTTP/1.1\r\nHost: a\r\n" + strings.Join(sent, "\r\n") + "\r\n\r\n")
		_, seen := w.answer(200)
		check(t, seen)
		for _, announced := range []string{"", "Trailer: X-Mine, Proxy, Event-Id\r\n"} {
			w = p.wire(t)
			w.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n" + announced + "\r\n2\r\nab\r\n0\r\n" +
				strings.Join(sent, "\r\n") + "\r\nEvent-Id: evil\r\nX-Forwarded-For: evil\r\n\r\n")
			_, seen = w.answer(200)
			check(t, seen[strings.Index(seen, "\r\n0\r\n"):])
		}
		// Each alone, as the loops see them.
		for _, line := range sent {
			w = p.wire(t)
			w.send("GET / HTTP/1.1\r\nHost: a\r\n" + line + "\r\n\r\n")
			if _, seen := w.answer(200); strings.Contains(seen, "evil") != (strings.HasPrefix(line, "X_Mine") ||
				strings.HasPrefix(line, "X_Twice") || strings.HasPrefix(line, "X.Twice")) {
				t.Errorf("%q became %q", line, seen)
			}
		}
	})
}
