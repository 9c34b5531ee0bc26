package pool

import (
	"slices"
	"time"
)

// endGrace is how long after its connections a process ends.
const endGrace = 100 * time.Millisecond

// take gives a call a worker, a place in the queue, or an error.
func (s *state) take(c *call) {
	if s.closing {
		s.refuse(c, ErrClosed)
		return
	}
	if s.queue.Len() == 0 || c.again {
		if w := s.pick(); w != nil {
			s.grant(c, w)
			return
		}
	}
	if reason := s.unavailable(); reason != "" {
		s.refuse(c, &UnavailableError{reason})
		return
	}
	switch {
	case c.again: // it has waited already
		c.queued = s.queue.PushFront(c)
	case s.queue.Len() >= s.Queue:
		s.refuse(c, ErrQueueFull)
		return
	default:
		c.queued = s.queue.PushBack(c)
	}
	c.phase, c.since = waiting, s.now
	s.scaleSoon()
}

func (s *state) giveUp(c *call) {
	if c.queued != nil {
		s.leaveQueue(c)
		c.phase = over
	}
}

func (s *state) leaveQueue(c *call) {
	s.queue.Remove(c.queued)
	c.queued = nil
}

func (s *state) refuse(c *call, err error) {
	c.phase = over
	s.act(action{do: refuse, call: c, err: err})
}

// grant gives a slot of a worker to a call.
func (s *state) grant(c *call, w *worker) {
	c.phase, c.worker = running, w
	w.calls++
	s.act(action{do: grant, call: c, worker: w})
	if s.watchAt.IsZero() && s.watched(w) {
		s.watchAt = s.now.Add(watchEvery)
		s.due(s.watchAt)
	}
}

// pick returns the worker with a free slot that has the fewest calls; among
// equals the oldest, so that under low load the younger ones become idle.
func (s *state) pick() *worker {
	var best *worker
	for _, w := range s.workers {
		if (w.phase == ready || w.phase == retiring) && w.suspect == 0 && w.calls < w.capacity &&
			(best == nil || w.calls < best.calls) {
			best = w
			if w.calls == 0 {
				break
			}
		}
	}
	return best
}

// dispatch gives free slots to the queue, first come first served.
func (s *state) dispatch() {
	for s.queue.Len() > 0 {
		w := s.pick()
		if w == nil {
			return
		}
		c := s.first()
		s.leaveQueue(c)
		s.grant(c, w)
	}
}

// first is the head of the queue, which is not empty.
func (s *state) first() *call { return s.queue.Front().Value.(*call) }

// expire ends the waits that take too long. A call that waits again is not
// older than those behind it, so all are looked at.
func (s *state) expire() {
	for e := s.queue.Front(); e != nil; {
		c := e.Value.(*call)
		e = e.Next()
		if s.now.Sub(c.since) >= s.QueueTimeout {
			s.leaveQueue(c)
			s.refuse(c, ErrQueueTimeout)
		} else if !c.again {
			return
		}
	}
}

// refuseAll ends all waits with an error.
func (s *state) refuseAll(err error) {
	for s.queue.Len() > 0 {
		c := s.first()
		s.leaveQueue(c)
		s.refuse(c, err)
	}
}

// endCall takes in what ends a call, or the work of one that nobody holds.
func (s *state) endCall(e event) {
	c := e.call
	expected := running
	switch e.kind {
	case freed, overdue:
		expected = asked
	case cancelled, notCancelled:
		expected = stopped
	case unreachable:
		if c.phase == asked {
			expected = asked
		}
	}
	if c.phase != expected {
		return
	}
	w := c.worker
	switch e.kind {
	case released:
		recovered := s.crashes.streak > 0
		s.crashes.streak = 0
		s.giveBack(c)
		if recovered {
			s.ensure()
		}
	case returned, freed, cancelled:
		s.giveBack(c)
	case abandoned:
		s.abandon(c, e.deadline)
	case broken:
		s.suspectEnd(c, e.deadline)
	case unreachable:
		if w.phase.serving() {
			s.condemn(w, e.reason)
		}
		s.giveBack(c)
		s.ensure()
	case overTime:
		if w.capacity > 1 && w.cancels && !w.phase.gone() {
			s.setAside(c, stopped)
			s.act(action{do: cancel, call: c})
		} else {
			s.replace(c, "a call ran over time")
		}
	case notCancelled:
		s.replace(c, "a call ran over time and was not cancelled")
	case overdue:
		s.replace(c, "a call whose client had gone ran over time")
	}
}

// giveBack frees the slot of a call.
func (s *state) giveBack(c *call) {
	s.setAside(c, over)
	w := c.worker
	w.calls--
	w.lastCall, s.lastEnd = s.now, s.now
	switch {
	case w.phase.serving():
		s.dispatch()
	case w.phase == draining && w.calls == 0:
		s.stop(w)
	}
}

// setAside changes the phase of a call that had a worker, and keeps the
// worker's list of calls that nobody holds.
func (s *state) setAside(c *call, next callPhase) {
	w := c.worker
	if c.phase != running {
		w.aside = slices.DeleteFunc(w.aside, func(other *call) bool { return other == c })
	}
	if c.phase == suspect {
		w.suspect--
	}
	c.phase = next
	if next != over {
		w.aside = append(w.aside, c)
	}
	if next == suspect {
		w.suspect++
	}
}

// abandon ends a call that nobody waits for. A worker that takes one call at
// once stays busy until it answers again.
func (s *state) abandon(c *call, deadline time.Time) {
	w := c.worker
	if w.capacity > 1 || !s.Asks || w.phase.gone() {
		s.giveBack(c)
		return
	}
	s.setAside(c, asked)
	s.act(action{do: ask, call: c, at: deadline})
}

// suspectEnd keeps calls from a worker that most likely is about to end.
func (s *state) suspectEnd(c *call, deadline time.Time) {
	if c.worker.phase.gone() {
		s.giveBack(c)
		return
	}
	s.setAside(c, suspect)
	c.deadline, c.until = deadline, s.now.Add(endGrace)
	s.due(c.until)
}

// trustAgain ends the suspicion of a worker whose process has not ended.
func (s *state) trustAgain(w *worker) {
	for _, c := range slices.Clone(w.aside) {
		if c.phase == suspect && s.passed(&c.until) {
			s.abandon(c, c.deadline)
		}
	}
}
