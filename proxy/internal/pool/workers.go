package pool

import (
	"log/slog"
	"slices"
	"time"
)

// watchEvery is how often a worker that takes several calls is asked, while it
// has some, if it still answers.
const watchEvery = 500 * time.Millisecond

// idleLimit is how long a connection to a classic server may be idle; many
// such servers close theirs after a few seconds, and a call must not cross
// with that. Workers with a socket are told never to close.
const idleLimit = time.Second

// add starts a worker.
func (s *state) add() {
	s.serial++
	w := &worker{id: s.serial, started: s.now, capacity: s.Concurrency}
	s.workers = append(s.workers, w)
	s.act(action{do: start, worker: w})
}

// follow takes in what happens to a worker.
func (s *state) follow(e event) {
	w := e.worker
	switch e.kind {
	case loaded:
		s.becomeReady(w, e)
	case unfit:
		s.condemn(w, e.reason)
	case answered:
		w.looking = false
		s.hear(w, e.agree)
	case heard:
		s.hear(w, e.agree)
	case exited:
		s.exit(w)
	case buried:
		s.bury(w, e)
	}
}

func (s *state) becomeReady(w *worker, e event) {
	if w.phase != loading {
		return
	}
	w.phase, w.capacity, w.cancels = ready, e.capacity, e.cancels
	w.lastCall, s.lastEnd = s.now, s.now
	s.capacity, s.crashes.loaded = e.capacity, true
	s.note(slog.LevelInfo, w, "worker ready",
		"after", s.now.Sub(w.started).Round(time.Millisecond), "concurrency", w.capacity)
	s.relieve()
	s.dispatch()
	s.ensure() // after a crash they load one by one; how many there may be may have changed
}

// hear takes in whether a worker answers.
func (s *state) hear(w *worker, answers bool) {
	if !w.phase.serving() || answers == (w.phase == ready || w.phase == retiring) {
		return
	}
	switch w.phase {
	case ready:
		w.phase = silent
	case silent:
		w.phase = ready
	case retiring:
		w.phase = mute
	case mute:
		w.phase = retiring
	}
	s.note(slog.LevelWarn, w, "worker answers", "answers", answers)
	if !answers {
		s.ensure()
		return
	}
	s.relieve()
	s.dispatch()
}

// watched says whether a worker needs a look from time to time: for an answer
// or, if it has no socket, for connections that have been idle too long.
func (s *state) watched(w *worker) bool {
	return w.phase.serving() &&
		(!s.Sockets || s.Asks && w.capacity > 1 && (w.calls > 0 || w.phase == silent || w.phase == mute))
}

// watch looks at the workers that need it.
func (s *state) watch() {
	for _, w := range s.workers {
		if !s.watched(w) {
			continue
		}
		s.watchAt = s.now.Add(watchEvery)
		if !s.Sockets && s.now.Sub(w.lastCall) >= idleLimit {
			s.act(action{do: drop, worker: w})
		}
		if s.Asks && w.capacity > 1 && (w.calls > 0 || w.phase == silent || w.phase == mute) {
			s.look(w)
		}
	}
}

// look asks a worker if it answers, once at a time.
func (s *state) look(w *worker) {
	if !w.looking && s.Asks {
		w.looking = true
		s.act(action{do: look, worker: w})
	}
	if s.watchAt.IsZero() {
		s.watchAt = s.now.Add(watchEvery)
		s.due(s.watchAt)
	}
}

// stop asks a worker to end; its calls are lost.
func (s *state) stop(w *worker) {
	if w.phase >= stopping {
		return
	}
	w.phase, w.killAt = stopping, s.now.Add(s.KillGrace)
	s.due(w.killAt)
	s.act(action{do: terminate, worker: w})
}

// kill ends a worker at once, by the pool's decision.
func (s *state) kill(w *worker) {
	if w.phase > stopping {
		return
	}
	w.phase = killed
	s.act(action{do: kill, worker: w})
}

// condemn kills a worker that is broken: that counts as a crash.
func (s *state) condemn(w *worker, fault string) {
	if w.phase != loading && !w.phase.serving() {
		return
	}
	w.phase, w.fault = condemned, fault
	s.act(action{do: kill, worker: w})
}

// replace ends a call and starts another worker instead of its own, which is
// killed if it runs one call at once. Otherwise its other calls go on, and it
// takes new ones until the other is ready if it still answers, unless that
// needs its port.
func (s *state) replace(c *call, reason string) {
	w := c.worker
	if w.phase == ready || w.phase == silent {
		s.restarts++
		s.note(slog.LevelWarn, w, "worker replaced", "reason", reason)
	}
	switch {
	case w.capacity == 1 || s.crowded():
		s.kill(w)
	case w.phase.serving() && s.Sockets:
		w.phase = mute // until it answers
		s.relieve()
		if w.phase == mute {
			s.look(w)
		}
	case w.phase.serving():
		w.phase = draining
	}
	s.giveBack(c)
	s.ensure()
}

// relieve ends the work of retiring workers if there is another to take calls.
func (s *state) relieve() {
	if !slices.ContainsFunc(s.workers, func(w *worker) bool { return w.phase == ready }) {
		return
	}
	for _, w := range s.workers {
		if w.phase == retiring || w.phase == mute {
			w.phase = draining
			if w.calls == 0 {
				s.stop(w)
			}
		}
	}
}

// crowded says that so many workers leave that one more must not.
func (s *state) crowded() bool {
	n := 0
	for _, w := range s.workers {
		if w.phase.leaving() {
			n++
		}
	}
	return n >= s.limit()
}

// exit takes in the end of a process. Calls that nobody holds end with it; the
// holders of the others find their connections broken.
func (s *state) exit(w *worker) {
	if w.phase.gone() {
		return
	}
	if w.phase == draining || w.phase == stopping || w.phase == killed {
		w.phase = left
	} else {
		w.phase = lost
	}
	s.act(action{do: drop, worker: w})
	for _, c := range slices.Clone(w.aside) {
		s.giveBack(c)
	}
}

// bury forgets a worker whose process has ended and starts what is needed.
func (s *state) bury(w *worker, e event) {
	i := slices.Index(s.workers, w)
	if i < 0 {
		return
	}
	s.exit(w)
	s.workers = slices.Delete(s.workers, i, i+1)
	if w.phase == lost {
		s.crashed(w, e.reason, e.tail)
	}
	if !s.closing {
		s.ensure()
	} else if len(s.workers) == 0 {
		s.act(action{do: finish})
	}
}
