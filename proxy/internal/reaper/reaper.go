// Package reaper starts worker processes and does the duties of PID 1: every
// child that ends is waited for, those the proxy started as well as orphans
// that a worker left behind and the kernel handed to the proxy.
//
// One goroutine forks and waits. Waiting for "any child" beside a second
// waiter (os/exec) loses exit statuses, so nothing else in the proxy may
// start processes.
package reaper

import (
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"
)

// prSetChildSubreaper is PR_SET_CHILD_SUBREAPER of prctl(2): orphans come to
// this process even when it is not PID 1.
const prSetChildSubreaper = 36

// waitAll is __WALL of wait4(2): children made by clone(2) count too.
const waitAll = 0x40000000

// Table holds the processes started through it.
type Table struct {
	work     chan func()
	children map[int]*Process // touched by loop only
}

// Spec says what to start. Stdin is /dev/null.
type Spec struct {
	Argv   []string // Argv[0] is the path of the executable
	Env    []string
	Stdout *os.File
	Stderr *os.File
}

// Process is a started process, the leader of a process group of its own.
type Process struct {
	table  *Table
	pid    int
	done   chan struct{}
	status syscall.WaitStatus
}

// New makes a table and starts to reap.
func New() (*Table, error) {
	if _, _, errno := syscall.RawSyscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return nil, fmt.Errorf("becoming the reaper of orphaned processes: %w", errno)
	}
	t := &Table{work: make(chan func()), children: map[int]*Process{}}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	go t.loop(ended)
	return t, nil
}

func (t *Table) loop(ended <-chan os.Signal) {
	// A child gets its parent-death signal when the thread that forked it
	// ends, so the forking thread is this one, which never does.
	runtime.LockOSThread()
	for {
		select {
		case f := <-t.work:
			f()
		case <-ended:
			t.reap()
		}
	}
}

func (t *Table) do(f func()) {
	finished := make(chan struct{})
	t.work <- func() {
		defer close(finished)
		f()
	}
	<-finished
}

func (t *Table) reap() {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG|waitAll, nil)
		if err == syscall.EINTR {
			continue
		}
		if err != nil || pid <= 0 {
			return
		}
		p := t.children[pid]
		if p == nil {
			continue
		}
		delete(t.children, pid)
		// What the leader forked goes with it; no such group is the usual case.
		_ = syscall.Kill(-pid, syscall.SIGKILL)
		p.status = status
		close(p.done)
	}
}

// Start runs a process in a group of its own. It dies with the proxy, and is
// the first that the kernel kills when memory runs out.
func (t *Table) Start(spec Spec) (*Process, error) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return nil, fmt.Errorf("opening standard input for %s: %w", spec.Argv[0], err)
	}
	defer null.Close()
	attr := &syscall.ProcAttr{
		Env:   spec.Env,
		Files: []uintptr{null.Fd(), spec.Stdout.Fd(), spec.Stderr.Fd()},
		Sys:   &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	}
	p := &Process{table: t, done: make(chan struct{})}
	t.do(func() {
		p.pid, err = syscall.ForkExec(spec.Argv[0], spec.Argv, attr)
		if err == nil {
			t.children[p.pid] = p
		}
	})
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", spec.Argv[0], err)
	}
	// Best effort: without it the kernel chooses by size alone.
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/oom_score_adj", p.pid), []byte("1000"), 0)
	return p, nil
}

// PID returns the process ID, which is also that of its group.
func (p *Process) PID() int { return p.pid }

// Done is closed when the process has ended and was waited for.
func (p *Process) Done() <-chan struct{} { return p.done }

// Signal sends a signal to the group of the process; after its end it does
// nothing, so that a reused process ID is never hit.
func (p *Process) Signal(sig syscall.Signal) {
	p.table.do(func() {
		if p.table.children[p.pid] == p {
			_ = syscall.Kill(-p.pid, sig)
		}
	})
}

// Outcome says how the process ended ("exit status 3", "signal: segmentation
// fault"). It must be called after Done is closed.
func (p *Process) Outcome() string {
	if p.status.Signaled() {
		return "signal: " + p.status.Signal().String()
	}
	return fmt.Sprintf("exit status %d", p.status.ExitStatus())
}
