package upstream

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cgi is what programs of the CGI kind call a header.
func cgi(name string) string {
	return strings.Map(func(c rune) rune {
		if Plain(string(c)) && c != '-' {
			return c
		}
		return '_'
	}, strings.ToUpper(name))
}

// Whatever headers a client sends, the head that a worker gets is a request
// with the same ones, but for those that are not for it, and none poses as
// another.
func FuzzHead(f *testing.F) {
	f.Add("GET / HTTP/1.1\r\nHost: a\r\nX_A: 1\r\nX-A: 2\r\nProxy: b\r\nTe: x\r\n\r\n")
	f.Add("POST /?a b HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nX.A: 1\r\nX!A: 2\r\nConnection: y, X-B\r\nX-B: 1\r\n\r\nabc")
	f.Add("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X_A, Proxy\r\nEvent_Id: 1\r\n\r\n0\r\n\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil || !strings.HasPrefix(r.URL.RequestURI(), "/") || strings.Contains(r.URL.RequestURI(), " ") {
			return
		}
		RemoveShadows(r.Header)
		q := &Request{Method: r.Method, URI: r.URL.RequestURI(), Host: r.Host, Header: r.Header, Length: r.ContentLength, Trailer: r.Trailer}
		head := string(q.AppendHead(nil)) + "\r\n"
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
		if err != nil {
			t.Fatalf("%q became %q: %v", text, head, err)
		}
		if got.Method != r.Method || got.ContentLength != r.ContentLength || strings.Count(head, "\r\n\r\n") != 1 {
			t.Errorf("%q became %q", text, head)
		}
		seen := map[string]string{}
		for name := range got.Header {
			if HopByHop(name) || Private(name) || name == proxyName {
				t.Errorf("%q became %q", text, head)
			}
			if other := seen[cgi(name)]; other != "" {
				t.Errorf("%q: %s poses as %s", text, name, other)
			}
			seen[cgi(name)] = name
		}
	})
}

// Whatever a worker answers is a sound response or an error, soon.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 103 X\r\nA: b\r\n\r\nHTTP/1.1 204 X\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX: a\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n", "HTTP/1.1 101 X\r\n\r\n", "\n"} {
		f.Add([]byte(text))
	}
	l, err := net.Listen("unix", filepath.Join(f.TempDir(), "socket"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { l.Close() })
	f.Fuzz(func(t *testing.T, text []byte) {
		go func() {
			if c, err := l.Accept(); err == nil {
				_, _ = c.Write(text) // the other side may have seen enough
				c.Close()
			}
		}()
		c, err := Dial(t.Context(), "unix", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		resp, err := c.ReadResponse(http.MethodGet, func(http.Header) {})
		if err != nil {
			return
		}
		if resp.StatusCode < 200 || resp.StatusCode > 599 || resp.ProtoMajor != 1 {
			t.Errorf("%q is %d, %s", text, resp.StatusCode, resp.Proto)
		}
		body, err := io.ReadAll(resp.Body)
		if err == nil && resp.ContentLength >= 0 && int64(len(body)) != resp.ContentLength || !bytes.Contains(text, body[:min(len(body), 1)]) {
			t.Errorf("%q has the body %q", text, body)
		}
		if !c.Answered() {
			t.Errorf("%q: not answered", text)
		}
	})
}

func TestTrailing(t *testing.T) {
	for name, want := range map[string]bool{"X-Sum": true, "Server-Timing": true, "Content-Length": false, "Host": false, "X-Func-Error": false,
		"Event-Id": false, "X-Forwarded-For": false, "Proxy": false, "Authorization": false, "If-Match": false, "Te": false} {
		if Trailing(name) != want {
			t.Errorf("%s: not %t", name, want)
		}
	}
}
