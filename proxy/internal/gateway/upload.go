package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// source is a request's body of which not all has come when a worker is taken.
// One goroutine reads it; others may ask and stop it.
type source struct {
	pace
	first []byte // what was read before
	src   io.Reader
	free  func() // leaves the lane, once

	mu      sync.Mutex
	control *http.ResponseController
	ended   atomic.Bool // all of it has come, or no more will
	begun   atomic.Bool // the response has begun: reading may go on as slowly as it likes
	stopped bool
}

func newSource(w http.ResponseWriter, b body, leave func()) *source {
	return &source{first: b.first, src: b.stream, free: sync.OnceFunc(leave), control: http.NewResponseController(w)}
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if len(s.first) > 0 {
		n := copy(p, s.first)
		s.first = s.first[n:]
		return n, nil
	}
	s.wait()
	n, err := s.src.Read(p)
	s.end(n)
	if errors.Is(err, io.EOF) {
		s.ended.Store(true)
		s.free()
	}
	return n, err
}

// over says that it does not matter how fast the client sends.
func (s *source) over() bool { return s.ended.Load() || s.begun.Load() }

// stop makes reads fail as late ones, and with them the client's connection.
// Where all of the body has come that must not be: net/http waits for the next
// request by then, takes the end of that for the client's leaving, and cancels
// every later call of the connection.
func (s *source) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.ended.Load() && !s.stopped {
		s.stopped = true
		_ = s.control.SetReadDeadline(time.Unix(1, 0)) // it fails where the connection has ended
	}
}

// startUpload streams the body.
func (c *call) startUpload() {
	// The function may answer while it reads; HTTP/2 always allows that.
	_ = c.source.control.EnableFullDuplex()
	upload, source := make(chan error, 1), c.source
	c.upload = upload
	go func() {
		buf := c.g.buffers.Get().(*[]byte)
		defer c.g.buffers.Put(buf)
		err := c.conn.SendBody(&c.request, source, *buf, func() http.Header { return c.r.Trailer })
		source.free()
		upload <- err
		if bad := (*upstream.BodyError)(nil); errors.As(err, &bad) {
			c.conn.Interrupt() // the function waits for a body that never comes
		}
	}()
}

// endUpload stops the streaming of the body, if it still runs, and returns its
// error. The body must not be read after the handler has returned.
func (c *call) endUpload() error {
	if c.upload == nil {
		return nil
	}
	upload := c.upload
	c.upload = nil
	grace := uploadGrace
	if c.source.ended.Load() {
		grace = writeGrace
	}
	select {
	case err := <-upload:
		c.sent = err == nil
		return err
	case <-time.After(grace):
	}
	c.source.stop()
	c.conn.Interrupt()
	if err := <-upload; err != nil {
		c.g.opt.Log.Debug("upload stopped, as the response has ended", "error", err)
	}
	return nil
}

const (
	// uploadGrace is how long the client may go on sending after the response
	// has ended.
	uploadGrace = 10 * time.Millisecond
	// writeGrace is how long passing on what has come may take then: on a busy
	// machine the worker can have answered before the writer runs again.
	writeGrace = time.Second
)
