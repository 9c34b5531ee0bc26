package pool

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/output"
	"github.com/rtbuild/rtbuild/proxy/internal/reaper"
)

const (
	// outcomeKilled is the outcome of a process that got SIGKILL.
	outcomeKilled = "signal: killed"

	// tailLines is how many lines of stderr the reason for a crash has.
	tailLines = 20

	// lastWords is how long output is read after the end of the worker; a process
	// that left its group may hold the pipe for ever.
	lastWords = 200 * time.Millisecond
)

// process is what a worker is made of. running and idle are behind the pool's
// mutex, the rest does not change.
type process struct {
	address string
	tail    *output.Tail
	quiet   chan struct{}       // closed at the end of stderr
	signals chan syscall.Signal // to send; has room for one SIGTERM and one SIGKILL

	running *reaper.Process // nil until it is
	idle    []kept
}

func (p *Pool) newProcess(id int) *process {
	address := p.opt.Address
	if p.opt.Network == "unix" {
		address = filepath.Join(p.dir, strconv.Itoa(id)+".sock")
	}
	return &process{address: address, tail: new(output.Tail), quiet: make(chan struct{}),
		signals: make(chan syscall.Signal, 2)}
}

// keep keeps a connection for a next call.
func (x *process) keep(conn Kept) { x.idle = append(x.idle, kept{conn, time.Now()}) }

// idleConn takes the connection that was kept last, if there is one.
func (x *process) idleConn() kept {
	n := len(x.idle)
	if n == 0 {
		return kept{}
	}
	k := x.idle[n-1]
	x.idle[n-1] = kept{}
	x.idle = x.idle[:n-1]
	return k
}

func (x *process) closeIdle() {
	for _, k := range x.idle {
		k.conn.Close()
	}
	x.idle = nil
}

// run follows a worker's process from its start to its end.
func (p *Pool) run(w *worker) {
	running, err := p.spawn(w)
	if err != nil {
		close(w.process.quiet)
		p.ended(w, err.Error())
		return
	}
	p.mu.Lock()
	w.process.running = running
	p.mu.Unlock()
	go p.load(w, running)
	for {
		select {
		case s := <-w.process.signals:
			running.Signal(s)
		case <-running.Done():
			p.ended(w, running.Outcome())
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
		env = append(env[:len(env):len(env)], "FUNC_SOCKET="+w.process.address)
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
	running, err := p.opt.Table.Start(reaper.Spec{Argv: p.opt.Command, Env: env, Stdout: outW, Stderr: errW})
	if err != nil {
		outR.Close()
		errR.Close()
		return nil, err
	}
	go relay(outR, p.opt.Stdout, nil, running)
	go func() {
		defer close(w.process.quiet)
		relay(errR, p.opt.Stderr, w.process.tail, running)
	}()
	return running, nil
}

func relay(src *os.File, sink *output.Sink, tail *output.Tail, running *reaper.Process) {
	defer src.Close()
	go func() {
		<-running.Done()
		_ = src.SetReadDeadline(time.Now().Add(lastWords))
	}()
	output.Relay(src, sink, tail)
}

// notice sees the end of a process before its goroutine does, which may be a
// moment later. The mutex is held.
func (p *Pool) notice(w *worker) {
	select {
	case <-w.process.running.Done():
		p.feed(event{kind: exited, worker: w})
	default:
	}
}

// ended says that a process is gone, and then that all it printed is read.
func (p *Pool) ended(w *worker, outcome string) {
	p.tell(event{kind: exited, worker: w}) // no call goes there from here on
	<-w.process.quiet                      // for the last lines of stderr
	if p.opt.Network == "unix" {
		_ = os.Remove(w.process.address) // the worker may have done so
	}
	tail := strings.Join(w.process.tail.Lines(tailLines), "\n")
	p.tell(event{kind: buried, worker: w, reason: outcome, tail: tail})
}
