// Package pool keeps worker processes: it starts them, learns when they have
// loaded the function, hands calls to them, starts more under load, stops idle
// ones, and replaces those that crash or run over time.
//
// A call takes a slot of a worker (Acquire, which may wait in a queue) and
// gives it back through the Lease, saying how the call ended. What is decided,
// and when, is a state machine without clock, lock or process (state.go). Pool
// holds it behind a mutex, tells it what happens and does what it says: here
// are the lock and the timer, in process.go the processes, in probe.go the
// requests of the pool's own, in pressure.go the demand for CPUs.
package pool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
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
	opt   Options
	dir   string        // of sockets
	calls atomic.Uint64 // with an ID
	empty chan struct{} // closed when the pool has closed and no worker is left

	mu       sync.Mutex
	state    state
	timer    *time.Timer // the next tick
	pressure pressure    // touched by one measurement at a time
}

// Taker waits for a slot.
type Taker interface {
	// Taken is called once: with a lease, or with the error that ends the wait
	// (ErrQueueTimeout, ErrClosed, *UnavailableError). The pool is locked
	// meanwhile: Taken must neither block nor call it.
	Taken(*Lease, error)
}

// Wait is a place in the queue.
type Wait Lease

// New starts the first workers.
func New(opt Options) (*Pool, error) {
	p := &Pool{opt: opt, empty: make(chan struct{})}
	p.state.rules = rules{
		Sockets: opt.Network == "unix", Asks: opt.HealthPath != "", Concurrency: opt.Concurrency,
		MinWorkers: opt.MinWorkers, MaxSingle: opt.MaxSingle, MaxConcurrent: opt.MaxConcurrent, CPUs: opt.CPUs,
		Queue: opt.Queue, QueueTimeout: opt.QueueTimeout, WorkerIdle: opt.WorkerIdle, KillGrace: opt.KillGrace,
	}
	if opt.Network == "unix" {
		dir, err := os.MkdirTemp(opt.SocketDir, "func-")
		if err != nil {
			return nil, fmt.Errorf("making a folder for the workers' sockets: %w", err)
		}
		p.dir = dir
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = time.AfterFunc(time.Hour, func() { p.tell(event{kind: ticked}) })
	p.feed(event{kind: opened})
	return p, nil
}

// tell takes an event in.
func (p *Pool) tell(e event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feed(e)
}

// feed is tell for who holds the mutex. No action may wait, or feed an event.
func (p *Pool) feed(e event) {
	for _, a := range p.state.step(time.Now(), e) {
		p.do(a)
	}
}

func (p *Pool) do(a action) {
	switch a.do {
	case grant:
		a.call.lease.granted(a.worker)
	case refuse:
		a.call.lease.refused(a.err)
	case start:
		a.worker.process = p.newProcess(a.worker.id)
		go p.run(a.worker)
	case terminate:
		a.worker.process.signals <- syscall.SIGTERM // there is room for both
	case kill:
		a.worker.process.signals <- syscall.SIGKILL
	case look:
		go p.look(a.worker)
	case ask:
		go p.askFree(a.call.lease, a.at)
	case cancel:
		go p.cancel(a.call.lease)
	case drop:
		a.worker.process.closeIdle()
	case measure:
		go p.measure(p.pids())
	case wake:
		p.timer.Reset(time.Until(a.at))
	case note:
		p.log(a)
	case finish:
		p.timer.Stop()
		close(p.empty)
	}
}

func (p *Pool) log(a action) {
	attrs := []any{"worker", a.worker.id}
	if r := a.worker.process.running; r != nil {
		attrs = append(attrs, "pid", r.PID())
	}
	p.opt.Log.Log(context.Background(), a.level, a.text, append(attrs, a.attrs...)...)
}

// Take takes a slot of a worker, or one in the queue: then the taker is told
// what comes of it, unless it leaves before.
func (p *Pool) Take(t Taker) (*Lease, *Wait, error) {
	return p.take(&Lease{pool: p, taker: t})
}

func (p *Pool) take(l *Lease) (*Lease, *Wait, error) {
	l.call.lease = l
	p.mu.Lock()
	defer p.mu.Unlock()
	p.feed(event{kind: taken, call: &l.call})
	switch l.call.phase {
	case running:
		return l, nil, nil
	case waiting:
		l.waits = true
		return nil, (*Wait)(l), nil
	default:
		return nil, nil, l.err
	}
}

// Leave gives up a place in the queue. The taker is not told afterwards, but
// may have been just before.
func (p *Pool) Leave(w *Wait) { p.tell(event{kind: gaveUp, call: &w.call}) }

type outcome struct {
	lease *Lease
	err   error
}

// waiter has room for the one thing that it is told.
type waiter chan outcome

// Taken implements Taker.
func (w waiter) Taken(l *Lease, err error) { w <- outcome{l, err} }

// Acquire takes a slot of a worker, waiting in the queue if need be.
func (p *Pool) Acquire(ctx context.Context) (*Lease, error) {
	return p.acquire(ctx, &Lease{pool: p})
}

// AcquireAgain is Acquire for a call that had a slot and could not use it, or
// lost it with its worker. It waits before all others, and does not count for
// the length of the queue.
func (p *Pool) AcquireAgain(ctx context.Context) (*Lease, error) {
	l := &Lease{pool: p}
	l.call.again = true
	return p.acquire(ctx, l)
}

func (p *Pool) acquire(ctx context.Context, l *Lease) (*Lease, error) {
	told := make(waiter, 1)
	l.taker = told
	lease, wait, err := p.take(l)
	if wait == nil {
		return lease, err
	}
	select {
	case o := <-told:
		return o.lease, o.err
	case <-ctx.Done():
	}
	p.Leave(wait)
	select {
	case o := <-told: // in between
		if o.lease != nil {
			o.lease.Return()
		}
	default:
	}
	return nil, ctx.Err()
}

// pids are the processes whose demand for CPUs counts, the proxy first, then the
// workers that take calls; those that load are limited in number instead.
func (p *Pool) pids() []int {
	pids := []int{os.Getpid()}
	for _, w := range p.state.workers {
		if w.phase.serving() {
			pids = append(pids, w.process.running.PID())
		}
	}
	return pids
}

func (p *Pool) measure(pids []int) {
	useful := p.pressure.useful(pids, p.opt.CPUs, time.Now())
	p.tell(event{kind: measured, useful: useful})
}

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
	s := Stats{Queue: p.state.queue.Len(), Restarts: p.state.restarts}
	for _, w := range p.state.workers {
		switch {
		case w.phase.gone():
		case w.phase == loading:
			s.Starting++
		case !w.phase.serving():
			s.Draining++
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
	for _, w := range p.state.workers {
		if r := w.process.running; r != nil {
			forward(r)
		}
	}
}

// Close stops all workers: SIGTERM, then SIGKILL after KillGrace. It returns
// when they have ended.
func (p *Pool) Close() {
	p.tell(event{kind: closed})
	<-p.empty
	if p.dir != "" {
		_ = os.RemoveAll(p.dir) // a leftover folder does no harm
	}
}
