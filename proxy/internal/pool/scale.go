package pool

import (
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	// scaleAfter is how long a call waits before it counts as load. A burst
	// that the workers clear sooner starts no processes.
	scaleAfter = 10 * time.Millisecond

	// startsPerCPU is how many workers start at once because of load.
	startsPerCPU = 2

	// stalledAfter is how long no call has ended when calls are stuck behind
	// others.
	stalledAfter = 200 * time.Millisecond

	firstDelay   = 250 * time.Millisecond
	longestDelay = 30 * time.Second

	// killed is the outcome of a process that got SIGKILL.
	killed = "signal: killed"

	// tailLines is how many lines of stderr the reason for a crash has.
	tailLines = 20
)

// crashes is what is known of ends that nobody wished.
type crashes struct {
	streak int       // crashes since the last call that ended well
	loaded bool      // a worker has been ready once
	reason string    // of the last
	next   time.Time // no worker is started before
}

// delay is the pause before the start after a crash. The first crash of a
// function that has loaded costs nothing: one bad call must not stop the rest.
func (c *crashes) delay() time.Duration {
	n := c.streak
	if c.loaded {
		n--
	}
	if n <= 0 {
		return 0
	}
	return min(firstDelay<<min(n-1, 10), longestDelay)
}

func (p *Pool) crashed(w *worker, outcome string) {
	if w.fault != "" && outcome == killed {
		outcome = w.fault // the pool did it
	}
	if time.Since(w.started) > 2*longestDelay {
		p.health.streak = 0
	}
	p.restarts++
	p.health.streak++
	delay := p.health.delay()
	p.health.next = time.Now().Add(delay)
	p.health.reason = strings.Join(append([]string{outcome}, w.tail.Lines(tailLines)...), "\n")
	p.opt.Log.Error("worker crashed", "worker", w.id, "outcome", outcome,
		"crashes", p.health.streak, "next start in", delay)
	if p.hopeless() != "" {
		p.refuse(&UnavailableError{p.hopeless()})
	}
}

// hopeless returns why waiting for a worker is in vain: none is ready, and the
// last attempts to have one failed. It returns "" otherwise.
func (p *Pool) hopeless() string {
	least := 2
	if !p.health.loaded {
		least = 1
	}
	if p.health.streak < least || p.count(ready) > 0 {
		return ""
	}
	return fmt.Sprintf("crash-looping: the worker ended %d times without a good call; the last time: %s",
		p.health.streak, p.health.reason)
}

func (p *Pool) count(s state) int {
	n := 0
	for _, w := range p.workers {
		if w.state == s {
			n++
		}
	}
	return n
}

// usable counts workers that take calls now or soon.
func (p *Pool) usable() int {
	n := 0
	for _, w := range p.workers {
		if (w.state == starting || w.state == ready) && !w.stuck && !w.retiring {
			n++
		}
	}
	return n
}

// limit is how many workers there may be.
func (p *Pool) limit() int {
	if p.capacity > 1 {
		return p.opt.MaxConcurrent
	}
	return p.opt.MaxSingle
}

// room is how many more workers may start. One that is being replaced counts
// where it holds the port that the next one needs.
func (p *Pool) room() int {
	used := 0
	for _, w := range p.workers {
		leaves := w.state == draining || w.retiring
		if w.state != gone && (!leaves || p.opt.Network != "unix") {
			used++
		}
	}
	return p.limit() - used
}

// ensure starts what is missing of the least number of workers.
func (p *Pool) ensure() {
	p.grow(p.opt.MinWorkers - p.usable())
	if p.queue.Len() > 0 {
		p.scaleSoon()
	}
}

// grow starts up to n workers, or arranges for it to be done after back-off.
func (p *Pool) grow(n int) {
	n = min(n, p.room())
	if n <= 0 || p.closing {
		return
	}
	if wait := time.Until(p.health.next); wait > 0 {
		if p.restart == nil {
			p.restart = time.AfterFunc(wait, func() {
				p.mu.Lock()
				defer p.mu.Unlock()
				p.restart = nil
				p.ensure()
			})
		}
		return
	}
	if p.health.streak > 0 { // one attempt at a time
		n = min(n, 1-p.count(starting))
	}
	for range n {
		p.add()
	}
}

// scaleSoon looks at the queue in a moment.
func (p *Pool) scaleSoon() {
	if p.scaling {
		return
	}
	p.scaling = true
	time.AfterFunc(scaleAfter, func() {
		p.mu.Lock()
		p.expire()
		pids := p.pids()
		p.mu.Unlock()
		useful := 0
		if pids != nil {
			useful = p.pressure.useful(pids, p.opt.CPUs, time.Now())
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		p.scaling = false
		p.scale(useful)
	})
}

// pids are the processes whose wish for CPUs counts, the proxy first, then the
// workers that take calls; those that load are limited in number instead. It
// is nil if no worker would be started.
func (p *Pool) pids() []int {
	if !p.late() || p.room() <= 0 {
		return nil
	}
	pids := []int{os.Getpid()}
	for _, w := range p.workers {
		if w.state == ready {
			pids = append(pids, w.process.PID())
		}
	}
	return pids
}

// late says whether a call has waited for long.
func (p *Pool) late() bool {
	return p.queue.Len() > 0 && time.Since(p.queue.Front().Value.(*Wait).since) >= scaleAfter
}

// scale starts workers for calls that have waited, a few at a time, since
// loading takes the CPU that calls need. There are always as many as CPUs; of
// more, only as many as are useful. If no call has ended for long, one more is
// started all the same: those in the workers may be long ones, and short ones
// must not wait behind them.
func (p *Pool) scale(useful int) {
	if p.queue.Len() == 0 || p.closing {
		return
	}
	if p.late() {
		useful = max(useful, p.opt.CPUs-p.count(ready))
		if useful == 0 && time.Since(p.lastEnd) >= stalledAfter {
			useful = 1
		}
		wanted := (p.queue.Len() + p.capacity - 1) / p.capacity
		p.grow(min(wanted, useful, startsPerCPU*p.opt.CPUs) - p.count(starting))
	}
	p.scaleSoon()
}

func (p *Pool) idleTick() time.Duration {
	return min(max(p.opt.WorkerIdle/4, 50*time.Millisecond), 10*time.Second)
}

// reapIdle stops workers without work, the youngest first, and closes idle
// connections to classic servers before those do.
func (p *Pool) reapIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing {
		return
	}
	spare := p.usable() - p.opt.MinWorkers
	for i := len(p.workers) - 1; i >= 0 && spare > 0; i-- {
		w := p.workers[i]
		if w.state == ready && w.calls == 0 && time.Since(w.lastCall) >= p.opt.WorkerIdle {
			p.opt.Log.Info("worker stopped", "worker", w.id, "reason", "idle")
			p.stop(w)
			spare--
		}
	}
	time.AfterFunc(p.idleTick(), p.reapIdle)
}
