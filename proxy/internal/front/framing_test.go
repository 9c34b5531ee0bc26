package front

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"
)

// Where framing finds requests, net/http does, too, with the same headers that
// frame; unless it is lost.
func FuzzFraming(f *testing.F) {
	const get, chunks = "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "1;a=b\r\na\r\n0\r\nX: a\r\n\r\n"
	for _, text := range []string{get, get + "\r\n" + get, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + get,
		"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + get,
		"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + get,
		"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + get,
		"POST / HTTP/1.1\nHost: a\nContent-Length:\n 3\n\nabc" + get, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"} {
		f.Add([]byte(text), 1)
		f.Add([]byte(text), 7)
	}
	f.Fuzz(func(t *testing.T, text []byte, step int) {
		var watch framing
		var kept []byte
		for rest, n := text, max(1, min(step, 100)); len(rest) > 0; {
			some := bytes.Clone(rest[:min(n, len(rest))])
			kept = append(kept, watch.scan(some)...)
			rest = rest[len(some):]
		}
		in := bufio.NewReaderSize(bytes.NewReader(kept), 64<<10)
		for _, h := range watch.heads {
			r, err := http.ReadRequest(in)
			for err == nil && r.Method == http.MethodOptions && r.RequestURI == "*" {
				if _, err = io.Copy(io.Discard, r.Body); err == nil {
					r, err = http.ReadRequest(in)
				}
			}
			if err != nil {
				return // it is refused, and the connection ends
			}
			if chunked := len(r.TransferEncoding) > 0; r.ProtoMajor == 1 && chunked != (h.coded && !h.old) {
				t.Fatalf("%q: a request is chunked (%t), and framing says %+v", text, chunked, h)
			}
			if r.ProtoMajor == 1 && len(r.TransferEncoding) == 0 && r.ContentLength != h.length {
				t.Fatalf("%q: a body of %d bytes, and framing says %+v", text, r.ContentLength, h)
			}
			if _, err := io.Copy(io.Discard, r.Body); err != nil {
				return
			}
		}
	})
}
