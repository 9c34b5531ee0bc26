package front

import (
	"bytes"
	"net/http"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// maxAnswer is the largest response that is served here, in bytes.
const maxAnswer = 64 << 10

// response is a worker's response for the fast path: a final status, a small
// body of known length, and nothing about the connection but that it stays.
type response struct {
	status int
	head   []byte // for the client: the status line and all headers but those of the proxy's own
	body   int    // where the body begins
	end    int    // where the response ends
	dated  bool   // it has a Date
}

// parse reads a response from the start of in. It accepts nothing that
// net/http and the gateway would change in another way, nor exceptions.
func (a *response) parse(in []byte, opt *Options) verdict {
	line, rest, body, v := cutHead(in)
	if v != fastPath {
		return v
	}
	if !a.line(line) {
		return slowPath
	}
	length, ok := a.fields(rest, opt)
	if !ok {
		return slowPath
	}
	a.body = body
	a.end = a.body + length
	switch {
	case a.end > maxAnswer || len(in) > a.end: // too large, or more than asked for
		return slowPath
	case len(in) < a.end:
		return partial
	}
	a.head = appendLength(a.head, length)
	return fastPath
}

// line reads the status line, if its status may have a body.
func (a *response) line(line []byte) bool {
	const version = "HTTP/1.1 "
	rest, ok := bytes.CutPrefix(line, []byte(version))
	if !ok || len(rest) < 3 || len(rest) > 3 && rest[3] != ' ' {
		return false
	}
	if a.status, ok = number(rest[:3]); !ok {
		return false
	}
	if a.status < 200 || a.status > 599 || a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		return false
	}
	a.head = append(append(a.head[:0], version...), rest[:3]...)
	a.head = append(append(a.head, ' '), http.StatusText(a.status)...)
	a.head = append(a.head, lineEnd...)
	return true
}

// fields reads the headers and returns the length of the body.
func (a *response) fields(lines []byte, opt *Options) (length int, ok bool) {
	a.dated = false
	sized, allowed := false, false
	vary := opt.byOrigin()
	for len(lines) > 0 {
		var line, name, value []byte
		if line, lines, ok = cutLine(lines); !ok {
			return 0, false
		}
		before := len(a.head)
		if a.head, name, value, ok = appendField(a.head, line); !ok {
			return 0, false
		}
		switch string(name) {
		case "Content-Length":
			if length, ok = number(value); !ok || sized {
				return 0, false
			}
			sized = true
			a.head = a.head[:before]
		case "Connection":
			if !bytes.EqualFold(value, []byte("keep-alive")) {
				return 0, false
			}
			a.head = a.head[:before]
		case "Date":
			a.dated = true
		case "Access-Control-Allow-Origin":
			allowed = true
		case "Vary":
			vary = vary && string(value) != "Origin"
		case "X-Func-Error", "Pragma": // the gateway's, and net/http adds to it
			return 0, false
		default:
			if upstream.HopByHop(name) {
				return 0, false
			}
			if upstream.Private(name) {
				a.head = a.head[:before]
			}
		}
	}
	if opt.anyOrigin() && !allowed {
		a.head = append(a.head, "Access-Control-Allow-Origin: *\r\n"...)
	}
	if vary {
		a.head = append(a.head, "Vary: Origin\r\n"...)
	}
	return length, sized
}
