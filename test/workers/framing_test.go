package workers

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

const (
	smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\nEvent-Id: smuggled\r\n\r\n"
	mebibyte = 1 << 20
)

// ask sends a call on a connection, and expects the answer to that very call.
func ask(t *testing.T, conn io.ReadWriter, from *bufio.Reader, id, head string) {
	t.Helper()
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: a\r\n%sEvent-Id: %s\r\n\r\n", head, id); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatalf("call %s: %v", id, err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || string(body) != "id "+id {
		t.Errorf("call %s: %d %.200q, %v", id, resp.StatusCode, body, err)
	}
}

// answers is what the worker must still do after anything.
func (w *worker) answers(t *testing.T) {
	t.Helper()
	conn := w.dial(t)
	defer conn.Close()
	from := bufio.NewReader(conn)
	ask(t, conn, from, "first", "")
	ask(t, conn, from, "second", "")
}

// TestHeadsBeyondTheLimit sends heads that are longer than any that the proxy
// sends, with a request where a worker might go on to read.
func TestHeadsBeyondTheLimit(t *testing.T) {
	start := "GET / HTTP/1.1\r\nHost: a\r\nX: "
	heads := map[string]string{
		"one line":         start + strings.Repeat("v", 4*mebibyte) + "\r\n\r\n",
		"many fields":      "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: v\r\n", mebibyte) + "\r\n",
		"the request line": "GET /" + strings.Repeat("v", 4*mebibyte) + " HTTP/1.1\r\nHost: a\r\n\r\n",
	}
	for _, at := range []int{64 << 10, 128 << 10, 256 << 10, mebibyte / 2, mebibyte - 1, mebibyte, mebibyte + 4096, 2 * mebibyte} {
		heads[fmt.Sprintf("a request after %d bytes", at)] = start + strings.Repeat("v", at-len(start)) + strings.TrimSuffix(smuggled, "\r\n\r\n") +
			strings.Repeat("v", 4*mebibyte) + "\r\n\r\n"
	}
	each(t, func(t *testing.T, w *worker) {
		for name, head := range heads {
			t.Run(name, func(t *testing.T) {
				if got := w.send(t, head, false); strings.Contains(got, "HTTP/1.1 2") {
					t.Errorf("answered %.200q", got)
				}
			})
		}
		w.answers(t)
	})
}

// TestHeadsBelowTheLimit sends heads that are larger than the proxy's limit of
// 64 KiB: what it adds must not bring one to a worker's limit.
func TestHeadsBelowTheLimit(t *testing.T) {
	each(t, func(t *testing.T, w *worker) {
		conn := w.dial(t)
		from := bufio.NewReader(conn)
		ask(t, conn, from, "long", "X: "+strings.Repeat("v", 120<<10)+"\r\n")
		ask(t, conn, from, "many", strings.Repeat("X: v\r\n", 30_000))
		ask(t, conn, from, "different", func() string {
			var b strings.Builder
			for i := range 10_000 {
				fmt.Fprintf(&b, "X-%d: v\r\n", i)
			}
			return b.String()
		}())
		ask(t, conn, from, "next", "")
	})
}

// TestRequestsCutOff ends the sending side in the middle of a request: that is
// no call yet.
func TestRequestsCutOff(t *testing.T) {
	whole := "POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: cut\r\nContent-Length: 5\r\n\r\nhello"
	chunked := "POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: cut\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n"
	each(t, func(t *testing.T, w *worker) {
		for _, request := range []string{whole, chunked} {
			for length := range len(request) {
				if got := w.send(t, request[:length], true); strings.Contains(got, "HTTP/1.1 2") {
					t.Errorf("%q was answered: %.200q", request[:length], got)
				}
			}
		}
		w.answers(t)
	})
}

// TestMalformedRequests sends what leaves open where the next request begins.
func TestMalformedRequests(t *testing.T) {
	requests := map[string]string{
		"no target":          "GET\r\nHost: a\r\n\r\n" + smuggled,
		"no colon":           "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n" + smuggled,
		"no name":            "GET / HTTP/1.1\r\nHost: a\r\n: v\r\n\r\n" + smuggled,
		"blank before colon": "GET / HTTP/1.1\r\nHost: a\r\nX : v\r\n\r\n" + smuggled,
		"unknown coding":     "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n0\r\n\r\n" + smuggled,
		"other lengths":      "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 0\r\n\r\nhello" + smuggled,
		"bytes after chunk":  "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX\r\n0\r\n\r\n" + smuggled,
		"not HTTP":           "\x16\x03\x01\x02\x00\x01\r\n\r\n" + smuggled,
	}
	for _, length := range []string{"", "abc", "-5", "+5", "0x5", "5_0", "1e1", "5, 5", "5 5", "5.0", "99999999999999999999"} {
		requests["length "+length] = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + length + "\r\n\r\nhello" + smuggled
	}
	for _, size := range []string{"", "xyz", "-5", "+5", "0x5", "1_0", "5 5", "fffffffffffffffff", "ffffffffffffffff", "7fffffffffffffff"} {
		requests["chunk "+size] = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + size + "\r\nhello\r\n0\r\n\r\n" + smuggled
	}
	each(t, func(t *testing.T, w *worker) {
		for name, request := range requests {
			t.Run(name, func(t *testing.T) {
				if got := w.send(t, request, true); strings.Contains(got, "HTTP/1.1 2") {
					t.Errorf("answered %.200q", got)
				}
			})
		}
		w.answers(t)
	})
}

// TestNamesInAnyCase sends the headers that say how long a body is in other
// cases than the proxy does.
func TestNamesInAnyCase(t *testing.T) {
	each(t, func(t *testing.T, w *worker) {
		conn := w.dial(t)
		from := bufio.NewReader(conn)
		for _, name := range []string{"Content-Length", "content-length", "CONTENT-LENGTH"} {
			ask(t, conn, from, name, "")
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: sized\r\n%s:%d\r\n\r\n%s", name, len(smuggled), smuggled)
			if a, err := readAnswer(from, "POST"); err != nil || a.body != "id sized" {
				t.Fatalf("%s: %+v, %v", name, a, err)
			}
		}
		for _, name := range []string{"Transfer-Encoding", "transfer-encoding", "TRANSFER-ENCODING"} {
			ask(t, conn, from, name, "")
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: chunked\r\n%s: Chunked\r\n\r\n%X\r\n%s\r\n0\r\nX: y\r\n\r\n", name, len(smuggled), smuggled)
			if a, err := readAnswer(from, "POST"); err != nil || a.body != "id chunked" {
				t.Fatalf("%s: %+v, %v", name, a, err)
			}
		}
		ask(t, conn, from, "next", "")
	})
}

// TestLengthsThatNeverCome declares bodies that no memory holds, and leaves.
func TestLengthsThatNeverCome(t *testing.T) {
	each(t, func(t *testing.T, w *worker) {
		for _, length := range []int{1 << 30, 1<<31 - 1, 100 << 30, 999_999_999_999_999} {
			head := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: huge\r\nContent-Length: %d\r\n\r\nx", length)
			if got := w.send(t, head, true); strings.Contains(got, "HTTP/1.1 2") {
				t.Errorf("%d bytes: answered %.200q", length, got)
			}
			chunk := fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nEvent-Id: huge\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\nx", length)
			if got := w.send(t, chunk, true); strings.Contains(got, "HTTP/1.1 2") {
				t.Errorf("a chunk of %d bytes: answered %.200q", length, got)
			}
		}
		w.answers(t)
	})
}
