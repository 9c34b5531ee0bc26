package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/output"
	"github.com/rtbuild/rtbuild/proxy/internal/reaper"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

type state int

const (
	starting state = iota
	ready
	draining // gets no new calls; stopped when the running ones end, or already told to
	gone     // its process has ended
)

// worker is one process. All but the constant fields is behind the pool's mutex.
type worker struct {
	id      int
	address string
	started time.Time
	tail    *output.Tail
	quiet   chan struct{} // closed at the end of stderr
	stops   chan struct{} // closed when it shall end by SIGTERM, then SIGKILL
	kills   chan struct{} // closed when it shall end by SIGKILL

	state    state
	process  *reaper.Process
	expected bool // its end is the pool's wish
	fault    string
	stuck    bool // does not answer while it has calls
	retiring bool // takes calls until another worker is ready, then none
	doubted  int  // calls whose connection failed a moment ago
	cancels  bool // has a /_cancel
	capacity int
	calls    int
	idle     []kept
	lastCall time.Time
}

// CancelPath is asked to stop one call; see WORKERS.md.
const CancelPath = "/_cancel"

// add makes a worker and starts its goroutine.
func (p *Pool) add() {
	p.serial++
	w := &worker{
		id: p.serial, address: p.opt.Address, started: time.Now(), tail: new(output.Tail),
		quiet: make(chan struct{}), stops: make(chan struct{}), kills: make(chan struct{}), capacity: p.opt.Concurrency,
	}
	if p.opt.Network == "unix" {
		w.address = filepath.Join(p.dir, strconv.Itoa(w.id)+".sock")
	}
	p.workers = append(p.workers, w)
	go p.live(w)
}

// live follows a worker from its start to its end.
func (p *Pool) live(w *worker) {
	process, err := p.spawn(w)
	if err != nil {
		close(w.quiet)
		p.ended(w, err.Error())
		return
	}
	p.mu.Lock()
	w.process = process
	p.mu.Unlock()
	loaded := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.LoadTimeout)
	go func() { loaded <- p.awaitReady(ctx, w) }()
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	watched := make(chan struct{}, 1)
	watched <- struct{}{}
	stops, kills := w.stops, w.kills
	var grace <-chan time.Time
	for {
		select {
		case err := <-loaded:
			loaded = nil
			if err != nil {
				p.mu.Lock()
				p.condemn(w, err.Error())
				p.mu.Unlock()
			}
		case <-tick.C:
			select {
			case <-watched:
				go func() {
					p.watch(w)
					watched <- struct{}{}
				}()
			default: // the last look still waits for an answer
			}
		case <-stops:
			stops = nil
			process.Signal(syscall.SIGTERM)
			grace = time.After(p.opt.KillGrace)
		case <-grace:
			process.Signal(syscall.SIGKILL)
		case <-kills:
			kills = nil
			process.Signal(syscall.SIGKILL)
		case <-process.Done():
			cancel()
			p.ended(w, process.Outcome())
			return
		}
	}
}

// spawn starts the process and the copying of what it prints.
func (p *Pool) spawn(w *worker) (*reaper.Process, error) {
	env := p.opt.Env
	if p.opt.Network == "unix" {
		// A function may have cleaned /tmp.
		if err := os.MkdirAll(p.dir, 0o700); err != nil {
			return nil, fmt.Errorf("making a folder for the worker's socket: %w", err)
		}
		env = append(env[:len(env):len(env)], "FUNC_SOCKET="+w.address)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("making a pipe for the worker's output: %w", err)
	}
	defer outW.Close()
	errR, errW, err := os.Pipe()
	if err != nil {
		outR.Close()
		return nil, fmt.Errorf("making a pipe for the worker's output: %w", err)
	}
	defer errW.Close()
	process, err := p.opt.Table.Start(reaper.Spec{Argv: p.opt.Command, Env: env, Stdout: outW, Stderr: errW})
	if err != nil {
		outR.Close()
		errR.Close()
		return nil, err
	}
	go p.relay(outR, p.opt.Stdout, nil, process)
	go func() {
		defer close(w.quiet)
		p.relay(errR, p.opt.Stderr, w.tail, process)
	}()
	return process, nil
}

// lastWords is how long output is read after the end of the worker; a process
// that left its group may hold the pipe for ever.
const lastWords = 200 * time.Millisecond

func (p *Pool) relay(src *os.File, sink *output.Sink, tail *output.Tail, process *reaper.Process) {
	defer src.Close()
	go func() {
		<-process.Done()
		_ = src.SetReadDeadline(time.Now().Add(lastWords))
	}()
	output.Relay(src, sink, tail)
}

