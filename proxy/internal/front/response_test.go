package front

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// responses are texts, and what is said of them.
func responses() map[string]verdict {
	return map[string]verdict{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello":              fastPath,
		"HTTP/1.1 500 \r\ncontent-length:0\r\nset-cookie: a\r\nSet-Cookie:\tb \r\n\r\n":              fastPath,
		"HTTP/1.1 404\r\nContent-Length: 0\r\nX-A: \xff\r\nX-Func-Concurrency: 1\r\n\r\n":            fastPath,
		"HTTP/1.1 200 OK\r\nConnection: Keep-Alive\r\nDate: x\r\nContent-Length: 1\r\n\r\na":         fastPath,
		"HTTP/1.1 200 OK\r\nAccess-Control-Allow-Origin: a\r\nVary: A\r\nContent-Length: 1\r\n\r\na": fastPath,
		"": partial,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n":                                                partial,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell":                                        partial,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello!":                                      slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na":                      slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":     slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na":                                          slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na":                        slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 65536\r\n\r\na":                                       slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na":                      slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nKeep-Alive: timeout=5\r\n\r\na":                  slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: a\r\n b\r\n\r\na":                           slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: a\nX-B: b\r\n\r\na":                         slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX A: a\r\n\r\na":                                 slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno colon\r\n\r\na":                               slowPath,
		"HTTP/1.1 500 OK\r\nContent-Length: 1\r\nX-Func-Error: KeyError\r\n\r\na":                 slowPath,
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n":                                    slowPath,
		"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n":                                      slowPath,
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n":                                           slowPath,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                            slowPath,
		"HTTP/1.1 200 OK\r\n\r\nuntil the end":                                                    slowPath,
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", maxHead):                                   slowPath,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: " + strings.Repeat("a", maxHead) + "\r\n\r\n": slowPath,
	}
}

func TestResponses(t *testing.T) {
	for text, want := range responses() {
		if got := new(response).parse([]byte(text), options()); got != want {
			t.Errorf("%.100q: %d, want %d", text, got, want)
		}
	}
}

func TestOrigins(t *testing.T) {
	const one = "http://one.example"
	for _, c := range []struct {
		origins []string
		header  string
		want    http.Header
	}{
		{nil, "", http.Header{}},
		{[]string{"*"}, "", http.Header{"Access-Control-Allow-Origin": {"*"}}},
		{[]string{"*"}, "access-control-allow-origin: a\r\n", http.Header{"Access-Control-Allow-Origin": {"a"}}},
		{[]string{one}, "", http.Header{"Vary": {"Origin"}}},
		{[]string{one}, "vary: Accept\r\n", http.Header{"Vary": {"Accept", "Origin"}}},
		{[]string{one}, "vary: Origin\r\n", http.Header{"Vary": {"Origin"}}},
	} {
		var a response
		if v := a.parse([]byte("HTTP/1.1 200 OK\r\n"+c.header+"Content-Length: 0\r\n\r\n"), &Options{Origins: c.origins}); v != fastPath {
			t.Fatalf("%q: %d", c.header, v)
		}
		got, err := http.ReadResponse(bufio.NewReader(strings.NewReader(string(a.head)+lineEnd)), nil)
		if err != nil {
			t.Fatal(err)
		}
		got.Header.Del("Content-Length")
		if !maps.EqualFunc(got.Header, c.want, slices.Equal[[]string]) {
			t.Errorf("allowed are %q, header %q: got %v, want %v", c.origins, c.header, got.Header, c.want)
		}
	}
}

// What is served here means the same to net/http, and so does what the client
// gets of it.
func FuzzResponse(f *testing.F) {
	for text := range responses() {
		if len(text) < 1<<10 { // longer ones would be made shorter all the time
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a response
		if a.parse([]byte(text), &Options{}) != fastPath {
			return
		}
		read := func(text string) (*http.Response, string) {
			r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(text)), nil)
			if err != nil {
				t.Fatalf("%q is not a response: %v", text, err)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Fatalf("%q has no body: %v", text, err)
			}
			return r, fmt.Sprintf("%d %d %t %q", r.StatusCode, r.ContentLength, r.Close, body)
		}
		want, wantText := read(text)
		got, gotText := read(string(a.head) + lineEnd + text[a.body:a.end])
		if gotText != wantText || a.status != want.StatusCode || a.dated != (want.Header["Date"] != nil) {
			t.Errorf("%q is %s, want %s", text, gotText, wantText)
		}
		want.Header.Del("Connection")
		want.Header.Set("Content-Length", got.Header.Get("Content-Length")) // but for leading zeros
		for name := range want.Header {
			if strings.HasPrefix(name, "X-Func-") {
				want.Header.Del(name)
			}
		}
		if !maps.EqualFunc(got.Header, want.Header, slices.Equal[[]string]) {
			t.Errorf("%q is %+v, want %+v", text, got.Header, want.Header)
		}
	})
}
