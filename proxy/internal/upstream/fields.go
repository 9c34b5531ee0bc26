package upstream

import (
	"net/http"
	"net/textproto"
	"strings"
)

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
	case "Age", "Authorization", "Cache-Control", "Cookie", "Date", "Expires", "Location",
		"Max-Forwards", "Pragma", "Range", "Retry-After", "Set-Cookie", "Vary", "Www-Authenticate":
		return false
	}
	return !own(name) && !strings.HasPrefix(name, "If-")
}

// own says whether a header, in canonical form, is one whose value workers
// take for the proxy's word, or that says what a message is.
func own(name string) bool {
	for _, prefix := range [...]string{"Content-", "Ce-", "Event-", "X-Forwarded-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return HopByHop(name) || Private(name) || name == "Host" || name == "Expect" || name == proxyName
}

// proxyName is a header that programs of the CGI kind take for the setting
// HTTP_PROXY, so that their outgoing requests go wherever a client wishes
// ("httpoxy"). No standard has it.
const proxyName = "Proxy"

// Plain says whether a header's name has none but letters, digits and dashes.
func Plain(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		default:
			return false
		}
	}
	return true
}

// RemoveShadows removes headers that a worker could take for others. Programs
// of the CGI kind know headers by names in which every "-", and often every
// other character, is "_": to them, X_Forwarded_For is X-Forwarded-For. A name
// that is not plain stays if no header of the request, and none that workers
// trust the proxy with, looks the same then.
func RemoveShadows(h http.Header) {
	delete(h, proxyName)
	var odd map[string][]string // by what they look like
	for name := range h {
		if !Plain(name) {
			if odd == nil {
				odd = map[string][]string{}
			}
			looks := http.CanonicalHeaderKey(strings.Map(dashed, name))
			odd[looks] = append(odd[looks], name)
		}
	}
	for looks, names := range odd {
		if _, there := h[looks]; there || len(names) > 1 || own(looks) {
			for _, name := range names {
				delete(h, name)
			}
		}
	}
}

func dashed(c rune) rune {
	if Plain(string(c)) {
		return c
	}
	return '-'
}

// trailers returns what of a client's trailers may be forwarded.
func trailers(t http.Header) http.Header {
	out := http.Header{}
	for name, values := range t {
		if Trailing(http.CanonicalHeaderKey(strings.Map(dashed, name))) {
			out[name] = values
		}
	}
	RemoveShadows(out)
	return out
}
