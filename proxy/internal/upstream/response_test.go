package upstream

import (
	"bufio"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func reading(text string) *Conn {
	c := &Conn{header: http.Header{}, in: limited{src: strings.NewReader(text), left: -1}}
	c.br = bufio.NewReaderSize(&c.in, 4<<10)
	return c
}

// seeds are responses, and whether they are of the common kind.
func seeds() map[string]bool {
	return map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nhello":                     true,
		"HTTP/1.1 500 \r\ncontent-length:0\r\nset-cookie: a\r\nSet-Cookie:\tb \r\n\r\n":                     true,
		"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=5\r\nContent-Length: 9\r\n\r\nab": true,
		"HTTP/1.1 404\r\nContent-Length: 0\r\nX-A: \xff\r\n\r\n":                                            true,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na":                                false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":               false,
		"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na":                                                    false,
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na":                                  false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\na":                                false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: a\r\n b\r\n\r\na":                                     false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX-A: a\nX-B: b\r\n\r\na":                                   false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nX A: a\r\n\r\na":                                           false,
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno colon\r\n\r\na":                                         false,
		"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n":                                              false,
		"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n":                                                false,
		"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n":                                                     false,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                                                      false,
		"HTTP/1.1 200 OK\r\n\r\nuntil the end":                                                              false,
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n":                                                          false,
		"": false,
	}
}

func TestCommonResponses(t *testing.T) {
	for text, want := range seeds() {
		if _, got := reading(text).common(http.MethodGet); got != want {
			t.Errorf("%q: %t", text, got)
		}
		if _, got := reading(text).common(http.MethodHead); got {
			t.Errorf("%q answers HEAD", text)
		}
	}
}

// What common reads means the same to http.ReadResponse; what it does not read
// is left to that whole.
func FuzzCommonResponse(f *testing.F) {
	for text := range seeds() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := reading(text)
		got, ok := c.common(http.MethodGet)
		if !ok {
			if rest, _ := io.ReadAll(c.br); string(rest) != text {
				t.Fatalf("%q is left of %q", rest, text)
			}
			return
		}
		in := bufio.NewReader(strings.NewReader(text))
		want, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%q is not a response: %v", text, err)
		}
		if got.StatusCode != want.StatusCode || got.ContentLength != want.ContentLength || got.Close != want.Close ||
			!maps.EqualFunc(got.Header, want.Header, slices.Equal[[]string]) {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
		gotBody, gotErr := io.ReadAll(got.Body)
		wantBody, wantErr := io.ReadAll(want.Body)
		if string(gotBody) != string(wantBody) || (gotErr == nil) != (wantErr == nil) {
			t.Errorf("%q has the body %q, %v, want %q, %v", text, gotBody, gotErr, wantBody, wantErr)
		}
		gotRest, _ := io.ReadAll(c.br)
		wantRest, _ := io.ReadAll(in)
		if string(gotRest) != string(wantRest) {
			t.Errorf("%q leaves %q, want %q", text, gotRest, wantRest)
		}
	})
}
