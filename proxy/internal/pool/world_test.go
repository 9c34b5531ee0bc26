package pool

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is what surrounds the state machine in tests: it does what the machine
// says in a time of its own, remembers what must still be answered, and checks
// after each event what must always hold.
type world struct {
	t       testing.TB
	s       state
	now     time.Time
	calls   []*client
	workers []*body // all there ever were, by number - 1
	debts   []debt
	wakeAt  time.Time
	done    int               // times that the machine said finish
	taken   map[[2]phase]bool // changes of phase
	trace   []moment
}

// moment is an event and what came of it.
type moment struct {
	at   time.Duration // since the start
	e    event
	said []string
}

// client is who has a call.
type client struct {
	call
	name    string
	told    int  // times that it was granted or refused
	left    bool // gave up while it waited
	err     error
	askedAt time.Time
}

// body is a worker and its process.
type body struct {
	w                 *worker
	before            phase // at the last check
	terms, kills      int
	ended, lookIsOpen bool
}

// debt is an action that is an event some time later.
type debt struct {
	do deed
	w  *worker
	c  *call
	at time.Time
}

func newWorld(t testing.TB, r rules) *world {
	w := &world{t: t, s: state{rules: r}, now: time.Unix(1e9, 0), taken: map[[2]phase]bool{}}
	w.tell(event{kind: opened})
	return w
}

func (w *world) fail(format string, args ...any) {
	var before strings.Builder
	for _, m := range w.trace[max(0, len(w.trace)-60):] {
		fmt.Fprintf(&before, "%s %s: %s\n", m.at, w.words(m.e), strings.Join(m.said, ", "))
	}
	w.t.Fatalf("%s\nafter:\n%s", fmt.Sprintf(format, args...), before.String())
}

// tell takes an event in, does what comes of it, and returns that in words.
func (w *world) tell(e event) []string {
	var said []string
	for _, a := range w.s.step(w.now, e) {
		if words := w.do(a); words != "" {
			said = append(said, words)
		}
	}
	w.trace = append(w.trace, moment{w.now.Sub(time.Unix(1e9, 0)), e, said})
	w.check()
	return said
}

// words are an event's.
func (w *world) words(e event) string {
	words := [...]string{"opened", "closed", "ticked", "taken", "probed", "gave up", "released", "returned", "abandoned",
		"broken", "unreachable", "over time", "freed", "overdue", "cancelled", "not cancelled", "loaded", "unfit",
		"answered", "heard", "exited", "buried", "measured"}[e.kind]
	if e.worker != nil {
		words += fmt.Sprint(" ", e.worker.id)
	}
	if e.call != nil {
		words += " " + w.of(e.call).name
	}
	return words
}

func (w *world) do(a action) string {
	switch a.do {
	case grant, refuse:
		return w.answer(a)
	case start:
		w.started(a.worker)
		return fmt.Sprintf("start %d", a.worker.id)
	case terminate, kill:
		return w.signal(a)
	case look, ask, cancel, measure:
		return w.owe(a)
	case drop:
		return fmt.Sprintf("drop %d", a.worker.id)
	case wake:
		w.wakeAt = a.at
		return ""
	case note:
		return ""
	case finish:
		w.done++
		return "finish"
	}
	w.fail("an action of kind %d", a.do)
	return ""
}

func (w *world) answer(a action) string {
	c := w.of(a.call)
	if c.told++; c.told > 1 || c.left {
		w.fail("%s is told %d times (gave up: %t)", c.name, c.told, c.left)
	}
	if a.do == refuse {
		c.err = a.err
		return "refuse " + c.name
	}
	if b := w.workers[a.worker.id-1]; !a.worker.phase.serving() || b.ended || a.worker.calls > a.worker.capacity {
		w.fail("%s is granted a worker that is %s, with %d calls", c.name, a.worker.phase, a.worker.calls)
	}
	return fmt.Sprintf("grant %s %d", c.name, a.worker.id)
}

func (w *world) started(x *worker) {
	w.workers = append(w.workers, &body{w: x, before: loading})
	if x.id != len(w.workers) {
		w.fail("worker %d is number %d", x.id, len(w.workers))
	}
	w.debts = append(w.debts, debt{do: start, w: x})
	n := 0
	for _, other := range w.s.workers {
		if p := other.phase; !p.gone() && (!w.s.Sockets || !p.leaving()) {
			n++
		}
	}
	if n > w.s.limit() {
		w.fail("%d workers, where %d are allowed", n, w.s.limit())
	}
}

func (w *world) signal(a action) string {
	b := w.workers[a.worker.id-1]
	word, count := "terminate", &b.terms
	if a.do == kill {
		word, count = "kill", &b.kills
	}
	if *count++; *count > 1 || b.ended {
		w.fail("%s %d for the %d. time (ended: %t)", word, a.worker.id, *count, b.ended)
	}
	if a.do == terminate && a.worker.calls > 0 && !w.s.closing {
		w.fail("worker %d is stopped, and %d calls with it", a.worker.id, a.worker.calls)
	}
	return fmt.Sprintf("%s %d", word, a.worker.id)
}

func (w *world) owe(a action) string {
	w.debts = append(w.debts, debt{do: a.do, w: a.worker, c: a.call, at: a.at})
	switch a.do {
	case look:
		b := w.workers[a.worker.id-1]
		if b.lookIsOpen {
			w.fail("worker %d is looked at twice at once", a.worker.id)
		}
		b.lookIsOpen = true
		return fmt.Sprintf("look %d", a.worker.id)
	case ask:
		return "ask " + w.of(a.call).name
	case cancel:
		return "cancel " + w.of(a.call).name
	default:
		return "measure"
	}
}

