package front

import (
	"errors"
	"net/http"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

type state int

const (
	reading state = iota // a request, if not still sending an answer
	waiting              // for a worker, or for a connection to it
	calling              // waiting for the worker's answer
	ended                // with an answer: waiting for the client to close, too
)

// client is the connection of a client.
type client struct {
	loop    *loop
	fd      int // -1 when it was closed or handed over
	address string
	state   state
	in      []byte // what has come, from the start of the request at hand
	more    bool   // there may be more to read
	left    bool   // no more will come
	gone    bool   // since there is nobody any more, most likely
	out     []byte // of the answer, what the system had no room for
	last    bool   // the connection ends with the answer
	listEntry

	request  request
	start    time.Time // when it had come
	wait     *pool.Wait
	lease    *pool.Lease
	link     *link
	id       string // of pool.Lease.CallID
	deadline time.Time
}

// ready implements conn.
func (c *client) ready(events uint32) {
	if events&leftEvents != 0 {
		c.left = true
		c.gone = c.gone || events&resetEvents != 0 || c.state != reading && time.Since(c.start) > halfCloseWithin
	}
	if events&(syscall.EPOLLIN|leftEvents) != 0 {
		c.more = true
	}
	if len(c.out) > 0 && events&syscall.EPOLLOUT != 0 {
		c.write(c.out, c.last)
	}
	c.serve()
}

// serve goes on until there is something to wait for.
func (c *client) serve() {
	if c.state == ended {
		c.discard()
		return
	}
	for c.fd >= 0 && c.state == reading && len(c.out) == 0 {
		if c.in = skipEmptyLines(c.in, emptyLines); len(c.in) > 0 {
			switch c.request.parse(c.in, &c.loop.front.opt) {
			case fastPath:
				c.begin()
				continue
			case slowPath:
				c.handOver(nil)
				return
			}
		}
		if !c.more {
			c.await()
			return
		}
		c.read()
	}
	if c.fd < 0 || !c.gone || c.state == reading {
		return
	}
	// The gateway looks after a call without a client.
	if c.state == calling {
		c.handOverCall(nil)
	} else {
		c.handOver(nil)
	}
}

// discard reads what comes after the end.
func (c *client) discard() {
	for c.fd >= 0 && c.more {
		c.read()
		c.in = c.in[:0]
	}
}

// await puts the client where its next request, or the rest of one, is waited for.
func (c *client) await() {
	l := c.loop
	switch {
	case len(c.in) > 0 && c.list != &l.unfinished:
		l.unfinished.push(c, l.now)
	case len(c.in) == 0 && c.list != &l.unfinished && l.draining:
		c.close()
	case len(c.in) == 0 && c.list == nil:
		l.idle.push(c, l.now)
	}
}

func (c *client) read() {
	buf := c.loop.read
	n, err := read(c.fd, buf)
	if errors.Is(err, syscall.EAGAIN) {
		c.more = false
		return
	}
	if err == nil && n == 0 && len(c.in) > 0 && c.state == reading {
		c.handOver(nil) // who is told that the request is no whole one
		return
	}
	if n == 0 || err != nil {
		c.close()
		return
	}
	c.in = append(c.in, buf[:n]...)
	c.more = n == len(buf) || c.left
}

// begin takes a worker for the request.
func (c *client) begin() {
	c.unlist()
	c.start = time.Now()
	lease, wait, err := c.loop.front.opt.Pool.Take(c)
	switch {
	case err != nil:
		c.refused(err)
	case wait != nil:
		c.state, c.wait = waiting, wait
	default:
		c.granted(lease)
	}
}

// Taken implements pool.Taker.
func (c *client) Taken(lease *pool.Lease, err error) {
	c.loop.post(message{client: c, lease: lease, err: err})
}

// refused has the gateway say that there is no worker.
func (c *client) refused(err error) {
	c.wait = nil
	c.handOver(&gateway.Begun{Start: c.start, Err: err})
}

// connectWithin bounds connecting to a local process.
const connectWithin = 5 * time.Second

// granted sends the call to the worker, or first connects to it.
func (c *client) granted(lease *pool.Lease) {
	c.wait, c.lease = nil, lease
	c.id = lease.CallID()
	c.deadline = time.Now().Add(c.loop.front.opt.Timeout)
	if kept := lease.Kept(); kept != nil {
		if k := c.loop.link(kept); k != nil && c.send(k) == nil {
			return
		}
	}
	c.state = waiting
	go func() {
		m := message{client: c, lease: lease}
		conn, err := lease.Conn(min(connectWithin, c.loop.front.opt.Timeout))
		if err == nil {
			m.fd, err = conn.Detach()
		}
		m.err, m.dialed = err, err == nil
		c.loop.post(m)
	}()
}

// connected sends the call over a new connection.
func (c *client) connected(fd int) {
	err := error(syscall.EMFILE)
	if k := c.loop.newLink(fd); k != nil {
		if err = c.send(k); err == nil {
			return
		}
	}
	c.unreachable(c.lease, err)
}

// unreachable hands a call over whose worker takes no connections: its turn has
// come already.
func (c *client) unreachable(lease *pool.Lease, err error) {
	c.lease = nil
	lease.Unreachable(err)
	c.handOver(&gateway.Begun{Start: c.start, Deadline: c.deadline})
}

// send sends the call. If it fails, the worker has got nothing and the link is
// closed.
func (c *client) send(k *link) error {
	l := c.loop
	out := append(l.toWorker[:0], c.request.head...)
	if !c.request.forwarded {
		out = appendLine(out, "X-Forwarded-For", c.address)
	}
	if c.id != "" {
		out = appendLine(out, pool.CallHeader, c.id)
	}
	out = append(out, lineEnd...)
	out = append(out, c.in[c.request.body:c.request.end]...)
	l.toWorker = out
	n, err := write(k.fd, out)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		k.Close()
		return err
	}
	c.state, c.link, k.call = calling, k, c
	if n < len(out) {
		c.handOverCall(append([]byte(nil), out[n:]...))
		return nil
	}
	l.running.push(c, l.now)
	return nil
}

