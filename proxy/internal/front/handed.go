package front

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/socket"
)

// handed is a connection as net/http gets it.
type handed struct {
	net.Conn
	front  *Front
	read   []byte // read already
	begun  atomic.Pointer[gateway.Begun]
	active atomic.Bool // a request is being answered
	common int         // requests that looked as if a loop could have served them
}

// enough is how many common requests net/http serves on a connection before it
// asks the caller for a new one, which starts in a loop again. Otherwise, one
// uncommon request would make all others of a kept connection slow.
const enough = 16

// Read implements net.Conn.
func (h *handed) Read(p []byte) (int, error) {
	if len(h.read) == 0 {
		return h.Conn.Read(p)
	}
	n := copy(p, h.read)
	h.read = h.read[n:]
	return n, nil
}

// Close implements net.Conn. A call that nobody has taken is given up.
func (h *handed) Close() error {
	if b := h.begun.Swap(nil); b != nil {
		b.Drop()
	}
	if tcp, ok := h.Conn.(*net.TCPConn); ok && h.active.Load() && h.front.stopping.Load() {
		h.front.lingering.Add(1)
		go h.linger(tcp)
		return nil
	}
	return h.Conn.Close()
}

// linger waits as callers of loops do.
func (h *handed) linger(tcp *net.TCPConn) {
	defer h.front.lingering.Done()
	defer tcp.Close()
	if errors.Join(tcp.CloseWrite(), tcp.SetReadDeadline(time.Now().Add(lingerFor))) == nil {
		_, _ = io.Copy(io.Discard, tcp) // until its end, or the deadline
	}
}

type handedKey struct{}

// Attach prepares a server, with its handler, for the connections that the
// front hands over.
func (f *Front) Attach(server *http.Server) {
	next := server.Handler
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := r.Context().Value(handedKey{}).(*handed); ok && f.opt.Loops > 0 && f.opt.looksCommon(r) {
			if h.common++; h.common >= enough {
				w.Header().Set("Connection", "close")
			}
		}
		next.ServeHTTP(w, r)
	})
	server.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		h, ok := c.(*handed)
		if !ok {
			return ctx
		}
		return gateway.WithBegun(context.WithValue(ctx, handedKey{}, h), &h.begun)
	}
	server.ConnState = func(c net.Conn, state http.ConnState) {
		if h, ok := c.(*handed); ok {
			h.active.Store(state == http.StateActive)
		}
	}
}

// looksCommon says whether a request is most likely of the common kind.
func (o *Options) looksCommon(r *http.Request) bool {
	_, ok := commonMethod(r.Method)
	return ok && r.ProtoMajor == 1 && r.ContentLength >= 0 && r.ContentLength <= gateway.SmallBody &&
		!o.reserved(r.URL.Path)
}

// handOver gives a loop's connection away, from a goroutine that may wait.
func (f *Front) handOver(fd int, read []byte, begun *gateway.Begun) {
	conn, err := socket.Adopt(fd)
	if err != nil {
		f.moving.Done()
		f.opt.Log.Error("connection lost", "error", err)
		if begun != nil {
			begun.Drop()
		}
		return
	}
	h := &handed{Conn: conn, front: f, read: read}
	h.begun.Store(begun)
	f.give(h)
}

// give waits for a server to take a connection.
func (f *Front) give(h *handed) {
	defer f.moving.Done()
	select {
	case f.handed <- h:
	case <-f.closed:
		h.Close()
	}
}

// Listener returns what the server must accept from. Several servers may take
// turns: each gets connections until it closes its listener.
func (f *Front) Listener() net.Listener { return &listener{front: f, closed: make(chan struct{})} }

type listener struct {
	front  *Front
	closed chan struct{}
	once   sync.Once
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case h := <-l.front.handed:
		return h, nil
	case <-l.closed:
	case <-l.front.closed:
	}
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return l.front.listener.Addr() }
