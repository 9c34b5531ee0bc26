package gateway

import (
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// attempts is how many workers are tried if connecting fails. Nothing was sent
// then, so the function is not called twice.
const attempts = 3

// call is one call of the function while it runs on a worker.
type call struct {
	g        *Gateway
	w        http.ResponseWriter
	r        *http.Request
	body     body
	request  upstream.Request
	head     []byte // of the request
	lease    *pool.Lease
	conn     *upstream.Conn
	id       string // of pool.Lease.CallID
	deadline time.Time
	source   *source    // of the upload
	upload   chan error // the outcome of sending a streamed body; nil if there is none
	sent     bool       // the whole body was sent
	taking   pace       // of the client that gets the answer
	gone     bool       // the client has gone, as the watch saw
	retried  bool
	extra    [1][2]string
}

// function passes a request to a worker.
func (g *Gateway) function(w http.ResponseWriter, r *http.Request) outcome {
	var deadline time.Time
	if begun := takeBegun(r.Context()); begun != nil {
		switch {
		case begun.Err != nil:
			return g.refused(w, r, begun.Err)
		case begun.Lease != nil:
			return g.resume(w, r, begun)
		}
		deadline = begun.Deadline
	}
	upstream.RemoveShadows(r.Header)
	b, status, err := g.body(w, r)
	if err != nil {
		return g.refuse(w, r, status, err)
	}
	if b.buffer != nil {
		defer g.buffers.Put(b.buffer)
	}
	c := &call{g: g, w: w, r: r, body: b, deadline: deadline}
	buf := g.heads.Get().(*[]byte)
	defer g.heads.Put(buf)
	if *buf = c.prepare((*buf)[:0]); int64(len(*buf)+CallRoom) > g.opt.MaxHeader {
		return g.refuse(w, r, http.StatusRequestHeaderFieldsTooLarge, errHeadTooLarge)
	}
	c.head = *buf
	if b.stream != nil {
		if err := g.lane.enter(r.Context()); err != nil {
			return g.refused(w, r, err)
		}
		c.source = newSource(w, b, g.lane.leave)
		defer c.source.free()
	}
	defer c.giveUp()
	return c.onWorker()
}

// onWorker runs the call on the next worker that is free. Its time counts from
// the first that takes it.
func (c *call) onWorker() outcome {
	g := c.g
	for attempt := 1; ; attempt++ {
		acquire := g.opt.Pool.Acquire
		if !c.deadline.IsZero() { // it has had its turn
			acquire = g.opt.Pool.AcquireAgain
		}
		var err error
		if c.lease, err = acquire(c.r.Context()); err != nil {
			return g.refused(c.w, c.r, err)
		}
		if c.deadline.IsZero() {
			c.deadline = time.Now().Add(g.opt.Timeout)
		}
		if c.conn, err = c.lease.Conn(min(connectWithin, g.opt.Timeout)); err == nil {
			return c.run()
		}
		c.end().Unreachable(err)
		if attempt == attempts {
			g.opt.Log.Error("no worker takes connections", "error", err)
			return g.refused(c.w, c.r, &pool.UnavailableError{Reason: err.Error()})
		}
	}
}

// CallRoom is how much a call's ID adds to a request's head at most, in bytes:
// pool.CallHeader, 13 digits of base 36, and the end of the head.
const CallRoom = len(pool.CallHeader) + len(": ") + 13 + len("\r\n\r\n")

// errHeadTooLarge is the error of a head beyond FUNC_MAX_HEADER.
var errHeadTooLarge = errors.New("the request header is too large")

// refuse answers a request that no worker gets. What is left of its body is
// not wanted, so the connection ends.
func (g *Gateway) refuse(w http.ResponseWriter, r *http.Request, status int, err error) outcome {
	w.Header().Set("Connection", "close")
	return g.fail(w, r, status, err.Error(), "")
}

// connectWithin bounds connecting to a local process.
const connectWithin = 5 * time.Second

// end returns the lease to whoever says how the call ended, once.
func (c *call) end() *pool.Lease {
	lease := c.lease
	c.lease = nil
	return lease
}

// giveUp ends a call that nobody has ended, because its handler panics: the
// worker must not be taken for busy ever after.
func (c *call) giveUp() {
	if c.lease == nil {
		return
	}
	if c.conn != nil {
		_ = c.endUpload()
		c.g.watch.remove(c)
		c.conn.Close()
	}
	c.end().Abandon(c.deadline)
}

// run sends the request, and answers with the response. Deadline and the
// client's leaving both make the connection's reads and writes fail.
func (c *call) run() outcome {
	c.g.watch.add(c)
	if err := c.send(); err != nil {
		return c.broken(err)
	}
	return c.receive()
}

func (c *call) receive() outcome {
	resp, err := c.conn.ReadResponse(c.r.Method, c.early)
	if err != nil {
		return c.broken(err)
	}
	return c.respond(resp)
}

// prepare appends the head of the request, as a worker gets it, but for the
// call's ID.
func (c *call) prepare(out []byte) []byte {
	r := c.r
	c.request = upstream.Request{Method: r.Method, URI: target(r), Host: r.Host, Header: r.Header,
		Length: int64(len(c.body.whole)), Extra: c.extra[:0]}
	if c.body.stream != nil {
		c.request.Length, c.request.Trailer = c.body.length, r.Trailer
	}
	out = c.request.AppendHead(out)
	if len(r.Header["X-Forwarded-For"]) == 0 {
		if host, _, err := net.SplitHostPort(r.RemoteAddr); err == nil {
			out = upstream.AppendField(out, "X-Forwarded-For", host)
		}
	}
	return out
}

// send sends a body that is there, or starts to stream one.
func (c *call) send() error {
	if c.id = c.lease.CallID(); c.id != "" {
		c.request.Extra = append(c.extra[:0], [2]string{pool.CallHeader, c.id})
	}
	c.conn.Begin()
	c.conn.WriteHead(c.head, &c.request)
	if c.source == nil {
		c.conn.Write(c.body.whole)
		c.sent = true
		return c.conn.Flush()
	}
	c.startUpload()
	return nil
}

// target is the request's path and query, made fit for a request line.
func target(r *http.Request) string {
	uri := r.URL.RequestURI()
	if strings.IndexByte(uri, ' ') >= 0 {
		uri = strings.ReplaceAll(uri, " ", "%20")
	}
	return uri
}

// early passes early hints. Its headers must not stay for the response.
func (c *call) early(h http.Header) {
	out := c.w.Header()
	connection := h["Connection"]
	for name, values := range h {
		if upstream.Passes(name, connection) && name != "Content-Length" {
			out[name] = values
		}
	}
	c.w.WriteHeader(http.StatusEarlyHints)
	for name := range h {
		delete(out, name)
	}
}

// broken answers a call whose connection failed before the response: over
// time, the client gone, a bad body, or the worker's end.
func (c *call) broken(err error) outcome {
	uploadErr := c.endUpload()
	if c.source != nil && !c.sent {
		c.w.Header().Set("Connection", "close") // what is left of the body is not wanted
	}
	gone := c.g.watch.remove(c)
	c.conn.Close()
	var bad *upstream.BodyError
	var o outcome
	switch {
	case !time.Now().Before(c.deadline):
		c.end().TimedOut(c.id)
		o = c.g.fail(c.w, c.r, http.StatusRequestTimeout, "the function ran longer than "+c.g.opt.Timeout.String(), "")
		o.failed = true
	case errors.As(uploadErr, &bad) && !gone:
		c.end().Abandon(c.deadline)
		o = c.g.fail(c.w, c.r, refusal(bad), bad.Error(), "")
	case gone:
		c.end().Abandon(c.deadline)
		o = outcome{status: statusGone, note: "the client left", abort: true}
	case c.again(err):
		return c.onWorker()
	default:
		c.end().Broken(c.deadline)
		c.g.opt.Log.Error("call failed", "error", err)
		text := "the function ended without an answer"
		if malformed := (*upstream.MalformedError)(nil); errors.As(err, &malformed) {
			text = "the function's answer is malformed"
		}
		o = c.g.fail(c.w, c.r, http.StatusInternalServerError, text, err.Error())
		o.failed = true
	}
	o.called = true
	return o
}
