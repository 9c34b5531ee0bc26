package pool

import (
	"container/list"
	"log/slog"
	"time"
)

// state is all that the pool decides by, and step is all of its decisions: the
// same state, time and event always give the same state and the same actions.
// It reads no clock, starts nothing and waits for nothing; Pool does what the
// actions say, and what comes of it is an event again.
//
// A worker's life. "Serving" is ready, silent, retiring or mute; one is usable
// while it is loading or ready.
//
//	phase           event                                    next       besides
//	-               too few are usable, or calls wait        loading    start
//	loading         loaded                                   ready      retiring and mute ones drain; starts what is missing
//	ready           does not answer                          silent     starts another if too few are usable
//	silent          answers                                  ready      retiring and mute ones drain
//	mute            answers                                  retiring
//	serving         a call over time; it takes one at once,
//	                or as many leave as there may be         killed     kill
//	serving         a call over time; it has a socket        mute       look, starts another
//	serving         a call over time; it has a port          draining
//	retiring, mute  another is ready                         draining
//	serving         idle for long, and more than needed      stopping   terminate
//	draining        its last call ends                       stopping   terminate
//	draining,
//	stopping        as "serving, a call over time", case 1   killed     kill
//	stopping        the grace has passed                     killed     kill
//	loading,
//	serving         unfit, or takes no connections           condemned  kill
//	before stopping the pool closes                          stopping   terminate
//	loading, serving,
//	condemned       its process has ended                    lost       drop, ends calls that nobody holds
//	draining,
//	stopping, killed its process has ended                   left       drop, ends calls that nobody holds
//	lost            its output is read                       -          a crash: back-off, then starts what is missing
//	left            its output is read                       -          starts what is missing
//
// A call. Ready and retiring workers with a free slot and no suspect call get
// calls, the one with the fewest first, among equals the oldest.
//
//	phase           event                                    next       besides
//	-               taken, and a worker has a slot           running    grant
//	-               taken, and there is none                 waiting
//	-               taken, but the queue is full, every start
//	                fails, or the pool closes                over       refuse
//	waiting         a worker has a slot, first in first out running    grant
//	waiting         QueueTimeout, crash loop, the pool closes over      refuse
//	waiting         gives up                                 over
//	running         released                                 over       ends a row of crashes; starts what is missing
//	running         returned unused                          over
//	running         abandoned, worker of one call            asked      ask until the call's deadline
//	running         abandoned, worker of several             over
//	running         broken                                   suspect    for endGrace, or until the process ends
//	suspect         endGrace                                 as running and abandoned
//	asked           the worker answers                       over
//	asked           the deadline                             over       the worker has a call over time
//	running, asked  takes no connections                     over       the worker is condemned
//	running         over time, the worker can stop calls     stopped    cancel
//	running         over time, otherwise                     over       the worker has a call over time
//	stopped         the worker says that it ended            over
//	stopped         it says otherwise, or nothing            over       the worker has a call over time
//	suspect, asked,
//	stopped         the worker's process has ended           over
//
// What ends a call that is over already does nothing.
//
// Times: a call that has waited for scaleAfter starts workers, see scale; after
// a crash none starts for a time, see crashes. One wake action at a time is in
// force, for the earliest of all times that something is due at.
type state struct {
	rules
	workers  []*worker // oldest first, until their output is read
	queue    list.List // of *call that wait
	serial   int       // of the last worker
	capacity int       // calls at once of the last worker that became ready
	restarts uint64
	crashes  crashes
	opened   time.Time
	lastEnd  time.Time // of a call, or when a worker became ready
	closing  bool

	measuring bool // the demand for CPUs is being measured
	// When each of these is due; the zero time is never.
	scaleAt, restartAt, watchAt, idleAt time.Time
	wake                                time.Time // when the next ticked is asked for

	now time.Time // of the event at hand
	out []action
}

// rules are what the state machine knows of the settings.
type rules struct {
	Sockets       bool // each worker has its own; otherwise they share one port
	Asks          bool // workers have a path to ask if they are ready
	Concurrency   int  // of a worker that does not say
	MinWorkers    int
	MaxSingle     int
	MaxConcurrent int
	CPUs          int
	Queue         int
	QueueTimeout  time.Duration
	WorkerIdle    time.Duration
	KillGrace     time.Duration
}

// phase is where a worker is in its life.
type phase uint8

const (
	loading phase = iota
	ready
	silent    // does not answer while it has calls; gets no new ones until it does
	retiring  // to be replaced; takes calls until another worker can
	mute      // retiring, and silent or not asked yet
	draining  // gets no new calls; stops when the last has ended
	stopping  // told to end; killed after a grace
	killed    // by the pool's decision
	condemned // killed since it is broken
	left      // its process has ended as the pool decided
	lost      // its process has ended otherwise
	phases    = iota
)

func (p phase) String() string {
	return [phases]string{"loading", "ready", "silent", "retiring", "mute", "draining", "stopping", "killed",
		"condemned", "left", "lost"}[p]
}

func (p phase) serving() bool { return p >= ready && p <= mute }
func (p phase) usable() bool  { return p == loading || p == ready }
func (p phase) gone() bool    { return p >= left }

// leaving says that a worker that lives will not stay.
func (p phase) leaving() bool { return p >= retiring && p < left }

// worker is what is decided of one process.
type worker struct {
	id       int
	phase    phase
	started  time.Time
	capacity int
	cancels  bool   // can stop a single call
	fault    string // why it was condemned
	calls    int    // that are not over
	aside    []*call
	suspect  int // of aside
	lastCall time.Time
	looking  bool      // an answer to look is due
	killAt   time.Time // if stopping

	process *process // the pool's; nothing is decided by it
}