func appendLine(out []byte, name, value string) []byte {
	out = append(append(out, name...), ": "...)
	return append(append(out, value...), lineEnd...)
}

// answer passes the worker's answer, which begins data.
func (c *client) answer(data []byte) {
	l, k, lease, q := c.loop, c.link, c.lease, &c.request
	last := q.close || l.draining || l.front.leaving.Load()
	status, body := l.response.status, data[l.response.body:l.response.end]
	out := append(l.toClient[:0], l.response.head...)
	if !l.response.dated {
		out = append(out, l.dateLine()...)
	}
	if last {
		out = append(out, "Connection: close\r\n"...)
	}
	out = append(append(out, lineEnd...), body...)
	l.toClient = out
	k.call, k.in = nil, reuse(k.in)
	c.unlist()
	c.state, c.lease, c.link = reading, nil, nil
	lease.Release(k)
	l.collect() // the worker's next call may wait
	if c.fd < 0 {
		return
	}
	c.write(out, last)
	l.front.opt.Gateway.Called(c.start, q.method, q.path, status, len(body))
	q.head = reuse(q.head)
	if rest := c.in[q.end:]; len(rest) > 0 {
		c.in = append([]byte(nil), rest...)
	} else {
		c.in = reuse(c.in)
	}
	c.serve()
}

// reuse empties a buffer, and drops one that is too large to be kept.
func reuse(b []byte) []byte {
	if cap(b) > keepRoom {
		return nil
	}
	return b[:0]
}

// write sends an answer, or what is left of one.
func (c *client) write(out []byte, last bool) {
	n, err := write(c.fd, out)
	if err != nil && !errors.Is(err, syscall.EAGAIN) {
		c.close()
		return
	}
	if c.last = last; n < len(out) {
		c.out = append([]byte(nil), out[n:]...)
		c.loop.flushing.push(c, c.loop.now)
		return
	}
	c.out = nil
	c.unlist()
	switch {
	case last && c.loop.draining:
		c.linger()
	case last:
		c.close()
	}
}

// linger waits for the client to close the connection, too, as a sign that it
// has the answer. Shortly after the process ends, so does the container, and
// what is still on its way out of it is lost.
func (c *client) linger() {
	_ = syscall.Shutdown(c.fd, syscall.SHUT_WR) // it may have closed already
	c.state, c.more = ended, true
	c.loop.lingering.push(c, c.loop.now)
}

// handOver gives the connection to net/http, with what has been read of it and
// the call that has begun, if any.
func (c *client) handOver(begun *gateway.Begun) {
	fd := c.fd
	c.loop.poll.remove(fd)
	c.forget()
	c.loop.front.moving.Add(1)
	go c.loop.front.handOver(fd, c.in, begun, c.gone)
}

// handOverCall hands over a call that the worker has got, but for what is unsent.
func (c *client) handOverCall(unsent []byte) {
	k := c.link
	conn, err := upstream.Adopt(k.detach(), k.in)
	if err != nil { // the function must not be called twice
		c.loop.front.opt.Log.Error("call lost", "error", err)
		c.lease.Abandon(c.deadline)
		c.close()
		return
	}
	c.handOver(&gateway.Begun{Start: c.start, Lease: c.lease, Conn: conn, Unsent: unsent, ID: c.id, Deadline: c.deadline})
}

// abandon closes the connection and gives its call up.
func (c *client) abandon() {
	if c.state == calling {
		c.link.Close()
		c.lease.Abandon(c.deadline)
		c.loop.front.opt.Log.Warn("call cut", "method", c.request.method, "path", c.request.path, "status", http.StatusServiceUnavailable)
	}
	c.close()
}

// close ends a connection without a call.
func (c *client) close() {
	fd := c.fd
	c.forget()
	syscall.Close(fd)
}

// forget takes the client out of the loop. A call that waits for a worker leaves
// the queue.
func (c *client) forget() {
	l := c.loop
	c.unlist()
	if c.wait != nil {
		l.front.opt.Pool.Leave(c.wait)
		c.wait = nil
	}
	l.conns[c.fd] = nil
	l.clients--
	c.fd = -1
}
