package pool

import (
	"context"
	"strconv"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// Kept is a connection to a worker that waits for its next call.
type Kept interface {
	Alive() bool                   // the worker has neither closed it nor sent what nobody asked for
	Conn() (*upstream.Conn, error) // for calls that wait in a goroutine; after an error it is closed
	Close()
}

// kept is a connection and when its last call ended.
type kept struct {
	conn Kept
	used time.Time
}

// Lease is a slot of a worker, for one call. The first of Release, Return,
// Abandon, TimedOut, Broken and Unreachable gives it back, and none of them
// does anything after that, not even with a connection that it gets: so
// "defer lease.Abandon(deadline)" makes sure that a slot is given back however
// a call ends. One goroutine at a time uses a lease.
type Lease struct {
	pool  *Pool
	taker Taker
	kept  kept // not taken yet

	call  call   // behind the pool's mutex, but for call.worker
	waits bool   // the taker is to be told
	err   error  // the refusal
	id    string // of the call, for its worker
}

// granted is told by the pool, which is locked.
func (l *Lease) granted(w *worker) {
	l.kept = w.process.idleConn()
	if l.waits {
		l.taker.Taken(l, nil)
	}
}

// refused is told by the pool, which is locked.
func (l *Lease) refused(err error) {
	l.err = err
	if l.waits {
		l.taker.Taken(nil, err)
	}
}

// Kept takes the kept connection, if there is one that still works, or nil.
func (l *Lease) Kept() Kept {
	k := l.kept
	l.kept = kept{}
	if k.conn == nil {
		return nil
	}
	if k.conn.Alive() && (l.pool.opt.Network == "unix" || time.Since(k.used) < idleLimit) {
		return k.conn
	}
	k.conn.Close()
	return nil
}

// Conn returns a connection to the worker, the kept one if it still works, or
// a new one, made within a time.
func (l *Lease) Conn(within time.Duration) (*upstream.Conn, error) {
	if k := l.Kept(); k != nil {
		if c, err := k.Conn(); err == nil {
			return c, nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	return upstream.Dial(ctx, l.pool.opt.Network, l.call.worker.process.address)
}

// CallID returns a new ID for a call that the worker can stop by it, which
// goes with the call in CallHeader; it is empty if the worker can not.
func (l *Lease) CallID() string {
	if !l.call.worker.cancels {
		return ""
	}
	return strconv.FormatUint(l.pool.calls.Add(1), 36)
}

// Release says that the call ended as it should. conn is kept for a next call;
// nil if it can not be.
func (l *Lease) Release(conn Kept) { l.end(event{kind: released}, conn) }

// Return gives back a lease that no call has used.
func (l *Lease) Return() { l.end(event{kind: returned}, nil) }

// Abandon says that nobody waits for the call's end any more, and its
// connection is closed. A worker that takes one call at once stays busy until
// it answers again; if that is not before the call's deadline, the call has
// run over time.
func (l *Lease) Abandon(deadline time.Time) { l.end(event{kind: abandoned, deadline: deadline}, nil) }

// Broken says that the connection failed in the middle of the call: the
// process is about to end, or it lives and can be asked. In the moment in
// between it gets no calls, which would meet the same end.
func (l *Lease) Broken(deadline time.Time) { l.end(event{kind: broken, deadline: deadline}, nil) }

// Unreachable says that the worker takes no connections: it is of no use.
func (l *Lease) Unreachable(cause error) {
	l.end(event{kind: unreachable, reason: cause.Error()}, nil)
}

// TimedOut says that the call ran over time and its connection is closed. A
// worker that runs this call alone is killed and replaced. One that takes
// several may stop the one call (id is its ID); if it does not, it gets no new
// calls once another takes them, and stops when its other calls have ended.
func (l *Lease) TimedOut(id string) {
	l.id = id
	l.end(event{kind: overTime}, nil)
}

// end gives the lease back, unless that was done before.
func (l *Lease) end(e event, conn Kept) {
	p := l.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.call.phase != running {
		return
	}
	unused := l.kept.conn // whose worker has not seen the call
	l.kept = kept{}
	if conn == nil && (e.kind == released || e.kind == returned) {
		conn, unused = unused, nil
	}
	if unused != nil {
		unused.Close()
	}
	p.settle(l, e, conn)
}

// settle takes in an event of a call that a worker has, and keeps or closes a
// connection that is free with it. The mutex is held.
func (p *Pool) settle(l *Lease, e event, conn Kept) {
	w := l.call.worker
	p.notice(w)
	switch {
	case conn == nil:
	case l.call.phase != over && w.phase.serving():
		w.process.keep(conn) // before the step, which may grant it
	default:
		conn.Close()
	}
	e.call = &l.call
	p.feed(e)
}