// callPhase is where a call is, from asking for a worker to its end.
type callPhase uint8

const (
	waiting callPhase = iota
	running
	suspect // its connection failed a moment ago
	asked   // the worker was asked if it is free
	stopped // the worker was told to stop it
	over
)

// call is what is decided of one call.
type call struct {
	phase    callPhase
	worker   *worker // from running on
	since    time.Time
	queued   *list.Element // if waiting
	again    bool          // was granted before: it waits in front, and takes no room of the queue
	deadline time.Time     // if suspect
	until    time.Time     // if suspect

	lease *Lease // the pool's; nothing is decided by it
}

// eventKind is what has happened.
type eventKind uint8

const (
	opened eventKind = iota
	closed
	ticked // a time that wake asked for

	taken  // call wants a worker
	probed // the pool itself takes a slot of worker for call
	gaveUp
	released    // as it should
	returned    // without having been used
	abandoned   // nobody waits for its end, which is due by deadline
	broken      // its connection failed; deadline as above
	unreachable // the worker takes no connections, because of reason
	overTime
	freed        // the worker answered ask
	overdue      // it did not
	cancelled    // the worker stopped the call
	notCancelled // or did not

	loaded   // worker takes capacity calls at once, and cancels them or not
	unfit    // worker is not ready, because of reason
	answered // what look asked: agree or not
	heard    // the same, without having been asked for it
	exited   // the process of worker
	buried   // its output was read; reason is the outcome, tail what it printed last
	measured // useful more workers have something to run on
)

// event is what has happened, with the fields that its kind names.
type event struct {
	kind           eventKind
	call           *call
	worker         *worker
	deadline       time.Time
	reason, tail   string
	capacity       int
	cancels, agree bool
	useful         int
}

// deed is what the pool shall do.
type deed uint8

const (
	grant     deed = iota // worker to call
	refuse                // call, with err
	start                 // worker
	terminate             // worker, by SIGTERM
	kill                  // worker, by SIGKILL
	look                  // ask worker if it answers
	ask                   // the worker of call if it is free, until at
	cancel                // call
	drop                  // worker's idle connections
	measure               // the demand for CPUs
	wake                  // with ticked, at
	note                  // in the log, of worker
	finish                // the pool has closed
)

// action is a deed, with the fields that it names.
type action struct {
	do     deed
	call   *call
	worker *worker
	err    error
	at     time.Time
	level  slog.Level
	text   string
	attrs  []any
}

func (s *state) act(a action) { s.out = append(s.out, a) }

func (s *state) note(level slog.Level, w *worker, text string, attrs ...any) {
	s.act(action{do: note, worker: w, level: level, text: text, attrs: attrs})
}

// step takes an event in and returns what to do, in this order. The result is
// valid until the next step.
func (s *state) step(now time.Time, e event) []action {
	s.now, s.out = now, s.out[:0]
	if e.kind == ticked {
		s.wake = time.Time{}
	}
	armed := s.wake
	switch e.kind {
	case taken:
		s.take(e.call)
	case probed:
		s.grant(e.call, e.worker)
	case gaveUp:
		s.giveUp(e.call)
	case released, returned, abandoned, broken, unreachable, overTime, freed, overdue, cancelled, notCancelled:
		s.endCall(e)
	case opened:
		s.open()
	case closed:
		s.close()
	case ticked:
		s.tick()
	case measured:
		s.measuring = false
		s.scale(e.useful)
	default:
		s.follow(e)
	}
	if !s.wake.Equal(armed) {
		s.act(action{do: wake, at: s.wake})
	}
	return s.out
}

// due asks for a tick at a time, if none is asked for earlier.
func (s *state) due(at time.Time) {
	if !at.IsZero() && (s.wake.IsZero() || at.Before(s.wake)) {
		s.wake = at
	}
}

// passed says whether a time has come, and forgets it then.
func (s *state) passed(at *time.Time) bool {
	if at.IsZero() || s.now.Before(*at) {
		return false
	}
	*at = time.Time{}
	return true
}

// tick does what is due, and asks for the next tick.
func (s *state) tick() {
	for _, w := range s.workers {
		if w.phase == stopping && s.passed(&w.killAt) {
			s.kill(w)
		}
		if w.suspect > 0 {
			s.trustAgain(w)
		}
	}
	if s.passed(&s.restartAt) {
		s.ensure()
	}
	if s.passed(&s.watchAt) {
		s.watch()
	}
	if s.passed(&s.scaleAt) {
		s.lookAtQueue()
	}
	if s.passed(&s.idleAt) {
		s.reapIdle()
	}
	for _, at := range []time.Time{s.scaleAt, s.restartAt, s.watchAt, s.idleAt} {
		s.due(at)
	}
	for _, w := range s.workers {
		if w.phase == stopping {
			s.due(w.killAt)
		}
		for _, c := range w.aside {
			if c.phase == suspect {
				s.due(c.until)
			}
		}
	}
}

func (s *state) open() {
	s.opened, s.capacity = s.now, s.Concurrency
	s.ensure()
	s.idleAt = s.now.Add(s.idleTick())
	s.due(s.idleAt)
}

func (s *state) close() {
	if s.closing {
		return
	}
	s.closing = true
	s.scaleAt, s.restartAt, s.watchAt, s.idleAt = time.Time{}, time.Time{}, time.Time{}, time.Time{}
	s.refuseAll(ErrClosed)
	for _, w := range s.workers {
		s.stop(w)
	}
	if len(s.workers) == 0 {
		s.act(action{do: finish})
	}
}
