package front

import (
	"bytes"
	"net/http"
	"strconv"
)

// emptyLines is how many bytes of empty lines before a request are skipped.
// Facts: RFC 9112, 2.2.
const emptyLines = 16

// skipEmptyLines cuts the ends of lines that in begins with, up to a number of bytes.
func skipEmptyLines(in []byte, most int) []byte {
	for n := 0; n < most && len(in) > 0 && isLineEnd(in[0]); n++ {
		in = in[1:]
	}
	return in
}

func isLineEnd(c byte) bool { return c == '\r' || c == '\n' }

// framing follows where the requests of a connection to net/http begin and end,
// to know what net/http does not tell: that a request had two framings, or one
// that its version does not have. Both are to end the connection, and net/http
// would keep it. Facts: RFC 9112, 6.1. Where framing is at a loss, net/http most
// likely refuses the request; if it does not, the connection ends, too.
type framing struct {
	in      part
	line    []byte // of the line at hand: its end if it is the first, else its beginning
	skipped int    // bytes of empty lines before a request
	left    int64  // bytes of the body or the chunk
	head    head   // the one at hand
	folds   bool   // the line before was one that frames
	heads   []head // of requests that net/http has not served
	lost    bool
}

// part is what of a request the next byte belongs to.
type part int

const (
	before  part = iota // the request
	first               // line
	header              // a line of a header
	content             // a body whose length is known
	size                // of a chunk, in its line
	chunk
	chunkEnd
	trailer
	unknown // framing is lost, or it is HTTP/2
)

// head is what is known of a request's head.
type head struct {
	old          bool // HTTP/1.0
	sized, coded bool // has a Content-Length, a Transfer-Encoding
	length       int64
	stars        bool // is answered by net/http itself
}

// longLine is how much of a line is looked at, in bytes.
const longLine = 64

// scan reads what has come, and returns it without empty lines before requests.
func (f *framing) scan(p []byte) []byte {
	kept := 0
	for at := 0; at < len(p); {
		rest := p[at:]
		n := len(rest)
		switch f.in {
		case before:
			if isLineEnd(rest[0]) && f.skipped < emptyLines {
				f.skipped++
				at++
				continue
			}
			f.in, f.skipped, f.head, n = first, 0, head{}, 0
		case content, chunk:
			n = f.data(n)
		case unknown:
		default:
			n = f.text(rest)
		}
		if kept < at {
			copy(p[kept:], rest[:n])
		}
		kept += n
		at += n
	}
	return p[:kept]
}

// data takes what belongs to the body or chunk at hand, of n bytes.
func (f *framing) data(n int) int {
	n = int(min(int64(n), f.left))
	f.left -= int64(n)
	switch {
	case f.left > 0:
	case f.in == content:
		f.in = before
	default:
		f.in = chunkEnd
	}
	return n
}

// text takes what belongs to the line at hand.
func (f *framing) text(p []byte) int {
	end := bytes.IndexByte(p, '\n')
	if end >= 0 {
		p = p[:end+1]
	}
	f.line = append(f.line, p...)
	if extra := len(f.line) - longLine; extra > 0 && f.in == first {
		f.line = f.line[:copy(f.line, f.line[extra:])]
	} else if extra > 0 {
		f.line = f.line[:longLine]
	}
	if end >= 0 {
		f.endLine(bytes.TrimRight(f.line, "\r\n"))
		f.line = f.line[:0]
	}
	return len(p)
}

func (f *framing) endLine(line []byte) {
	switch f.in {
	case first:
		f.head.old = bytes.HasSuffix(line, []byte(" HTTP/1.0"))
		f.head.stars = bytes.HasPrefix(line, []byte("OPTIONS * "))
		if f.in = header; string(line) == "PRI * HTTP/2.0" {
			f.in = unknown
		}
	case header:
		if len(line) == 0 {
			f.endHead()
		} else {
			f.field(line)
		}
	case size:
		digits, _, _ := bytes.Cut(line, []byte(";"))
		n, err := strconv.ParseInt(string(bytes.TrimRight(digits, " \t")), 16, 64)
		switch {
		case err != nil || n < 0:
			f.lose()
		case n == 0:
			f.in = trailer
		default:
			f.in, f.left = chunk, n
		}
	case chunkEnd:
		if f.in = size; len(line) > 0 {
			f.lose()
		}
	case trailer:
		if len(line) == 0 {
			f.in = before
		}
	}
}

// field takes a line of a header.
func (f *framing) field(line []byte) {
	if line[0] == ' ' || line[0] == '\t' {
		if f.folds {
			f.lose()
		}
		return
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	f.folds = true
	switch {
	case bytes.EqualFold(name, []byte("Content-Length")):
		n, err := strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64)
		if err != nil || n < 0 || len(line) == longLine {
			f.lose()
		}
		f.head.sized, f.head.length = true, n
	case bytes.EqualFold(name, []byte("Transfer-Encoding")):
		f.head.coded = true
	default:
		f.folds = false
	}
}

func (f *framing) endHead() {
	h := f.head
	f.in, f.folds = before, false
	switch {
	case h.coded && !h.old:
		f.in = size
	case h.length > 0:
		f.in, f.left = content, h.length
	}
	if !h.stars {
		f.heads = append(f.heads, h)
	} else if h.coded {
		f.lose()
	}
}

func (f *framing) lose() { f.in, f.lost = unknown, true }

// fault says what of the framing of the next request that net/http serves is
// faulty: nothing, something that ends the connection after the answer, or
// something that makes no sense.
func (f *framing) fault(r *http.Request) (closes, bad bool) {
	if r.ProtoMajor != 1 {
		return false, false
	}
	if len(f.heads) == 0 {
		return true, false
	}
	h := f.heads[0]
	f.heads = f.heads[:copy(f.heads, f.heads[1:])]
	bad = h.coded && h.old
	return bad || h.coded && h.sized, bad
}
