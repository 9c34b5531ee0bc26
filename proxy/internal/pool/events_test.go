package pool

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// pay answers a debt, well or badly.
func (w *world) pay(d debt, well bool, capacity int) {
	w.debts = slices.DeleteFunc(w.debts, func(other debt) bool { return other == d })
	switch d.do {
	case start:
		if well {
			w.tell(event{kind: loaded, worker: d.w, capacity: capacity, cancels: capacity%2 == 0})
			return
		}
		w.tell(event{kind: unfit, worker: d.w, reason: "not ready"})
	case look:
		w.workers[d.w.id-1].lookIsOpen = false
		w.tell(event{kind: answered, worker: d.w, agree: well})
	case ask:
		kind := freed
		if !well {
			kind = []eventKind{overdue, unreachable}[capacity%2]
		}
		w.tell(event{kind: kind, call: d.c})
	case cancel:
		kind := cancelled
		if !well {
			kind = notCancelled
		}
		w.tell(event{kind: kind, call: d.c})
	default:
		if !well {
			capacity = 0
		}
		w.tell(event{kind: measured, useful: capacity})
	}
}

// exit ends the process of a worker.
func (w *world) exit(b *body) []string {
	b.ended = true
	return w.tell(event{kind: exited, worker: b.w})
}

func (w *world) bury(b *body) []string {
	return w.tell(event{kind: buried, worker: b.w, reason: "exit status 1", tail: "a trace"})
}

// pass lets time pass, with the ticks that are asked for, and answers.
func (w *world) pass(d time.Duration) []string {
	var said []string
	end, again := w.now.Add(d), 0
	for !w.s.wake.IsZero() && !w.s.wake.After(end) {
		if w.s.wake.Equal(w.now) {
			if again++; again > 3 {
				w.fail("ticks without end")
			}
		} else if w.s.wake.After(w.now) {
			w.now, again = w.s.wake, 0
		}
		said = append(said, w.tell(event{kind: ticked})...)
	}
	w.now = end
	return said
}

// find returns the clients for which something is true.
func (w *world) find(is func(*client) bool) []*client {
	return slices.Collect(func(yield func(*client) bool) {
		for _, c := range w.calls {
			if is(c) && !yield(c) {
				return
			}
		}
	})
}

// phasesOf counts workers by phase.
func (w *world) phasesOf() string {
	n := map[string]int{}
	for _, x := range w.s.workers {
		n[x.phase.String()]++
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(n)) {
		out = append(out, fmt.Sprintf("%d %s", n[name], name))
	}
	return strings.Join(out, ", ")
}
