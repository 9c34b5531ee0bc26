package front

import (
	"bytes"
	"net/http"
)

// emptyLines is how many bytes of empty lines before a request are skipped.
// Facts: RFC 9112, 2.2.
const emptyLines = 16

// skipEmptyLines cuts the ends of lines that in begins with, up to a number of bytes.
func skipEmptyLines(in []byte, most int) []byte {
	for n := 0; n < most && len(in) > 0 && (in[0] == '\r' || in[0] == '\n'); n++ {
		in = in[1:]
	}
	return in
}

// Names of the headers that frame a body, as they begin a line.
const (
	lengthName = "content-length:"
	codingName = "transfer-encoding:"
)

// framing notes which headers that frame a body have come on a connection,
// since net/http forgets one where there are both, and the transfer coding of
// HTTP/1.0, and would keep the connection open. Facts: RFC 9112, 6.1.
//
// It knows where heads begin only if the caller waits for each answer. What
// else comes is taken for a head, too: then, a connection may be closed without
// need.
type framing struct {
	line  []byte // how the line at hand begins
	head  bool   // it is of the first head
	sized bool   // there was a Content-Length
	coded bool   // there was a Transfer-Encoding in the first head
	later bool   // or after it
}

// begin says that a head begins.
func (f *framing) begin() { *f = framing{line: f.line[:0], head: true} }

// scan reads what has come.
func (f *framing) scan(p []byte) {
	for len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		part := p
		if end >= 0 {
			part = p[:end]
		}
		f.line = append(f.line, part[:min(len(part), len(codingName)-len(f.line))]...)
		if end < 0 {
			return
		}
		f.note()
		f.line, p = f.line[:0], p[end+1:]
	}
}

// note takes the beginning of a whole line.
func (f *framing) note() {
	switch {
	case len(f.line) == 0 || string(f.line) == "\r":
		f.head = false
	case hasPrefixFold(f.line, lengthName):
		f.sized = true
	case hasPrefixFold(f.line, codingName):
		f.coded, f.later = f.coded || f.head, f.later || !f.head
	}
}

func hasPrefixFold(s []byte, prefix string) bool {
	return len(s) >= len(prefix) && bytes.EqualFold(s[:len(prefix)], []byte(prefix))
}

// fault says what of a request's framing is faulty: nothing, something that
// ends the connection after the answer, or something that makes no sense.
func (f *framing) fault(r *http.Request) (closes, bad bool) {
	if r.ProtoMajor != 1 {
		return false, false
	}
	if r.ProtoMinor == 0 {
		return f.coded || f.later, f.coded
	}
	return f.sized && len(r.TransferEncoding) > 0, false
}