// awaitReady asks until the worker answers that it has loaded the function.
func (p *Pool) awaitReady(ctx context.Context, w *worker) error {
	pause := time.Millisecond
	for {
		answer, conn, err := p.ask(ctx, w, http.MethodGet, p.opt.HealthPath, "")
		if err == nil && answer.Status/100 == 2 {
			return p.becameReady(w, answer, conn)
		}
		if conn != nil {
			conn.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the worker was not ready within %s%s", p.opt.LoadTimeout, because(answer, err))
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func because(answer upstream.Answer, err error) string {
	switch {
	case err == nil:
		return fmt.Sprintf(": it answers %d %s", answer.Status, strings.TrimSpace(string(answer.Body)))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return ": it does not listen"
	default:
		return ": " + err.Error()
	}
}

// ask sends a request of the proxy's own on a new connection, which is
// returned if it can be used again. Without a path, a connection is enough.
func (p *Pool) ask(ctx context.Context, w *worker, method, path, call string) (upstream.Answer, Kept, error) {
	conn, err := upstream.Dial(ctx, p.opt.Network, w.address)
	if err != nil {
		return upstream.Answer{}, nil, err
	}
	if path == "" {
		conn.Close()
		return upstream.Answer{Status: http.StatusOK}, nil, nil
	}
	request := &upstream.Request{Method: method, URI: path, Host: "worker"}
	if call != "" {
		request.Extra = [][2]string{{CallHeader, call}}
	}
	return inquire(ctx, conn, request)
}

// inquire sends a request and returns the connection if it can be used again.
func inquire(ctx context.Context, conn *upstream.Conn, r *upstream.Request) (upstream.Answer, Kept, error) {
	answer, err := conn.Ask(ctx, r)
	if err != nil || !answer.Reuse {
		conn.Close()
		return answer, nil, err
	}
	return answer, conn, nil
}

// Headers of the protocol between proxy and worker.
const (
	CallHeader  = "X-Func-Call-Id"
	takesHeader = "X-Func-Concurrency"
	stopsHeader = "X-Func-Cancel"
)

func (p *Pool) becameReady(w *worker, answer upstream.Answer, conn Kept) error {
	capacity := p.opt.Concurrency
	if v := answer.Header.Get(takesHeader); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			if conn != nil {
				conn.Close()
			}
			return fmt.Errorf("the worker says %s: %q, which is not a whole number from 1", takesHeader, v)
		}
		capacity = n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	w.capacity, w.cancels = capacity, answer.Header.Get(stopsHeader) != ""
	p.capacity = capacity
	if conn != nil {
		w.idle = append(w.idle, kept{conn, time.Now()})
	}
	if w.state == starting {
		w.state, w.lastCall = ready, time.Now()
		p.lastEnd = w.lastCall
		p.health.loaded = true
		p.opt.Log.Info("worker ready", "worker", w.id, "pid", w.process.PID(),
			"after", time.Since(w.started).Round(time.Millisecond), "concurrency", capacity)
		p.relieve()
		p.dispatch()
	}
	return nil
}

// notice sees the end of the process before the worker's goroutine does, which
// may be a moment later.
func (w *worker) notice() {
	select {
	case <-w.process.Done():
		w.state = gone
	default:
	}
}

// stop asks a worker to end; its calls are lost.
func (p *Pool) stop(w *worker) { w.end(w.stops) }

// kill ends a worker at once, by the pool's wish.
func (p *Pool) kill(w *worker) { w.end(w.kills) }

// end tells the worker's goroutine, once, by one of its channels.
func (w *worker) end(by chan struct{}) {
	if w.state == gone {
		return
	}
	w.state, w.expected = draining, w.fault == ""
	select {
	case <-by:
	default:
		close(by)
	}
}

// condemn kills a worker that is broken: that counts as a crash.
func (p *Pool) condemn(w *worker, fault string) {
	if w.expected || w.state == gone {
		return
	}
	w.fault = fault
	p.kill(w)
}

// ended forgets a worker whose process is gone and starts what is needed.
func (p *Pool) ended(w *worker, outcome string) {
	p.mu.Lock()
	w.state = gone // no call goes there from here on
	w.closeIdle()
	p.mu.Unlock()
	<-w.quiet // for the last lines of stderr
	if p.opt.Network == "unix" {
		_ = os.Remove(w.address) // the worker may have done so
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, other := range p.workers {
		if other == w {
			p.workers = append(p.workers[:i:i], p.workers[i+1:]...)
			break
		}
	}
	if !w.expected {
		p.crashed(w, outcome)
	}
	if p.closing {
		if len(p.workers) == 0 {
			close(p.empty)
		}
		return
	}
	p.ensure()
}
