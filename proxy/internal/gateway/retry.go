package gateway

import (
	"errors"
	"net/http"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// Retry says which calls may run twice if a worker ends without a byte of an
// answer. What no worker has got a byte of is tried again in any case.
type Retry int

// The kinds of Retry.
const (
	RetryIdempotent Retry = iota // those that their clients may repeat, too
	RetryAll                     // all: the function says that it does not mind
	RetryNone
)

// again says whether to run the call once more after its worker's connection
// has ended, and ends it on that worker then. A worker of several calls takes
// all of them along when one ends it.
func (c *call) again(err error) bool {
	var malformed *upstream.MalformedError
	if c.retried || c.source != nil || c.conn.Answered() || errors.As(err, &malformed) ||
		c.conn.Sent() && !c.g.repeatable(c.r) {
		return false
	}
	c.retried, c.sent = true, false
	c.end().Broken(c.deadline)
	c.g.opt.Log.Warn("call tried again", "method", c.r.Method, "path", c.r.URL.EscapedPath(), "error", err)
	if c.head == nil {
		c.head = c.prepare(nil)
	}
	return true
}

// repeatable says whether a call may run twice. Facts: RFC 9110, 9.2.2; the
// header is that of draft-ietf-httpapi-idempotency-key-header.
func (g *Gateway) repeatable(r *http.Request) bool {
	switch g.opt.Retry {
	case RetryAll:
		return true
	case RetryNone:
		return false
	}
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return true
	}
	return len(r.Header["Idempotency-Key"]) > 0
}