// of finds who has a call.
func (w *world) of(c *call) *client {
	i := slices.IndexFunc(w.calls, func(other *client) bool { return &other.call == c })
	if i < 0 {
		w.fail("a call that nobody made")
	}
	return w.calls[i]
}

func (w *world) newClient(name string, again bool) *client {
	c := &client{name: name, askedAt: w.now}
	c.again = again
	w.calls = append(w.calls, c)
	return c
}

// check fails the test where something does not hold that always must.
func (w *world) check() {
	w.checkCalls()
	replaced := slices.ContainsFunc(w.s.workers, func(other *worker) bool { return other.phase == ready })
	for _, b := range w.workers {
		w.checkWorker(b, replaced)
	}
	w.checkTimes()
	s := &w.s
	if n := s.MinWorkers - s.usable(); !s.closing && n > 0 && s.room() > 0 && s.restartAt.IsZero() &&
		!slices.ContainsFunc(s.workers, func(x *worker) bool {
			return x.phase == condemned || x.phase.gone() || x.phase == loading && s.crashes.streak > 0
		}) {
		w.fail("%d workers too few, and nothing is done about it", n)
	}
	if w.done > 1 || w.done == 1 && (!s.closing || len(s.workers) > 0) {
		w.fail("finished %d times, closing: %t, with %d workers", w.done, s.closing, len(s.workers))
	}
}

func (w *world) checkCalls() {
	queued := 0
	held, aside := make([]int, len(w.workers)+1), make([]int, len(w.workers)+1) // by worker
	for _, c := range w.calls {
		switch c.phase {
		case waiting:
			if c.queued == nil || c.told > 0 {
				w.fail("%s waits without a place in the queue, or was told something", c.name)
			}
			queued++
		case running:
			held[c.worker.id]++
		case suspect, asked, stopped:
			held[c.worker.id]++
			aside[c.worker.id]++
		case over:
			if c.queued != nil || c.told == 0 && !c.left {
				w.fail("%s is over without having been told", c.name)
			}
		}
	}
	if queued != w.s.queue.Len() {
		w.fail("%d calls wait, but %d are in the queue", queued, w.s.queue.Len())
	}
	if queued > 0 && w.s.pick() != nil {
		w.fail("%d calls wait beside worker %d, which has a free slot", queued, w.s.pick().id)
	}
	for _, b := range w.workers {
		x := b.w
		if x.calls != held[x.id] || len(x.aside) != aside[x.id] {
			w.fail("worker %d counts %d calls and %d aside, but %d and %d are", x.id, x.calls, len(x.aside), held[x.id], aside[x.id])
		}
	}
}

// steps are the changes of phase that are allowed, from the table of state,
// directly or by way of phases that one event goes through.
func steps() map[phase][]phase {
	return map[phase][]phase{
		loading:   {ready, condemned, stopping, lost},
		ready:     {silent, mute, draining, stopping, killed, condemned, lost},
		silent:    {ready, mute, draining, stopping, killed, condemned, lost},
		retiring:  {mute, draining, stopping, killed, condemned, lost},
		mute:      {retiring, draining, stopping, killed, condemned, lost},
		draining:  {stopping, killed, left},
		stopping:  {killed, left},
		killed:    {left},
		condemned: {lost},
	}
}

// checkWorker is told whether a worker is ready that could replace this one.
func (w *world) checkWorker(b *body, replaced bool) {
	x := b.w
	if x.phase != b.before {
		if !slices.Contains(steps()[b.before], x.phase) {
			w.fail("worker %d went from %s to %s", x.id, b.before, x.phase)
		}
		w.taken[[2]phase{b.before, x.phase}] = true
	}
	b.before = x.phase
	n := 0
	for _, c := range x.aside {
		if c.phase == suspect {
			n++
		}
	}
	switch {
	case x.suspect != n:
		w.fail("worker %d counts %d suspect calls, but there are %d", x.id, x.suspect, n)
	case x.phase.gone() && len(x.aside) > 0:
		w.fail("worker %d has ended, but %d calls that nobody holds have not", x.id, len(x.aside))
	case x.phase.gone() != b.ended:
		w.fail("worker %d is %s, but its process has ended: %t", x.id, x.phase, b.ended)
	case x.phase == draining && x.calls == 0:
		w.fail("worker %d drains without a call", x.id)
	case (x.phase == retiring || x.phase == mute) && replaced:
		w.fail("worker %d still retires, but another is ready", x.id)
	case (x.phase == killed || x.phase == condemned) && b.kills != 1:
		w.fail("worker %d is %s, but was killed %d times", x.id, x.phase, b.kills)
	case x.phase == stopping && (b.terms != 1 || x.killAt.IsZero()):
		w.fail("worker %d stops, but was told so %d times, and is killed at %s", x.id, b.terms, x.killAt)
	}
}

func (w *world) checkTimes() {
	s := &w.s
	if s.queue.Len() > 0 && s.scaleAt.IsZero() && !s.measuring {
		w.fail("calls wait, and nobody looks after them")
	}
	times := []time.Time{s.scaleAt, s.restartAt, s.watchAt, s.idleAt}
	for _, x := range s.workers {
		if x.phase == stopping {
			times = append(times, x.killAt)
		}
		for _, c := range x.aside {
			if c.phase == suspect {
				times = append(times, c.until)
			}
		}
	}
	for _, at := range times {
		if !at.IsZero() && (s.wake.IsZero() || s.wake.After(at)) {
			w.fail("something is due at %s, but the next tick is at %s", at, s.wake)
		}
	}
	if !s.wake.IsZero() && !s.wake.Equal(w.wakeAt) {
		w.fail("the machine expects a tick at %s, but asked for one at %s", s.wake, w.wakeAt)
	}
}
