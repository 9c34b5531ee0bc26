package upstream

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"
)

// common reads a response header of the most common kind, and says whether it
// is one: all there with the first read, a final status whose body has a known
// length, and nothing about the connection but that it stays. Such a header
// means the same to http.ReadResponse, which reads all others: nothing has been
// taken from the connection then. The response is valid until the next one.
func (c *Conn) common(method string) (*http.Response, bool) {
	if _, err := c.br.Peek(1); err != nil || method == http.MethodHead {
		return nil, false
	}
	buffered, _ := c.br.Peek(c.br.Buffered())
	end := bytes.Index(buffered, []byte("\r\n\r\n"))
	if end < 0 {
		return nil, false
	}
	head := string(buffered[:end+2])
	line, rest, _ := strings.Cut(head, "\r\n")
	status, ok := finalStatus(line)
	if !ok {
		return nil, false
	}
	clear(c.header)
	length, ok := fields(c.header, rest)
	if !ok {
		return nil, false
	}
	_, _ = c.br.Discard(end + 4) // it is buffered
	c.body = sized{c, length}
	c.resp = http.Response{StatusCode: status, Header: c.header, ContentLength: length, Body: http.NoBody}
	if length > 0 {
		c.resp.Body = &c.body
	}
	return &c.resp, true
}

// finalStatus reads a status line if its status may have a body.
func finalStatus(line string) (status int, ok bool) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' || !visible(rest) {
		return 0, false
	}
	for _, digit := range []byte(rest[:3]) {
		if digit < '0' || digit > '9' {
			return 0, false
		}
		status = 10*status + int(digit-'0')
	}
	return status, status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// fields reads header lines into h and returns the length of the body.
func fields(h http.Header, lines string) (length int64, ok bool) {
	values := make([]string, 0, strings.Count(lines, "\r\n")) // one array for all
	length = -1
	for len(lines) > 0 {
		var line string
		line, lines, _ = strings.Cut(lines, "\r\n")
		name, value, found := strings.Cut(line, ":")
		if !found || !token(name) || !visible(value) {
			return 0, false
		}
		name, value = textproto.CanonicalMIMEHeaderKey(name), textproto.TrimString(value)
		switch name {
		case "Content-Length":
			if length >= 0 || value == "" || len(value) > 15 {
				return 0, false
			}
			length = 0
			for _, digit := range []byte(value) {
				if digit < '0' || digit > '9' {
					return 0, false
				}
				length = 10*length + int64(digit-'0')
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return 0, false
			}
		case "Transfer-Encoding", "Trailer", "Upgrade", "Pragma":
			return 0, false
		}
		if before := h[name]; before != nil {
			h[name] = append(before, value)
			continue
		}
		values = append(values, value)
		h[name] = values[len(values)-1 : len(values) : len(values)]
	}
	return length, length >= 0
}

// token says whether s is a header's name of usual characters.
func token(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
	}
	return s != ""
}

// visible says whether s has no control characters but tabs.
func visible(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// sized is the body of a response with a known length.
type sized struct {
	conn *Conn
	left int64
}

// Read implements io.Reader.
func (b *sized) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.conn.br.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	switch {
	case b.left == 0:
		return n, io.EOF
	case err == io.EOF:
		return n, io.ErrUnexpectedEOF
	case err != nil:
		return n, fmt.Errorf("reading the worker's response: %w", err)
	}
	return n, nil
}

// Close implements io.Closer: the owner of the connection closes that.
func (*sized) Close() error { return nil }
