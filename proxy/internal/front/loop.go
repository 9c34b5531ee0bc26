package front

import (
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

const (
	// bufferSize is how much is read at once, in bytes.
	bufferSize = 64 << 10
	// keepRoom is how much room a connection keeps for its next call, in bytes.
	keepRoom = 4 << 10
	// patience is how long an unfinished request is waited for here.
	patience = 100 * time.Millisecond
	// acceptPause is the pause after a connection could not be accepted.
	acceptPause = 100 * time.Millisecond
	// lingerFor is how long a client may take to close a connection that ended
	// during a shutdown.
	lingerFor = time.Second
	// acceptAtOnce is how many connections are accepted before others are served.
	acceptAtOnce = 64
)

// loop serves its clients. All but the mailbox is touched by its own goroutine
// alone.
type loop struct {
	front   *Front
	poll    *poller
	conns   []conn // by file descriptor
	clients int

	idle, unfinished, running, flushing, lingering list
	acceptAt                                       time.Time // when accepting is tried again, if it paused
	draining                                       bool

	now                      time.Time // when the events came that are at hand
	date                     []byte    // header line of the second
	second                   int64
	read, toWorker, toClient []byte // buffers
	response                 response

	asleep atomic.Bool // or about to be
	mu     sync.Mutex
	mail   []message
	spare  []message
}

// conn is what the loop waits for. It may be told of events that are none.
type conn interface{ ready(events uint32) }

// message is what other goroutines tell a loop.
type message struct {
	client *client
	lease  *pool.Lease // of the client
	err    error       // instead of it; or with it: there is no connection
	fd     int         // a new connection, if dialed
	dialed bool

	drain, drop bool
}

func newLoop(f *Front) (*loop, error) {
	p, err := newPoller()
	if err != nil {
		return nil, err
	}
	l := &loop{front: f, poll: p, read: make([]byte, bufferSize),
		idle: list{limit: f.opt.IdleTimeout}, unfinished: list{limit: patience},
		running: list{limit: f.opt.Timeout}, flushing: list{limit: f.opt.IdleTimeout},
		lingering: list{limit: lingerFor}}
	if err := l.listen(); err != nil {
		p.close()
		return nil, err
	}
	return l, nil
}

// listen waits for connections; of several loops, one is told of each.
func (l *loop) listen() error {
	events := uint32(syscall.EPOLLIN)
	if l.front.opt.Loops > 1 {
		events |= epollExclusive
	}
	return l.poll.add(l.front.fd, events)
}

// run serves until all clients of a draining loop have gone. The poller stays
// open, since messages may still come, and wake it; the process ends soon.
func (l *loop) run() error {
	for {
		l.collect()
		if l.draining && l.clients == 0 {
			return nil
		}
		events, err := l.wait()
		if err != nil {
			return err
		}
		l.now = time.Now()
		// Workers first: those that they free take the calls that come.
		for _, workers := range []bool{true, false} {
			for _, e := range events {
				if _, is := l.at(e.Fd).(*link); is == workers {
					l.dispatch(e)
				}
			}
		}
		l.expire()
	}
}

func (l *loop) dispatch(e syscall.EpollEvent) {
	if int(e.Fd) == l.front.fd {
		l.accept()
	} else if c := l.at(e.Fd); c != nil {
		c.ready(e.Events)
	}
}

func (l *loop) at(fd int32) conn {
	if int(fd) < len(l.conns) {
		return l.conns[fd]
	}
	return nil
}

// add waits for a connection.
func (l *loop) add(fd int, c conn) error {
	for len(l.conns) <= fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[fd] = c
	return l.poll.add(fd, connEvents)
}

// wait returns events, those there are or the next.
func (l *loop) wait() ([]syscall.EpollEvent, error) {
	if events := l.poll.now(); len(events) > 0 {
		return events, nil
	}
	l.asleep.Store(true)
	defer l.asleep.Store(false)
	l.mu.Lock()
	waiting := len(l.mail) > 0
	l.mu.Unlock()
	if waiting {
		return nil, nil
	}
	return l.poll.wait(l.limit())
}

// limit is how long the loop may wait; negative is for ever.
func (l *loop) limit() time.Duration {
	var next time.Time
	for _, due := range []time.Time{l.idle.due(), l.unfinished.due(), l.running.due(), l.flushing.due(), l.lingering.due(), l.acceptAt} {
		if !due.IsZero() && (next.IsZero() || due.Before(next)) {
			next = due
		}
	}
	if next.IsZero() {
		return -1
	}
	return max(0, time.Until(next))
}

// expire ends what has waited for too long.
func (l *loop) expire() {
	for c := l.unfinished.expired(l.now); c != nil; c = l.unfinished.expired(l.now) {
		c.more = true // what has come by now counts
		if c.serve(); c.list == &l.unfinished {
			c.handOver(nil)
		}
	}
	for c := l.running.expired(l.now); c != nil; c = l.running.expired(l.now) {
		c.handOverCall(nil)
	}
	for _, q := range []*list{&l.idle, &l.flushing, &l.lingering} {
		for c := q.expired(l.now); c != nil; c = q.expired(l.now) {
			c.close()
		}
	}
	if !l.acceptAt.IsZero() && !l.now.Before(l.acceptAt) && !l.draining {
		l.acceptAt = time.Time{}
		if err := l.listen(); err != nil {
			l.pause(err)
		}
	}
}

func (l *loop) accept() {
	for range acceptAtOnce {
		fd, from, err := syscall.Accept4(l.front.fd, syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
		switch {
		case err == nil:
			l.serve(fd, from)
		case errors.Is(err, syscall.EAGAIN):
			return
		case errors.Is(err, syscall.EINTR), errors.Is(err, syscall.ECONNABORTED):
		case errors.Is(err, syscall.EINVAL): // it is closed
			l.poll.remove(l.front.fd)
			return
		default:
			l.poll.remove(l.front.fd)
			l.pause(err)
			return
		}
	}
}

func (l *loop) pause(err error) {
	l.front.opt.Log.Warn("accepting connections", "error", err, "next try in", acceptPause)
	l.acceptAt = l.now.Add(acceptPause)
}

// serve waits for the requests of a new client.
func (l *loop) serve(fd int, from syscall.Sockaddr) {
	c := &client{loop: l, fd: fd, address: address(from)}
	l.clients++
	if err := l.add(fd, c); err != nil {
		l.front.opt.Log.Error("connection lost", "error", err)
		c.close()
		return
	}
	l.unfinished.push(c, l.now)
}

func address(a syscall.Sockaddr) string {
	switch a := a.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrFrom4(a.Addr).String()
	case *syscall.SockaddrInet6:
		return netip.AddrFrom16(a.Addr).Unmap().String()
	}
	return ""
}

// post leaves a message, from any goroutine.
func (l *loop) post(m message) {
	l.mu.Lock()
	l.mail = append(l.mail, m)
	l.mu.Unlock()
	if l.asleep.CompareAndSwap(true, false) {
		l.poll.wake()
	}
}

// collect reads the messages.
func (l *loop) collect() {
	for {
		l.mu.Lock()
		mail := l.mail
		l.mail, l.spare = l.spare, nil
		l.mu.Unlock()
		if len(mail) == 0 {
			return
		}
		for _, m := range mail {
			l.take(m)
		}
		clear(mail)
		l.spare = mail[:0]
	}
}

func (l *loop) take(m message) {
	switch {
	case m.drain:
		l.drain(m.drop)
	case m.client.fd < 0: // has gone since
		if m.dialed {
			syscall.Close(m.fd)
		}
		if m.lease != nil {
			m.lease.Return()
		}
	case m.err != nil && m.lease != nil:
		m.client.unreachable(m.lease, m.err)
	case m.err != nil:
		m.client.refused(m.err)
	case m.dialed:
		m.client.connected(m.fd)
	default:
		m.client.granted(m.lease)
	}
}

// drain stops to accept, and closes the connections of clients without a call,
// or all.
func (l *loop) drain(all bool) {
	if !l.draining {
		l.draining = true
		l.poll.remove(l.front.fd)
	}
	for _, c := range l.conns {
		c, ok := c.(*client)
		if ok && !all && c.silent() {
			c.more = true // a request may have come in this moment
			c.serve()
		}
		if ok && c.fd >= 0 && (all || c.silent()) {
			c.abandon()
		}
	}
}

// silent says whether nothing of a request has come.
func (c *client) silent() bool {
	return c.list == &c.loop.idle || c.list == &c.loop.unfinished && len(c.in) == 0
}

// link makes a connection to a worker one of this loop. It is nil if that
// fails: then it is closed.
func (l *loop) link(k pool.Kept) *link {
	switch k := k.(type) {
	case *link:
		if k.loop == l {
			return k
		}
		return l.newLink(k.detach())
	case *upstream.Conn:
		if fd, err := k.Detach(); err == nil {
			return l.newLink(fd)
		}
	}
	return nil
}

func (l *loop) newLink(fd int) *link {
	k := &link{loop: l, fd: fd}
	if l.add(fd, k) != nil {
		k.Close()
		return nil
	}
	return k
}

// dateLine is the Date header of now.
func (l *loop) dateLine() []byte {
	if s := l.now.Unix(); s != l.second {
		l.second = s
		l.date = append(l.date[:0], "Date: "...)
		l.date = append(l.now.UTC().AppendFormat(l.date, http.TimeFormat), lineEnd...)
	}
	return l.date
}
