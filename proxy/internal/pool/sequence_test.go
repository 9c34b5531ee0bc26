package pool

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// choices are made by bytes, so that a fuzzer can look for bad ones.
type choices struct{ data []byte }

// below returns a number from 0 to n-1; it is 0 when the bytes are used up.
func (c *choices) below(n int) int {
	if len(c.data) == 0 {
		return 0
	}
	b := int(c.data[0])
	c.data = c.data[1:]
	return b % n
}

// some returns an element, or false if there is none.
func some[T any](c *choices, of []T) (T, bool) {
	if len(of) == 0 {
		var none T
		return none, false
	}
	return of[c.below(len(of))], true
}

// play drives the machine by bytes, then lets everything end.
func play(t testing.TB, data []byte) *world {
	t.Helper()
	c := &choices{data}
	r := rules{
		Sockets: c.below(4) > 0, Asks: c.below(4) > 0, Concurrency: 1 + 3*c.below(2), MinWorkers: 1 + c.below(3),
		MaxSingle: 3 + c.below(4), MaxConcurrent: 1 + c.below(3), CPUs: 1 + c.below(3), Queue: 1 + c.below(20),
		QueueTimeout: time.Duration(1+c.below(20)) * 100 * time.Millisecond,
		WorkerIdle:   time.Duration(1+c.below(20)) * 100 * time.Millisecond, KillGrace: time.Second,
	}
	if !r.Sockets { // all workers would listen on the same port
		r.MinWorkers, r.MaxSingle, r.MaxConcurrent = 1, 1, 1
	}
	w := newWorld(t, r)
	for len(c.data) > 0 {
		w.move(c)
	}
	w.end()
	return w
}

// move makes one event happen, or none if what was chosen can not.
func (w *world) move(c *choices) {
	kind := c.below(32)
	switch {
	case kind < 8:
		who := w.newClient(fmt.Sprint("c", len(w.calls)), kind == 0)
		w.tell(event{kind: taken, call: &who.call})
	case kind < 14:
		held := w.find(func(o *client) bool { return o.phase == running && o.told == 1 })
		if who, ok := some(c, held); ok {
			w.finish(c, who)
		}
	case kind < 20:
		if d, ok := some(c, w.debts); ok {
			w.pay(d, c.below(3) > 0, 1+c.below(4))
		}
	case kind < 22:
		w.pass(time.Duration(c.below(256)) * 10 * time.Millisecond)
	case kind < 24:
		if !w.s.wake.IsZero() {
			w.pass(max(0, w.s.wake.Sub(w.now)))
		}
	case kind < 26:
		w.dieOrBury(c)
	default:
		w.rare(c, kind)
	}
}

// finish ends a call that is held.
func (w *world) finish(c *choices, who *client) {
	kind := released + eventKind(c.below(int(overTime-released)+1))
	w.tell(event{kind: kind, call: &who.call, deadline: w.now.Add(time.Second), reason: "refused"})
	if who.phase == running {
		w.fail("%s was ended by %d and still runs", who.name, kind)
	}
}

func (w *world) dieOrBury(c *choices) {
	var there []*body
	for _, b := range w.workers {
		if slices.Contains(w.s.workers, b.w) {
			there = append(there, b)
		}
	}
	b, ok := some(c, there)
	switch {
	case !ok:
	case b.ended:
		w.bury(b)
	case b.terms+b.kills > 0 || c.below(3) == 0:
		w.exit(b)
	}
}

// rare makes happen what should not, or seldom does.
func (w *world) rare(c *choices, kind int) {
	switch kind {
	case 26: // the end of a call that has ended
		if who, ok := some(c, w.find(func(o *client) bool { return o.phase == over || o.phase > running })); ok {
			for k := released; k <= overTime; k++ {
				if k == unreachable && who.phase == asked {
					continue // that is an answer
				}
				if said := w.tell(event{kind: k, call: &who.call}); len(said) > 0 {
					w.fail("the second end of %s does %v", who.name, said)
				}
			}
		}
	case 27, 28:
		if who, ok := some(c, w.find(func(o *client) bool { return o.phase == waiting })); ok {
			who.left = true
			w.tell(event{kind: gaveUp, call: &who.call})
		}
	case 29:
		w.tell(event{kind: ticked}) // that nobody asked for
	case 30:
		for _, x := range w.s.workers {
			if x.phase == ready && x.calls == 0 {
				probe := w.newClient(fmt.Sprint("c", len(w.calls)), false)
				w.tell(event{kind: probed, call: &probe.call, worker: x})
				break
			}
		}
	case 31:
		if c.below(16) == 0 {
			w.tell(event{kind: closed})
		}
	}
}

// end lets all that was begun come to its end: first the waits, then the pool.
func (w *world) end() {
	waits := w.find(func(o *client) bool { return o.phase == waiting })
	for range 3 {
		w.pass(w.s.QueueTimeout)
		for _, d := range slices.Clone(w.debts) {
			if d.do == measure {
				w.pay(d, true, 1)
			}
		}
	}
	for _, who := range waits {
		if who.phase == waiting {
			w.fail("%s waits since %s, for more than %s", who.name, who.askedAt, w.s.QueueTimeout)
		}
	}
	w.tell(event{kind: closed})
	for _, who := range w.find(func(o *client) bool { return o.phase == running }) {
		w.tell(event{kind: released, call: &who.call})
	}
	for _, d := range slices.Clone(w.debts) {
		w.pay(d, true, 1)
	}
	w.pass(w.s.KillGrace + endGrace)
	for _, b := range w.workers {
		if !slices.Contains(w.s.workers, b.w) {
			continue
		}
		if !b.ended && b.kills == 0 {
			w.fail("worker %d lives on (%s) though the pool closes", b.w.id, b.w.phase)
		}
		if !b.ended {
			w.exit(b)
		}
		w.bury(b)
	}
	if w.done != 1 || !w.s.wake.IsZero() {
		w.pass(time.Minute)
	}
	if w.done != 1 || !w.s.wake.IsZero() || len(w.s.workers) > 0 {
		w.fail("the pool has not ended: %d times, next tick %s", w.done, w.s.wake)
	}
	for _, who := range w.calls {
		if who.phase != over {
			w.fail("%s has not ended", who.name)
		}
	}
}

// Whatever happens in whatever order, nothing is lost and nothing is double;
// and what happens is all that counts: the same again says the same.
func TestAnySequence(t *testing.T) {
	sequences := 1500
	if testing.Short() {
		sequences = 100
	}
	taken := map[[2]phase]bool{}
	for seed := range sequences {
		random := rand.New(rand.NewPCG(uint64(seed), 7))
		data := make([]byte, 20+random.IntN(400))
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		w := play(t, data)
		maps.Copy(taken, w.taken)
		if seed%50 == 0 && !slices.EqualFunc(w.trace, play(t, data).trace, func(a, b moment) bool { return a.at == b.at && slices.Equal(a.said, b.said) }) {
			t.Fatal("the same events did not have the same actions")
		}
	}
	for from, all := range steps() {
		for _, to := range all {
			if !testing.Short() && !taken[[2]phase{from, to}] {
				t.Errorf("no sequence took a worker from %s to %s", from, to)
			}
		}
	}
}

func FuzzSequence(f *testing.F) {
	for seed := range byte(8) {
		random := rand.New(rand.NewPCG(uint64(seed), 11))
		data := make([]byte, 300)
		for i := range data {
			data[i] = byte(random.Uint32())
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) { play(t, data[:min(len(data), 500)]) })
}
