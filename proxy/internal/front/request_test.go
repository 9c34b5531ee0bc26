package front

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func options() *Options {
	return &Options{MaxBody: 20, MaxHeader: 64 << 10, Reserved: []string{"/healthz"}, Origins: []string{"*"}}
}

// requests are texts, and what is said of them.
func requests() map[string]verdict {
	return map[string]verdict{
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n": fastPath,
		"GET /a/b.c?q=%20&r=/? HTTP/1.1\r\nhost:a.example:80\r\nx-one:  1\t\r\nX-ONE: \xff\r\n\r\n":   fastPath,
		"POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nConnection: Keep-Alive\r\n\r\nabc": fastPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n":                fastPath,
		"DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nOrigin: http://b\r\n\r\n":               fastPath,
		"PUT / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.1\r\n\r\n":                              fastPath,

		"GET / HTTP/1.1\r\nHost: a\r\n":                             partial,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab": partial,
		"\x16\x03\x01":                                                                     partial,
		"GET / HTTP/1.0\r\nHost: a\r\n\r\n":                                                slowPath,
		"GET / HTTP/1.1\r\n\r\n":                                                           slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n":                                     slowPath,
		"GET / HTTP/1.1\r\nHost: a b\r\n\r\n":                                              slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX: b\x00\r\n\r\n":                                    slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX: b\nY: c\r\n\r\n":                                  slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n":                                  slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n":                                       slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n":                                         slowPath,
		"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n":                                         slowPath,
		"GET /%68ealthz HTTP/1.1\r\nHost: a\r\n\r\n":                                       slowPath,
		"GET //a HTTP/1.1\r\nHost: a\r\n\r\n":                                              slowPath,
		"GET /\"a HTTP/1.1\r\nHost: a\r\n\r\n":                                             slowPath,
		"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n":                                        slowPath,
		"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n":                                             slowPath,
		"GET  / HTTP/1.1\r\nHost: a\r\n\r\n":                                               slowPath,
		"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n":                                               slowPath,
		"OPTIONS / HTTP/1.1\r\nHost: a\r\n\r\n":                                            slowPath,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                                                 slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 21\r\n\r\nabc":                      slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na":                        slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \r\n\r\na":                          slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999999\r\n\r\na":    slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na":    slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":        slowPath,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: Application/CloudEvents+json\r\n\r\n": slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nCE-ID: 1\r\n\r\n":                                    slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n":   slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-A\r\nX-A: 1\r\n\r\n":            slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n":                        slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n":                            slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nProxy: http://b\r\n\r\n":                             slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX_A: b\r\n\r\n":                                      slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX-Func-Call-Id: 1\r\n\r\n":                           slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", maxHead) + "\r\n\r\n":     slowPath,
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", maxHead):                  slowPath,
	}
}

func TestRequests(t *testing.T) {
	for text, want := range requests() {
		if got := new(request).parse([]byte(text), options()); got != want {
			t.Errorf("%.100q: %d, want %d", text, got, want)
		}
	}
}

// What a head grows by on its way counts.
func TestHeadsThatGrow(t *testing.T) {
	text := []byte("GET / HTTP/1.1\r\nHost:a\r\n" + strings.Repeat("x:\r\n", 1000) + "\r\n")
	for limit, want := range map[int64]verdict{int64(len(text)): slowPath, int64(len(text)) + 2000: fastPath} {
		opt := options()
		if opt.MaxHeader = limit; new(request).parse(text, opt) != want {
			t.Errorf("%d bytes within %d: not %d", len(text), limit, want)
		}
	}
}

func TestOriginsAreTheGatewaysBusiness(t *testing.T) {
	text := []byte("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://b\r\n\r\n")
	for _, origins := range [][]string{nil, {"http://b"}} {
		if got := new(request).parse(text, &Options{Origins: origins}); got != slowPath {
			t.Errorf("allowed are %q: %d, want %d", origins, got, slowPath)
		}
	}
}

// What is served here means the same to net/http, and so does what the worker
// gets of it.
func FuzzRequest(f *testing.F) {
	for text := range requests() {
		if len(text) < 1<<10 { // longer ones would be made shorter all the time
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		var q request
		if q.parse([]byte(text), options()) != fastPath {
			return
		}
		want, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
		if err != nil {
			t.Fatalf("%q is not a request: %v", text, err)
		}
		if want.URL.RequestURI() != want.RequestURI || want.URL.EscapedPath() != q.path || want.URL.Path != q.path {
			t.Errorf("%q: the target would be changed to %q; path %q", text, want.URL.RequestURI(), q.path)
		}
		got, err := http.ReadRequest(bufio.NewReader(strings.NewReader(string(q.head) + lineEnd + text[q.body:q.end])))
		if err != nil {
			t.Fatalf("%q became %q: %v", text, q.head, err)
		}
		if q.close != want.Close || q.forwarded != (want.Header["X-Forwarded-For"] != nil) {
			t.Errorf("%q: close is %t, forwarded %t", text, q.close, q.forwarded)
		}
		want.Header.Del("Connection")
		if len(want.TransferEncoding) > 0 {
			t.Errorf("%q has a transfer encoding", text)
		}
		if want.Header.Get("Content-Length") == "" { // that of an empty body may be added
			got.Header.Del("Content-Length")
		} else {
			want.Header.Set("Content-Length", got.Header.Get("Content-Length")) // but for leading zeros
		}
		if q.method != want.Method || got.Method != want.Method || got.RequestURI != want.RequestURI || got.Host != want.Host ||
			got.ContentLength != want.ContentLength || !maps.EqualFunc(got.Header, want.Header, slices.Equal[[]string]) {
			t.Errorf("%q became %+v, want %+v", text, got, want)
		}
		gotBody, gotErr := io.ReadAll(got.Body)
		wantBody, wantErr := io.ReadAll(want.Body)
		if string(gotBody) != string(wantBody) || gotErr != nil || wantErr != nil {
			t.Errorf("%q has the body %q, %v, want %q, %v", text, gotBody, gotErr, wantBody, wantErr)
		}
	})
}
