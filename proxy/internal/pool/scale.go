package pool

import (
	"fmt"
	"log/slog"
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
)

// crashes is what is known of worker exits that the pool did not cause.
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

// crashed records an exit that the pool did not cause.
func (s *state) crashed(w *worker, outcome, tail string) {
	if w.fault != "" && outcome == outcomeKilled {
		outcome = w.fault // the pool did it
	}
	if s.now.Sub(w.started) > 2*longestDelay {
		s.crashes.streak = 0
	}
	s.restarts++
	s.crashes.streak++
	delay := s.crashes.delay()
	s.crashes.next = s.now.Add(delay)
	s.crashes.reason = strings.TrimSuffix(outcome+"\n"+tail, "\n")
	s.note(slog.LevelError, w, "worker crashed", "outcome", outcome,
		"crashes", s.crashes.streak, "next start in", delay)
	if reason := s.unavailable(); reason != "" {
		s.refuseAll(&UnavailableError{reason})
	}
}

// unavailable returns why waiting for a worker is useless: none is ready, and the
// last attempts to start one failed. It returns "" otherwise.
func (s *state) unavailable() string {
	least := 2
	if !s.crashes.loaded {
		least = 1
	}
	if s.crashes.streak < least || s.serving() > 0 {
		return ""
	}
	return fmt.Sprintf("crash-looping: the worker ended %d times without a good call; the last time: %s",
		s.crashes.streak, s.crashes.reason)
}

func (s *state) count(is func(phase) bool) int {
	n := 0
	for _, w := range s.workers {
		if is(w.phase) {
			n++
		}
	}
	return n
}

func (s *state) serving() int { return s.count(phase.serving) }
func (s *state) usable() int  { return s.count(phase.usable) }
func (s *state) loading() int { return s.count(func(p phase) bool { return p == loading }) }

// limit is how many workers there may be.
func (s *state) limit() int {
	if s.capacity > 1 {
		return s.MaxConcurrent
	}
	return s.MaxSingle
}

// room is how many more workers may start. One that leaves counts where it
// holds the port that the next one needs.
func (s *state) room() int {
	return s.limit() - s.count(func(p phase) bool { return !p.gone() && (!p.leaving() || !s.Sockets) })
}

// ensure starts what is missing of the least number of workers.
func (s *state) ensure() {
	s.grow(s.MinWorkers - s.usable())
	if s.queue.Len() > 0 {
		s.scaleSoon()
	}
}

// grow starts up to n workers, or arranges for it to be done after back-off.
func (s *state) grow(n int) {
	n = min(n, s.room())
	if n <= 0 || s.closing {
		return
	}
	if s.now.Before(s.crashes.next) {
		s.restartAt = s.crashes.next
		s.due(s.restartAt)
		return
	}
	if s.crashes.streak > 0 { // one attempt at a time
		n = min(n, 1-s.loading())
	}
	for range n {
		s.add()
	}
}

// scaleSoon looks at the queue in a moment.
func (s *state) scaleSoon() {
	if s.scaleAt.IsZero() && !s.measuring && !s.closing {
		s.scaleAt = s.now.Add(scaleAfter)
		s.due(s.scaleAt)
	}
}

// late says whether a call has waited for long.
func (s *state) late() bool {
	return s.queue.Len() > 0 && s.now.Sub(s.first().since) >= scaleAfter
}

// lookAtQueue ends waits that take too long, and has the demand for CPUs measured
// if a worker might be started.
func (s *state) lookAtQueue() {
	s.expire()
	if s.late() && s.room() > 0 {
		s.measuring = true
		s.act(action{do: measure})
		return
	}
	s.scale(0)
}

// scale starts workers for calls that have waited, a few at a time, since
// loading takes the CPU that calls need. There are always as many as CPUs; of
// more, only as many as are useful. If no call has ended for long, one more is
// started all the same: those in the workers may be long ones, and short ones
// must not wait behind them.
func (s *state) scale(useful int) {
	if s.queue.Len() == 0 || s.closing {
		return
	}
	if s.late() {
		useful = max(useful, s.CPUs-s.serving())
		if useful == 0 && s.now.Sub(s.lastEnd) >= stalledAfter {
			useful = 1
		}
		wanted := (s.queue.Len() + s.capacity - 1) / s.capacity
		s.grow(min(wanted, useful, startsPerCPU*s.CPUs) - s.loading())
	}
	s.scaleSoon()
}

func (s *state) idleTick() time.Duration {
	return min(max(s.WorkerIdle/4, 50*time.Millisecond), 10*time.Second)
}

// reapIdle stops workers without work, the youngest first.
func (s *state) reapIdle() {
	spare := s.usable() - s.MinWorkers
	for i := len(s.workers) - 1; i >= 0 && spare > 0; i-- {
		w := s.workers[i]
		if w.phase.serving() && w.calls == 0 && s.now.Sub(w.lastCall) >= s.WorkerIdle {
			s.note(slog.LevelInfo, w, "worker stopped", "reason", "idle")
			s.stop(w)
			spare--
		}
	}
	s.idleAt = s.now.Add(s.idleTick())
}
