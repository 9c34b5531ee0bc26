package pool

import (
	"context"
	"net/http"
	"slices"
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

// Lease is a slot of a worker, for one call. Exactly one of Release, Abandon,
// TimedOut and Broken gives it back.
type Lease struct {
	pool   *Pool
	worker *worker
	kept   kept
}

// lease takes a slot and an idle connection, if there is one.
func (p *Pool) lease(w *worker) *Lease {
	w.calls++
	l := &Lease{pool: p, worker: w}
	if n := len(w.idle); n > 0 {
		l.kept, w.idle = w.idle[n-1], w.idle[:n-1]
	}
	return l
}

// idleLimit is how long a connection to a classic server may be idle; many
// such servers close theirs after a few seconds, and a call must not cross
// with that. Workers with a socket are told never to close.
const idleLimit = time.Second

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
	return upstream.Dial(ctx, l.pool.opt.Network, l.worker.address)
}

// CallID returns a new ID for a call that the worker can stop by it, which
// goes with the call in CallHeader; it is empty if the worker can not.
func (l *Lease) CallID() string {
	if !l.worker.cancels {
		return ""
	}
	return strconv.FormatUint(l.pool.calls.Add(1), 36)
}

// Release says that the call ended as it should. conn is kept for a next call;
// nil if it can not be.
func (l *Lease) Release(conn Kept) {
	if conn == nil {
		conn = l.kept.conn
	}
	p, w := l.pool, l.worker
	p.mu.Lock()
	defer p.mu.Unlock()
	p.health.streak = 0
	p.giveBack(w, conn)
}

// giveBack frees a slot.
func (p *Pool) giveBack(w *worker, conn Kept) {
	w.calls--
	w.lastCall = time.Now()
	p.lastEnd = w.lastCall
	w.notice()
	if w.state == ready {
		if conn != nil {
			w.idle = append(w.idle, kept{conn, w.lastCall})
		}
		p.dispatch()
		return
	}
	if conn != nil {
		conn.Close()
	}
	if w.state == draining && w.calls == 0 {
		p.stop(w)
	}
}

// Abandon says that nobody waits for the call's end any more, and its
// connection is closed. A worker that takes one call at once stays busy until
// it answers again; if that is not before the call's deadline, the call has
// run over time.
func (l *Lease) Abandon(deadline time.Time) {
	p, w := l.pool, l.worker
	if w.capacity > 1 || p.opt.HealthPath == "" {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.giveBack(w, nil)
		return
	}
	go func() {
		ctx, cancel := context.WithDeadline(context.Background(), deadline)
		defer cancel()
		_, conn, err := p.ask(ctx, w, http.MethodGet, p.opt.HealthPath, "")
		switch {
		case err == nil:
		case ctx.Err() != nil:
			l.replace("a call whose caller had gone ran over time")
			return
		default:
			l.Unreachable(err)
			return
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.giveBack(w, conn)
	}()
}

// Broken says that the connection failed in the middle of the call: the
// process is about to end, or it lives and can be asked. In the moment in
// between it gets no calls, which would meet the same end.
func (l *Lease) Broken(deadline time.Time) {
	p, w := l.pool, l.worker
	p.mu.Lock()
	w.doubted++
	p.mu.Unlock()
	go func() {
		select {
		case <-w.process.Done():
		case <-time.After(endGrace):
		}
		p.mu.Lock()
		w.doubted--
		p.mu.Unlock()
		l.Abandon(deadline)
	}()
}

// endGrace is how long after its connections a process ends.
const endGrace = 100 * time.Millisecond

// Unreachable says that the worker takes no connections: it is of no use.
func (l *Lease) Unreachable(cause error) {
	p, w := l.pool, l.worker
	p.mu.Lock()
	defer p.mu.Unlock()
	w.notice()
	if w.state == ready {
		p.condemn(w, cause.Error())
	}
	p.giveBack(w, nil)
	p.ensure()
}

// cancelGrace is how long a worker may take to stop a single call.
const cancelGrace = time.Second

// TimedOut says that the call ran over time and its connection is closed. A
// worker that runs this call alone is killed and replaced. One that takes
// several may stop the one call (call is its ID); if it does not, it gets no
// new calls, is replaced, and stops when its other calls have ended.
func (l *Lease) TimedOut(call string) {
	if l.worker.capacity == 1 || !l.worker.cancels {
		l.replace("a call ran over time")
		return
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
		defer cancel()
		answer, conn, err := l.pool.ask(ctx, l.worker, http.MethodPost, CancelPath, call)
		if err != nil || answer.Status/100 != 2 {
			if conn != nil {
				conn.Close()
			}
			l.replace("a call ran over time and was not cancelled")
			return
		}
		l.pool.mu.Lock()
		defer l.pool.mu.Unlock()
		l.pool.giveBack(l.worker, conn)
	}()
}

// replace starts another worker instead of this one, which is killed if it
// runs one call at once. Otherwise its other calls go on, and it takes new ones
// until the other is ready if it still answers, unless that needs its port.
func (l *Lease) replace(reason string) {
	p, w := l.pool, l.worker
	p.mu.Lock()
	defer p.mu.Unlock()
	if w.state == ready && !w.retiring {
		p.restarts++
		p.opt.Log.Warn("worker replaced", "worker", w.id, "reason", reason)
	}
	switch {
	case w.capacity == 1 || p.crowded():
		p.kill(w)
	case w.state == ready && p.opt.Network == "unix":
		w.retiring, w.stuck = true, true // until it answers
		p.relieve()
		go p.look(w)
	case w.state == ready:
		w.state, w.expected = draining, true
	}
	p.giveBack(w, nil)
	p.ensure()
}

// relieve ends the work of retiring workers if there is another to take calls.
func (p *Pool) relieve() {
	relief := func(w *worker) bool { return w.state == ready && !w.retiring && !w.stuck }
	if !slices.ContainsFunc(p.workers, relief) {
		return
	}
	for _, w := range p.workers {
		if w.retiring && w.state == ready {
			w.state, w.expected = draining, true
			if w.calls == 0 {
				p.stop(w)
			}
		}
	}
}

// crowded says that so many workers drain that one more must not.
func (p *Pool) crowded() bool {
	n := 0
	for _, w := range p.workers {
		if w.state == draining || w.retiring {
			n++
		}
	}
	return n >= p.limit()
}
