package upstream

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// Request is a call as a worker gets it.
type Request struct {
	Method string
	URI    string // path and query as the client sent them
	Host   string
	Header http.Header // hop-by-hop headers in it are not sent
	Extra  [][2]string // headers of the proxy's own, instead of the client's

	// Length of the body in bytes; -1 if unknown, then it is sent in chunks.
	// Trailer is announced before such a body and sent after it.
	Length  int64
	Trailer http.Header
}

// skip says which headers of the client a worker does not get. The proxy
// answers expectations itself and writes lengths itself.
func (r *Request) skip(name string, connection []string) bool {
	if HopByHop(name) || Private(name) || name == "Content-Length" || name == "Expect" || name == "Host" {
		return true
	}
	for _, e := range r.Extra {
		if e[0] == name {
			return true
		}
	}
	return len(connection) > 0 && Named(connection, name)
}

// AppendHead appends the request line and the headers but for Extra, and not
// the empty line after them.
func (r *Request) AppendHead(out []byte) []byte {
	out = append(append(append(out, r.Method...), ' '), r.URI...)
	out = AppendField(append(out, " HTTP/1.1\r\n"...), "Host", r.Host)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		if r.skip(name, connection) {
			continue
		}
		for _, v := range values {
			out = AppendField(out, name, v)
		}
	}
	switch {
	case r.Length < 0:
		out = AppendField(out, "Transfer-Encoding", "chunked")
		for name := range trailers(r.Trailer) {
			out = AppendField(out, "Trailer", name)
		}
	case r.Length > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		out = append(out, "Content-Length: "...)
		out = append(strconv.AppendInt(out, r.Length, 10), "\r\n"...)
	}
	return out
}

// AppendField appends a header line.
func AppendField(out []byte, name, value string) []byte {
	out = append(append(out, name...), ": "...)
	return append(append(out, value...), "\r\n"...)
}

// WriteHead buffers a head that AppendHead made, and Extra.
func (c *Conn) WriteHead(head []byte, r *Request) {
	_, _ = c.bw.Write(head)
	for _, e := range r.Extra {
		c.field(e[0], e[1])
	}
	_, _ = c.bw.WriteString("\r\n")
}

// Write buffers a body; Flush tells its error.
func (c *Conn) Write(p []byte) { _, _ = c.bw.Write(p) }

// Flush sends what is buffered, and returns the first error of all writes.
func (c *Conn) Flush() error {
	if err := c.bw.Flush(); err != nil {
		return fmt.Errorf("sending the call to the worker: %w", err)
	}
	return nil
}

// BodyError is an error of the client's side of an upload, as opposed to the
// worker's.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "reading the request body: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// SendBody streams a body after WriteHead, part by part as it comes. trailer
// returns its trailers when it has ended, those announced and those not. An
// error of body or trailers is a *BodyError.
func (c *Conn) SendBody(r *Request, body io.Reader, buf []byte, trailer func() http.Header) error {
	if err := c.Flush(); err != nil {
		return err
	}
	for {
		n, err := body.Read(buf)
		if n > 0 {
			c.part(r, buf[:n])
			if err := c.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return &BodyError{err}
		}
	}
	if r.Length < 0 {
		return c.sendTrailer(trailer())
	}
	return c.Flush()
}

// maxTrailer is how many bytes of trailers a worker gets, as they are sent.
const maxTrailer = 16 << 10

func (c *Conn) sendTrailer(t http.Header) error {
	out := []byte("0\r\n")
	for name, values := range trailers(t) {
		for _, v := range values {
			out = AppendField(out, name, v)
		}
	}
	if len(out) > maxTrailer {
		return &BodyError{fmt.Errorf("its trailers are larger than %d bytes", maxTrailer)}
	}
	c.Write(append(out, "\r\n"...))
	return c.Flush()
}

func (c *Conn) part(r *Request, p []byte) {
	if r.Length >= 0 {
		_, _ = c.bw.Write(p)
		return
	}
	c.number(int64(len(p)), 16)
	_, _ = c.bw.WriteString("\r\n")
	_, _ = c.bw.Write(p)
	_, _ = c.bw.WriteString("\r\n")
}
