// Package front serves the usual requests in event loops: small ones,
// on kept connections, whose answers are small. Each loop waits for all of its
// clients and of their workers at once, and spends five system calls on a
// call: no goroutine waits for it, and no timer runs.
//
// Everything else it hands over, connection and all, to net/http and the
// gateway: other requests before they are begun, and calls that need the
// slow path (over time, the client gone, a stream, an exception, a crash) as
// they are, for the gateway to end. So what is rare is written once, there;
// here a call either ends well or is handed over. A connection does not come
// back; it ends when net/http has served enough requests on it that a loop could
// have served. Without loops, all connections are handed over as they come.
package front

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/gateway"
	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/socket"
)

// Options say how to serve.
type Options struct {
	Gateway     *gateway.Gateway
	Pool        *pool.Pool
	Log         *slog.Logger
	Loops       int           // how many event loops share the clients; 0: net/http serves all
	Timeout     time.Duration // of a call
	IdleTimeout time.Duration // of a connection without a call
	WriteWithin time.Duration // how long a client may take for a part of an answer
	MaxBody     int64         // bytes; 0 is no limit
	MaxHeader   int64         // bytes of a request's head, as a worker gets it
	Reserved    []string      // paths that are not the function's
	Origins     []string      // that CORS allows
}

func (o *Options) reserved(path string) bool { return slices.Contains(o.Reserved, path) }

// anyOrigin says that answers are for every origin, and byOrigin that they
// depend on it.
func (o *Options) anyOrigin() bool { return slices.Contains(o.Origins, "*") }
func (o *Options) byOrigin() bool  { return len(o.Origins) > 0 && !o.anyOrigin() }

// Front is a set of event loops on one port.
type Front struct {
	opt      Options
	listener *net.TCPListener
	fd       int // of the listener, a copy for the loops
	loops    []*loop
	drained  sync.WaitGroup // of the loops
	failed   chan error

	handed  chan *handed
	moving  sync.WaitGroup // connections on their way to handed
	closed  chan struct{}  // nobody takes from handed any more
	closing sync.Once

	leaving   atomic.Bool // answers end their connections
	stopping  atomic.Bool
	lingering sync.WaitGroup // handed connections that wait for their clients
}

// New starts to serve. The listener is the front's from here on.
func New(listener *net.TCPListener, opt Options) (*Front, error) {
	f := &Front{opt: opt, listener: listener, handed: make(chan *handed), closed: make(chan struct{}),
		failed: make(chan error, opt.Loops)}
	if err := f.listen(); err != nil {
		return nil, err
	}
	for range opt.Loops {
		l, err := newLoop(f)
		if err != nil {
			return nil, err
		}
		f.loops = append(f.loops, l)
	}
	for _, l := range f.loops {
		f.drained.Add(1)
		go func() {
			defer f.drained.Done()
			if err := l.run(); err != nil {
				f.failed <- err
			}
		}()
	}
	if opt.Loops == 0 {
		f.drained.Add(1)
		go f.handOverAll()
	}
	return f, nil
}

// handOverAll gives every connection to net/http as it comes.
func (f *Front) handOverAll() {
	defer f.drained.Done()
	for {
		conn, err := f.listener.AcceptTCP()
		switch {
		case err == nil:
			f.moving.Add(1)
			go f.give(&handed{Conn: conn, front: f})
		case f.stopping.Load():
			return
		default:
			f.opt.Log.Warn("accepting connections", "error", err, "next try in", acceptPause)
			time.Sleep(acceptPause)
		}
	}
}

// Failed tells when a loop has ended because of an error.
func (f *Front) Failed() <-chan error { return f.failed }

// keepAlive is how often the system asks silent clients whether they are
// there, in seconds; net's default.
const keepAlive = 15

// listen prepares the listener; the options are inherited by what it accepts.
func (f *Front) listen() error {
	raw, err := f.listener.SyscallConn()
	if err != nil {
		return fmt.Errorf("preparing the listener: %w", err)
	}
	if f.fd, err = socket.Duplicate(raw); err != nil {
		return fmt.Errorf("preparing the listener: %w", err)
	}
	for _, o := range [][3]int{
		{syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1},
		{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, keepAlive},
		{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, keepAlive},
	} {
		if err := syscall.SetsockoptInt(f.fd, o[0], o[1], o[2]); err != nil {
			return fmt.Errorf("preparing the listener: %w", err)
		}
	}
	return nil
}

// Leave ends each connection with its next answer, so that clients that keep
// theirs go elsewhere before Shutdown.
func (f *Front) Leave() { f.leaving.Store(true) }

// Shutdown stops to accept connections and closes those without a call. It
// returns when all calls have been answered or handed over, or ctx has ended.
func (f *Front) Shutdown(ctx context.Context) error {
	f.stop(message{drain: true})
	done := make(chan struct{})
	go func() {
		f.drained.Wait()
		f.moving.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for calls to end: %w", ctx.Err())
	}
}

// Close drops all connections.
func (f *Front) Close() {
	f.stop(message{drain: true, drop: true})
	f.closing.Do(func() {
		close(f.closed)
		f.drained.Wait()
		f.lingering.Wait()
		syscall.Close(f.fd)
	})
}

// acceptRest takes the connections that have been made but not accepted. They
// would be reset.
func (f *Front) acceptRest() {
	for {
		fd, _, err := syscall.Accept4(f.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		if err != nil {
			return
		}
		f.moving.Add(1)
		go f.handOver(fd, nil, nil, false)
	}
}

func (f *Front) stop(m message) {
	if !f.stopping.Swap(true) {
		f.acceptRest()
	}
	f.listener.Close()
	_ = syscall.Shutdown(f.fd, syscall.SHUT_RDWR) // the copy, too, listens no more
	for _, l := range f.loops {
		l.post(m)
	}
}
