package front

import (
	"bytes"
	"net/http"

	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// request is a request for the fast path: HTTP/1.1, a usual method, a body
// that is small and has a length, and nothing that asks the server for more
// than to pass it on.
type request struct {
	method    string
	path      string
	head      []byte // for the worker: the request line and all headers but those of the proxy's own
	body      int    // where the body begins
	end       int    // where the request ends
	forwarded bool   // it has an X-Forwarded-For
	close     bool   // no other request follows
}

// parse reads a request from the start of in. It accepts nothing that net/http
// and the gateway would refuse, answer themselves or change in another way.
func (q *request) parse(in []byte, opt *Options) verdict {
	line, rest, body, v := cutHead(in)
	if v != fastPath {
		return v
	}
	if !q.line(line, opt) {
		return slowPath
	}
	length, ok := q.fields(rest, opt)
	if !ok || length > gateway.SmallBody || opt.MaxBody > 0 && int64(length) > opt.MaxBody {
		return slowPath
	}
	q.body = body
	q.end = q.body + length
	if len(in) < q.end {
		return partial
	}
	if length > 0 || q.method == http.MethodPost || q.method == http.MethodPut || q.method == http.MethodPatch {
		q.head = appendLength(q.head, length)
	}
	if int64(len(q.head)+extraRoom) > opt.MaxHeader {
		return slowPath
	}
	return fastPath
}

// extraRoom is for what send adds to a head, in bytes: an X-Forwarded-For, the
// call's ID and the empty line.
const extraRoom = 64 + gateway.CallRoom

// line reads the request line.
func (q *request) line(line []byte, opt *Options) bool {
	method, rest, _ := bytes.Cut(line, []byte(" "))
	target, version, _ := bytes.Cut(rest, []byte(" "))
	var ok bool
	if q.method, ok = fastPathMethod(string(method)); !ok {
		return false
	}
	path, query, _ := bytes.Cut(target, []byte("?"))
	q.path = string(path)
	if string(version) != "HTTP/1.1" || !plainPath(path) || !plainQuery(query) || opt.reserved(q.path) {
		return false
	}
	q.head = append(append(q.head[:0], line...), lineEnd...)
	return true
}

// fastPathMethod returns a method that is for the fast path, without keeping
// what it was read from.
func fastPathMethod(s string) (string, bool) {
	for _, method := range [...]string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if s == method {
			return method, true
		}
	}
	return "", false
}

// plainPath says whether a path is one that nobody would encode or decode.
func plainPath(path []byte) bool {
	if len(path) == 0 || path[0] != '/' || len(path) > 1 && path[1] == '/' {
		return false
	}
	for _, c := range path {
		if !plain(c) {
			return false
		}
	}
	return true
}

func plainQuery(query []byte) bool {
	for _, c := range query {
		if !plain(c) && c != '%' && c != '?' {
			return false
		}
	}
	return true
}

// plain are the characters of a path segment, without percent-encoding, and
// the slash. Facts: RFC 3986, 3.3.
func plain(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	switch c {
	case '/', '-', '.', '_', '~', '!', '$', '&', '\'', '(', ')', '*', '+', ',', ';', '=', ':', '@':
		return true
	}
	return false
}

// events is how the media types of structured CloudEvents begin.
const events = "application/cloudevents"

// fields reads the headers and returns the length of the body.
func (q *request) fields(lines []byte, opt *Options) (length int, ok bool) {
	q.forwarded, q.close = false, false
	host, sized := false, false
	for len(lines) > 0 {
		var line, name, value []byte
		if line, lines, ok = cutLine(lines); !ok {
			return 0, false
		}
		before := len(q.head)
		if q.head, name, value, ok = appendField(q.head, line); !ok {
			return 0, false
		}
		switch string(name) {
		case "Host":
			if host || !plainHost(value) {
				return 0, false
			}
			host = true
		case "Content-Length":
			if length, ok = number(value); !ok || sized {
				return 0, false
			}
			sized = true
			q.head = q.head[:before]
		case "Connection":
			last := bytes.EqualFold(value, []byte("close"))
			if !last && !bytes.EqualFold(value, []byte("keep-alive")) {
				return 0, false
			}
			q.close = q.close || last
			q.head = q.head[:before]
		case "X-Forwarded-For":
			q.forwarded = true
		case "Content-Type":
			if len(value) >= len(events) && bytes.EqualFold(value[:len(events)], []byte(events)) {
				return 0, false
			}
		case "Origin":
			if !opt.anyOrigin() {
				return 0, false
			}
		case "Expect", "Pragma": // net/http answers the one and adds to the other
			return 0, false
		case "Proxy": // the gateway's business, as names with "_" are
			return 0, false
		default:
			if bytes.IndexByte(name, '_') >= 0 {
				return 0, false
			}
			if upstream.HopByHop(name) || upstream.Private(name) || bytes.HasPrefix(name, []byte("Ce-")) {
				return 0, false
			}
		}
	}
	return length, host
}

// plainHost says whether a Host header is a name or an address, with or
// without a port.
func plainHost(host []byte) bool {
	for _, c := range host {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case c == '-', c == '.', c == '_', c == ':', c == '[', c == ']':
		default:
			return false
		}
	}
	return len(host) > 0
}
