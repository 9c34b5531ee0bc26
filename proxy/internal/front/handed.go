package front

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/socket"
)

// handed is a connection as net/http gets it.
type handed struct {
	net.Conn
	front    *Front
	begun    atomic.Pointer[gateway.Begun]
	active   atomic.Bool // a request is being answered
	fastPath int         // requests that looked as if a loop could have served them
	gone     bool        // the client has gone
	cut      atomic.Bool // nothing is written any more

	mu      sync.Mutex
	read    []byte // read already
	framing framing
	waits   time.Time     // since when for no more of a request
	late    bool          // reads are over
	stays   chan struct{} // closed when they are
}

// enough is how many requests that a loop could have served net/http serves on a
// connection before it asks the client for a new one, which starts in a loop
// again. Otherwise, one unusual request would make all others of a kept
// connection slow.
const enough = 16

// halfCloseWithin is how soon after its request a client ends what it sends
// if it still waits for the answer. Who ends it later has left, most likely:
// the system does not tell the difference.
const halfCloseWithin = 250 * time.Millisecond

// Read implements net.Conn.
func (h *handed) Read(p []byte) (int, error) {
	n, err := h.fill(p)
	for n > 0 {
		rest := h.saw(p[:n])
		if len(rest) > 0 || err != nil {
			return copy(p, rest), err
		}
		n, err = h.fill(p)
	}
	// One byte is what net/http asks for to learn whether the client goes.
	if errors.Is(err, io.EOF) && len(p) == 1 && !h.gone {
		return 0, h.stay()
	}
	return n, err
}

func (h *handed) fill(p []byte) (int, error) {
	h.mu.Lock()
	if len(h.read) > 0 {
		defer h.mu.Unlock()
		n := copy(p, h.read)
		h.read = h.read[n:]
		return n, nil
	}
	h.mu.Unlock()
	return h.Conn.Read(p)
}

// saw notes what has been read, and returns it without empty lines before a
// request.
func (h *handed) saw(p []byte) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.framing.scan(p)
}

// SetReadDeadline implements net.Conn.
func (h *handed) SetReadDeadline(t time.Time) error {
	h.mu.Lock()
	if t.IsZero() {
		h.waits = time.Now()
	}
	h.late = !t.IsZero() && !t.After(time.Now())
	if h.late && h.stays != nil {
		close(h.stays)
		h.stays = nil
	}
	h.mu.Unlock()
	return h.Conn.SetReadDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// Write implements net.Conn. A client must take what is written within a time.
func (h *handed) Write(p []byte) (int, error) {
	if !h.cut.Load() {
		_ = h.Conn.SetWriteDeadline(time.Now().Add(h.front.opt.WriteWithin)) // the write tells of an error
	}
	return h.Conn.Write(p) //nolint:wrapcheck // net/http looks at it
}

// SetWriteDeadline implements net.Conn. One in the past ends all writes.
func (h *handed) SetWriteDeadline(t time.Time) error {
	h.cut.Store(!t.IsZero() && !t.After(time.Now()))
	return h.Conn.SetWriteDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// stay returns, at the end of what a client sends, io.EOF if it has left. If it
// waits for its answer, that is not told before net/http stops reading.
func (h *handed) stay() error {
	h.mu.Lock()
	if time.Since(h.waits) > halfCloseWithin {
		h.mu.Unlock()
		return io.EOF
	}
	if h.late {
		h.mu.Unlock()
		return os.ErrDeadlineExceeded
	}
	stays := make(chan struct{})
	h.stays = stays
	h.mu.Unlock()
	<-stays
	return os.ErrDeadlineExceeded
}

// Close implements net.Conn. A call that nobody has taken is given up.
func (h *handed) Close() error {
	if b := h.begun.Swap(nil); b != nil {
		b.Drop()
	}
	h.mu.Lock()
	if h.stays != nil {
		close(h.stays)
		h.stays = nil
	}
	h.mu.Unlock()
	if tcp, ok := h.Conn.(*net.TCPConn); ok && h.active.Load() && h.front.stopping.Load() {
		h.front.lingering.Add(1)
		go h.linger(tcp)
		return nil
	}
	return h.Conn.Close()
}

// CloseWrite ends what is sent. net/http does so where it closes a connection
// before it has read all that comes: the answer would be lost with a reset.
func (h *handed) CloseWrite() error {
	if tcp, ok := h.Conn.(*net.TCPConn); ok {
		return tcp.CloseWrite() //nolint:wrapcheck // net/http looks at it
	}
	return nil
}

// linger waits as clients of loops do.
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
		if h, ok := r.Context().Value(handedKey{}).(*handed); ok && h.objects(w, r) {
			return
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

// objects ends the connection with the answer to a request that needs that,
// and refuses one whose framing makes no sense.
func (h *handed) objects(w http.ResponseWriter, r *http.Request) bool {
	h.mu.Lock()
	last, bad := h.framing.fault(r)
	h.mu.Unlock()
	last = last || h.front.leaving.Load()
	if h.front.opt.Loops > 0 && h.front.opt.looksFastPath(r) {
		h.fastPath++
		last = last || h.fastPath >= enough
	}
	if last {
		w.Header().Set("Connection", "close")
	}
	if bad {
		h.front.opt.Gateway.Refuse(w, r, http.StatusBadRequest, "HTTP/1.0 has no transfer encodings")
	}
	return bad
}

// looksFastPath says whether a request is most likely one for the fast path.
func (o *Options) looksFastPath(r *http.Request) bool {
	_, ok := fastPathMethod(r.Method)
	return ok && r.ProtoMajor == 1 && r.ContentLength >= 0 && r.ContentLength <= gateway.SmallBody &&
		!o.reserved(r.URL.Path)
}

// handOver gives a loop's connection away, from a goroutine that may wait.
func (f *Front) handOver(fd int, read []byte, begun *gateway.Begun, gone bool) {
	conn, err := socket.Adopt(fd)
	if err != nil {
		f.moving.Done()
		f.opt.Log.Error("connection lost", "error", err)
		if begun != nil {
			begun.Drop()
		}
		return
	}
	h := &handed{Conn: conn, front: f, read: read, gone: gone}
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
