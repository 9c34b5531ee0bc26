// Package upstream speaks HTTP/1.1 to one worker over one connection at a
// time. It is not net/http's Transport because the proxy must know which
// connection, and so which worker, runs a call: to stop that one alone, and
// never to send a call twice.
package upstream

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/socket"
)

// maxHeader is how many bytes of response headers a worker may send.
const maxHeader = 1 << 20

// Conn is a connection to a worker. One call at a time uses it; Interrupt may
// be called beside.
type Conn struct {
	net    net.Conn
	raw    syscall.RawConn
	in     limited
	out    sender
	br     *bufio.Reader
	bw     *bufio.Writer
	req    http.Request // what http.ReadResponse wants to know
	length [20]byte     // where numbers are formatted

	interrupted atomic.Bool
	probe       func(fd uintptr)
	alive       bool
}

// limited is an io.Reader that ends when a worker sends headers without end.
type limited struct {
	src  io.Reader
	left int  // negative is no limit
	got  bool // something
}

var errHeaderTooLarge = errors.New("the response header is too large")

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, errHeaderTooLarge
	}
	if l.left > 0 {
		p = p[:min(len(p), l.left)]
	}
	n, err := l.src.Read(p)
	l.got = l.got || n > 0
	if l.left > 0 {
		l.left -= n
	}
	return n, err
}

// sender is an io.Writer that knows whether anything was sent.
type sender struct {
	net.Conn
	sent bool
}

func (s *sender) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p)
	s.sent = s.sent || n > 0
	return n, err //nolint:wrapcheck // Flush does
}

// Dial connects to a worker. A Unix socket whose backlog is full says "try
// again", which is what Dial does until ctx ends.
func Dial(ctx context.Context, network, address string) (*Conn, error) {
	var d net.Dialer
	for {
		nc, err := d.DialContext(ctx, network, address)
		if err == nil {
			return newConn(nc, nil)
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil, fmt.Errorf("connecting to the worker: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("connecting to the worker: %w", ctx.Err())
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// Adopt makes a Conn of a file descriptor, which it takes, and of bytes that
// have been read from it.
func Adopt(fd int, read []byte) (*Conn, error) {
	nc, err := socket.Adopt(fd)
	if err != nil {
		return nil, fmt.Errorf("the connection to the worker: %w", err)
	}
	c, err := newConn(nc, read)
	if err == nil {
		c.out.sent = true // most likely
	}
	return c, err
}

func newConn(nc net.Conn, read []byte) (*Conn, error) {
	sc, ok := nc.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connecting to the worker: %T has no file descriptor", nc)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("connecting to the worker: %w", err)
	}
	c := &Conn{net: nc, raw: raw}
	c.in = limited{src: nc, left: -1}
	if len(read) > 0 {
		c.in.src = io.MultiReader(bytes.NewReader(read), nc)
	}
	c.br = bufio.NewReaderSize(&c.in, 4<<10)
	c.out = sender{Conn: nc}
	c.bw = bufio.NewWriterSize(&c.out, 4<<10)
	c.probe = func(fd uintptr) { c.alive = socket.Quiet(int(fd)) }
	return c, nil
}

// Conn returns c, which is ready for a next call.
func (c *Conn) Conn() (*Conn, error) { return c, nil }

// Detach closes c, but not the connection, whose file descriptor is the
// client's then. It must be idle.
func (c *Conn) Detach() (fd int, err error) {
	defer c.Close()
	if fd, err = socket.Duplicate(c.raw); err != nil {
		return 0, fmt.Errorf("the connection to the worker: %w", err)
	}
	return fd, nil
}

// Alive says whether an idle connection may be used again: the worker has
// neither closed it nor sent what nobody asked for.
func (c *Conn) Alive() bool {
	c.alive = false
	return c.raw.Control(c.probe) == nil && c.alive
}

// SetDeadline ends reads and writes at a time.
func (c *Conn) SetDeadline(t time.Time) error { return c.net.SetDeadline(t) }

// Interrupt makes reads and writes of the running call fail now; the
// connection is of no use afterwards.
func (c *Conn) Interrupt() {
	c.interrupted.Store(true)
	_ = c.net.SetDeadline(time.Unix(1, 0))
}

// Close closes the connection, which tells the worker that the client of the
// running call, if any, has gone.
func (c *Conn) Close() { _ = c.net.Close() }

// Idle says whether the connection is at the start of a next call.
func (c *Conn) Idle() bool { return !c.interrupted.Load() && c.br.Buffered() == 0 }

// MalformedError says that what a worker sent is no response that could be
// passed on.
type MalformedError struct{ Err error }

func (e *MalformedError) Error() string {
	return "the worker's response is malformed: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *MalformedError) Unwrap() error { return e.Err }

// Begin says that a call begins.
func (c *Conn) Begin() { c.in.got, c.out.sent = false, false }

// Sent says whether anything of the call was sent since Begin.
func (c *Conn) Sent() bool { return c.out.sent }

// Answered says whether anything came back since Begin.
func (c *Conn) Answered() bool { return c.in.got }

// ReadResponse reads a response header. early, if not nil, is called for each
// early hint before it; other interim responses mean nothing to a client. A
// response that is no HTTP/1, or whose status is not between 200 and 599, is a
// *MalformedError.
func (c *Conn) ReadResponse(method string, early func(h http.Header)) (*http.Response, error) {
	c.in.left = maxHeader
	defer func() { c.in.left = -1 }()
	c.req.Method = method
	for {
		resp, err := http.ReadResponse(c.br, &c.req)
		if err != nil {
			return nil, readError(err)
		}
		switch status := resp.StatusCode; {
		case resp.ProtoMajor != 1:
			return nil, &MalformedError{fmt.Errorf("its protocol is %q", resp.Proto)}
		case 200 <= status && status <= 599:
			return resp, nil
		case status == http.StatusEarlyHints:
			if early != nil {
				early(resp.Header)
			}
		case status != http.StatusContinue && status != http.StatusProcessing:
			return nil, &MalformedError{fmt.Errorf("its status is %d", status)}
		}
	}
}

// readError tells the end of a connection from what is no HTTP.
func readError(err error) error {
	var broken net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &broken) {
		return fmt.Errorf("reading the worker's response: %w", err)
	}
	return &MalformedError{err}
}

func (c *Conn) field(name, value string) {
	_, _ = c.bw.WriteString(name)
	_, _ = c.bw.WriteString(": ")
	_, _ = c.bw.WriteString(value)
	_, _ = c.bw.WriteString("\r\n")
}

func (c *Conn) number(n int64, base int) {
	_, _ = c.bw.Write(strconv.AppendInt(c.length[:0], n, base))
}
