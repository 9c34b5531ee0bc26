package upstream

import (
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// Request is a call as a worker gets it.
type Request struct {
	Method string
	URI    string // path and query as the caller sent them
	Host   string
	Header http.Header // hop-by-hop headers in it are not sent
	Extra  [][2]string // headers of the proxy's own, instead of the caller's

	// Length of the body in bytes; -1 if unknown, then it is sent in chunks.
	// Trailer is announced before such a body and sent after it.
	Length  int64
	Trailer http.Header
}

// HopByHop says whether a header, in canonical form, is about one connection
// alone and must not be forwarded. Facts: RFC 9110, 7.6.1.
func HopByHop[T string | []byte](name T) bool {
	switch string(name) {
	case "Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings":
		return true
	}
	return false
}

// Named says whether one of the connection options names the header.
func Named(connection []string, name string) bool {
	for _, list := range connection {
		for option := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(textproto.TrimString(option), name) {
				return true
			}
		}
	}
	return false
}

// Private says whether a header, in canonical form, belongs to the protocol
// between proxy and worker; it is forwarded in neither direction.
func Private[T string | []byte](name T) bool {
	const prefix = "X-Func-"
	return len(name) >= len(prefix) && string(name[:len(prefix)]) == prefix
}

// Passes says whether a header of a worker's response may be forwarded, given
// the options of its Connection headers.
func Passes(name string, connection []string) bool {
	return !HopByHop(name) && !Private(name) && (len(connection) == 0 || !Named(connection, name))
}

// Trailing says whether a field, in canonical form, may be forwarded as a
// trailer: none that frames, routes, authenticates or changes the meaning of
// what has passed by then. Facts: RFC 9110, 6.5.1.
func Trailing(name string) bool {
	switch name {
	case "Age", "Authorization", "Cache-Control", "Cookie", "Date", "Expect", "Expires", "Host", "Location",
		"Max-Forwards", "Pragma", "Proxy", "Range", "Retry-After", "Set-Cookie", "Vary", "Www-Authenticate":
		return false
	}
	return !HopByHop(name) && !Private(name) && !strings.HasPrefix(name, "Content-") && !strings.HasPrefix(name, "If-")
}

// skip says which headers of the caller a worker does not get. The proxy
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

// WriteHead buffers the request line and the headers.
func (c *Conn) WriteHead(r *Request) {
	_, _ = c.bw.WriteString(r.Method)
	_ = c.bw.WriteByte(' ')
	_, _ = c.bw.WriteString(r.URI)
	_, _ = c.bw.WriteString(" HTTP/1.1\r\n")
	c.field("Host", r.Host)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		if r.skip(name, connection) {
			continue
		}
		for _, v := range values {
			c.field(name, v)
		}
	}
	for _, e := range r.Extra {
		c.field(e[0], e[1])
	}
	switch {
	case r.Length < 0:
		c.field("Transfer-Encoding", "chunked")
		for name := range r.Trailer {
			c.field("Trailer", name)
		}
	case r.Length > 0 || r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		_, _ = c.bw.WriteString("Content-Length: ")
		c.number(r.Length, 10)
		_, _ = c.bw.WriteString("\r\n")
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

// BodyError is an error of the caller's side of an upload, as opposed to the
// worker's.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return "reading the request body: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *BodyError) Unwrap() error { return e.Err }

// SendBody streams a body after WriteHead(r), part by part as it comes. An
// error of body is a *BodyError.
func (c *Conn) SendBody(r *Request, body io.Reader, buf []byte) error {
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
		_, _ = c.bw.WriteString("0\r\n")
		for name, values := range r.Trailer { // filled by reading the body
			for _, v := range values {
				c.field(name, v)
			}
		}
		_, _ = c.bw.WriteString("\r\n")
	}
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
