package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// errorHeader marks a response that is the trace of an exception.
const errorHeader = "X-Func-Error"

// maxTrace is how many bytes of a trace are logged.
const maxTrace = 64 << 10

// respond passes the worker's response to the client.
func (c *call) respond(resp *http.Response) outcome {
	if len(resp.Header[errorHeader]) > 0 {
		return c.exception(resp)
	}
	if c.source != nil {
		c.source.begun.Store(true)
	}
	o := outcome{status: resp.StatusCode, called: true, failed: resp.StatusCode >= 500}
	if 0 <= resp.ContentLength && resp.ContentLength <= SmallBody && resp.Body != http.NoBody {
		return c.small(resp, o)
	}
	c.header(resp)
	c.w.WriteHeader(resp.StatusCode)
	var readErr, writeErr error
	o.bytes, readErr, writeErr = c.copy(resp)
	if readErr == nil && writeErr == nil {
		c.trailer(resp)
		c.finish(resp)
		return o
	}
	_ = c.endUpload()
	gone := c.g.watch.remove(c)
	c.conn.Close()
	o.abort = true
	switch {
	case !time.Now().Before(c.deadline):
		c.end().TimedOut(c.id)
		o.note, o.failed = "cut: the function ran longer than "+c.g.opt.Timeout.String(), true
	case errors.Is(writeErr, os.ErrDeadlineExceeded):
		c.end().Abandon(c.deadline)
		o.note = "cut: the client takes the answer too slowly"
	case gone || writeErr != nil:
		c.end().Abandon(c.deadline)
		o.note = "the client left"
	default:
		c.end().Broken(c.deadline)
		o.note, o.failed = "cut: the function ended in the middle of its answer", true
	}
	return o
}

// small passes a response whose body is small. It is read before the client
// gets any of it, so that one who reads slowly keeps no worker, and one whose
// function ends early gets an error.
func (c *call) small(resp *http.Response, o outcome) outcome {
	buf := c.g.buffers.Get().(*[]byte)
	defer c.g.buffers.Put(buf)
	whole := (*buf)[:resp.ContentLength]
	if _, err := io.ReadFull(resp.Body, whole); err != nil {
		return c.broken(fmt.Errorf("reading the worker's response: %w", err))
	}
	c.finish(resp)
	c.header(resp)
	c.w.WriteHeader(o.status)
	n, err := c.write(whole)
	if o.bytes = int64(n); err != nil {
		o.note, o.abort = "the client left", true
	}
	return o
}

// header copies what is not about the connection to the worker.
func (c *call) header(resp *http.Response) {
	out := c.w.Header()
	connection := resp.Header["Connection"]
	for name, values := range resp.Header {
		if upstream.Passes(name, connection) {
			out[name] = values
		}
	}
	if len(out["Content-Type"]) == 0 {
		out["Content-Type"] = nil // keeps net/http from guessing one
	}
	if noBody(resp.StatusCode) {
		delete(out, "Content-Length") // a worker's mistake, which would outlast the response
	}
	for name := range resp.Trailer {
		if upstream.Trailing(name) {
			out.Add("Trailer", name)
		}
	}
	c.g.cors.allow(out, c.r)
}

// noBody says whether a status has no body, nor a length that tells of one.
// Facts: RFC 9110, 8.6; a 304 may tell of another response's.
func noBody(status int) bool { return status == http.StatusNoContent }

// copy streams the body. What has no length, such as server-sent events, is
// passed on part by part as it comes.
func (c *call) copy(resp *http.Response) (n int64, readErr, writeErr error) {
	if resp.Body == http.NoBody {
		return 0, nil, nil
	}
	live := resp.ContentLength < 0
	control := http.NewResponseController(c.w)
	if live {
		if writeErr = control.Flush(); writeErr != nil {
			return 0, nil, writeErr
		}
	}
	buf := c.g.buffers.Get().(*[]byte)
	defer c.g.buffers.Put(buf)
	for {
		k, err := resp.Body.Read(*buf)
		if k > 0 {
			var m int
			m, writeErr = c.write((*buf)[:k])
			n += int64(m)
			if writeErr == nil && live {
				c.taking.wait()
				writeErr = control.Flush()
				c.taking.end(0)
			}
			if writeErr != nil {
				return n, nil, writeErr
			}
		}
		if errors.Is(err, io.EOF) {
			return n, nil, nil
		}
		if err != nil {
			return n, err, nil
		}
	}
}

// write writes a part of the body, which the watch may end.
func (c *call) write(p []byte) (int, error) {
	c.taking.wait()
	n, err := c.w.Write(p)
	c.taking.end(n)
	return n, err
}

// stopAnswer makes writes of the answer fail.
func (c *call) stopAnswer() {
	_ = http.NewResponseController(c.w).SetWriteDeadline(time.Unix(1, 0)) // it fails where the connection has ended
}

// trailer copies trailers, those announced and those not.
func (c *call) trailer(resp *http.Response) {
	out := c.w.Header()
	for name, values := range resp.Trailer {
		if !upstream.Trailing(name) {
			continue
		}
		if _, announced := out[name]; !announced {
			name = http.TrailerPrefix + name
		}
		for _, v := range values {
			out.Add(name, v)
		}
	}
}

// finish gives the worker back after a whole response.
func (c *call) finish(resp *http.Response) {
	_ = c.endUpload()
	c.g.watch.remove(c)
	if c.sent && !resp.Close && c.conn.Idle() {
		c.end().Release(c.conn)
		return
	}
	c.conn.Close()
	if c.sent {
		c.end().Release(nil)
	} else {
		c.end().Abandon(c.deadline) // the worker may still want the rest of the body
	}
}

// exception answers for a function that failed: the trace goes to the log, and
// to the client only for debugging.
func (c *call) exception(resp *http.Response) outcome {
	trace, err := io.ReadAll(io.LimitReader(resp.Body, maxTrace))
	if err != nil {
		return c.broken(err)
	}
	if len(trace) == maxTrace {
		resp.Close = true // what is left is not read
	}
	text := strings.TrimRight(strings.ToValidUTF8(string(trace), "?"), "\n")
	c.g.opt.Traces.Print(text)
	kind := resp.Header.Get(errorHeader) // finish gives the response away
	c.finish(resp)
	o := c.g.fail(c.w, c.r, http.StatusInternalServerError, "the function failed", text)
	o.called, o.failed, o.note = true, true, "exception "+strconv.QuoteToASCII(kind)
	return o
}
