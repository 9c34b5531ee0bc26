// Package pool keeps worker processes: it starts them, learns when they have
// loaded the function, hands calls to them, starts more under load, stops idle
// ones, and replaces those that crash or run over time.
//
// All state is behind one mutex. A call takes a slot of a worker (Acquire,
// which may wait in a queue) and gives it back through the Lease, saying how
// the call ended. Each worker has one goroutine that follows its life.
package pool

import (
	"container/list"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/output"
	"github.com/rtbuild/rtbuild/proxy/internal/reaper"
)

// Options say how to run workers.
type Options struct {
	Table   *reaper.Table
	Command []string
	Env     []string

	// Network is "unix", with a socket per worker in a new folder under
	// SocketDir, or "tcp", with at most one worker, which listens on Address.
	Network   string
	Address   string
	SocketDir string

	HealthPath  string // asked for readiness; if empty, accepting connections is enough
	Concurrency int    // of a worker that does not say

	MinWorkers    int
	MaxSingle     int // most workers that take one call at once
	MaxConcurrent int // most workers that take several
	CPUs          int // that the proxy and its workers may use
	Queue         int

	LoadTimeout  time.Duration
	QueueTimeout time.Duration
	WorkerIdle   time.Duration
	KillGrace    time.Duration // between SIGTERM and SIGKILL

	Stdout, Stderr *output.Sink
	Log            *slog.Logger
}

// Errors of Acquire besides those of its context.
var (
	ErrQueueFull    = errors.New("too many calls are waiting")
	ErrQueueTimeout = errors.New("no worker became free in time")
	ErrClosed       = errors.New("the server is shutting down")
)

// UnavailableError says that no worker can load the function.
type UnavailableError struct{ Reason string }

func (e *UnavailableError) Error() string { return e.Reason }

// Pool is a set of workers for one function.
type Pool struct {
	opt Options
	dir string // of sockets

	calls atomic.Uint64 // with an ID

	mu       sync.Mutex
	workers  []*worker // oldest first, until their process has ended
	queue    list.List // of *Wait
	serial   int
	closing  bool
	empty    chan struct{} // closed when closing and no worker is left
	scaling  bool          // a scale tick is due
	pressure pressure      // touched by that alone
	lastEnd  time.Time     // of a call, or when a worker became ready
	restart  *time.Timer   // a start that back-off delays
	health   crashes
	capacity int // calls at once of the last worker that became ready
	since    time.Time
	restarts uint64
}

// Taker waits for a slot.
type Taker interface {
	// Taken is called once: with a lease, or with the error that ends the wait
	// (ErrQueueTimeout, ErrClosed, *UnavailableError). The pool is locked
	// meanwhile: Taken must neither block nor call it.
	Taken(*Lease, error)
}

// Wait is a place in the queue.
type Wait struct {
	taker Taker
	since time.Time
	place *list.Element
}

// New starts the first workers.
func New(opt Options) (*Pool, error) {
	p := &Pool{opt: opt, capacity: opt.Concurrency, empty: make(chan struct{}), since: time.Now()}
	if opt.Network == "unix" {
		dir, err := os.MkdirTemp(opt.SocketDir, "func-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for the workers' sockets: %w", err)
		}
		p.dir = dir
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ensure()
	time.AfterFunc(p.idleTick(), p.reapIdle)
	return p, nil
}

// Take takes a slot of a worker, or a place in the queue: then the taker is
// told what comes of it, unless it leaves before.
func (p *Pool) Take(t Taker) (*Lease, *Wait, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return nil, nil, ErrClosed
	}
	if p.queue.Len() == 0 {
		if w := p.pick(); w != nil {
			return p.lease(w), nil, nil
		}
	}
	if reason := p.hopeless(); reason != "" {
		return nil, nil, &UnavailableError{reason}
	}
	if p.queue.Len() >= p.opt.Queue {
		return nil, nil, ErrQueueFull
	}
	w := &Wait{taker: t, since: time.Now()}
	w.place = p.queue.PushBack(w)
	p.scaleSoon()
	return nil, w, nil
}

// Leave gives up a place in the queue. The taker is not told afterwards, but
// may have been just before.
func (p *Pool) Leave(w *Wait) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue.Remove(w.place) // does nothing if the wait is over already
}

type taken struct {
	lease *Lease
	err   error
}

// waiter has room for the one thing that it is told.
type waiter chan taken

// Taken implements Taker.
func (w waiter) Taken(l *Lease, err error) { w <- taken{l, err} }

// Acquire takes a slot of a worker, waiting in the queue if need be.
func (p *Pool) Acquire(ctx context.Context) (*Lease, error) {
	told := make(waiter, 1)
	lease, wait, err := p.Take(told)
	if wait == nil {
		return lease, err
	}
	select {
	case t := <-told:
		return t.lease, t.err
	case <-ctx.Done():
	}
	p.Leave(wait)
	select {
	case t := <-told: // in between
		if t.lease != nil {
			t.lease.Release(nil)
		}
	default:
	}
	return nil, ctx.Err()
}

// pick returns the worker with a free slot that has the fewest calls; among
// equals the oldest, so that under low load the younger ones become idle.
func (p *Pool) pick() *worker {
	var best *worker
	for _, w := range p.workers {
		if w.state == ready && !w.stuck && w.doubted == 0 && w.calls < w.capacity && (best == nil || w.calls < best.calls) {
			best = w
			if w.calls == 0 {
				break
			}
		}
	}
	return best
}

// dispatch gives free slots to the queue, first come first served.
func (p *Pool) dispatch() {
	for p.queue.Len() > 0 {
		w := p.pick()
		if w == nil {
			return
		}
		p.next().Taken(p.lease(w), nil)
	}
}

// expire ends the waits that take too long.
func (p *Pool) expire() {
	for p.queue.Len() > 0 {
		if time.Since(p.queue.Front().Value.(*Wait).since) < p.opt.QueueTimeout {
			return
		}
		p.next().Taken(nil, ErrQueueTimeout)
	}
}

// refuse ends all waits with an error.
func (p *Pool) refuse(err error) {
	for p.queue.Len() > 0 {
		p.next().Taken(nil, err)
	}
}

// next takes the first of the queue, which is not empty, out of it.
func (p *Pool) next() Taker { return p.queue.Remove(p.queue.Front()).(*Wait).taker }

// Stats are numbers for gauges.
type Stats struct {
	Starting, Idle, Busy, Draining int    // workers
	Queue                          int    // calls that wait
	Restarts                       uint64 // workers that crashed or were replaced
}

// Stats counts workers and waiting calls.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Stats{Queue: p.queue.Len(), Restarts: p.restarts}
	for _, w := range p.workers {
		switch {
		case w.state == starting:
			s.Starting++
		case w.state == draining:
			s.Draining++
		case w.state == gone:
		case w.calls > 0:
			s.Busy++
		default:
			s.Idle++
		}
	}
	return s
}

// Signal forwards a signal to every worker's process group.
func (p *Pool) Signal(forward func(*reaper.Process)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range p.workers {
		if w.process != nil {
			forward(w.process)
		}
	}
}

// Close stops all workers: SIGTERM, then SIGKILL after KillGrace. It returns
// when they have ended.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closing = true
	p.refuse(ErrClosed)
	for _, w := range p.workers {
		p.stop(w)
	}
	if len(p.workers) == 0 {
		close(p.empty)
	}
	p.mu.Unlock()
	<-p.empty
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // a leftover folder does no harm
	}
}
