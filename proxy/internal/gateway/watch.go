package gateway

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// watchEvery is how late a call over time, or one whose client has left or is
// too slow, may be stopped.
const watchEvery = 10 * time.Millisecond

// watch stops calls that run over time, and those whose client has left or
// holds a worker up. It looks at all of them from time to time: a timer and a
// callback for each call cost more, and nearly all calls have ended before the
// first look.
type watch struct {
	stall     time.Duration // how long a client's part of a call may stall
	contended func() bool   // whether calls wait
	slowOnes  func() int    // how many clients may be slow to take answers then

	mu      sync.Mutex
	calls   map[*call]struct{}
	looking bool // a look is due
}

// add makes the watch interrupt the call's connection when it must stop.
func (w *watch) add(c *call) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[c] = struct{}{}
	if !w.looking {
		w.looking = true
		time.AfterFunc(watchEvery, w.look)
	}
}

// remove ends the watch of a call: its connection is not touched afterwards.
// It says whether the call was interrupted since its client has left.
func (w *watch) remove(c *call) (gone bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, c)
	return c.gone
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	var slow []*call
	for c := range w.calls {
		c.gone = c.r.Context().Err() != nil
		switch {
		case c.gone || !now.Before(c.deadline):
			c.conn.Interrupt()
			delete(w.calls, c)
		case c.source != nil && !c.source.over() && w.tooSlow(&c.source.pace, now):
			c.source.stop()
		case c.taking.now(now) > w.stall:
			c.stopAnswer()
		case c.taking.now(now) > slowAfter:
			slow = append(slow, c)
		}
	}
	w.thin(slow, now)
	if w.looking = len(w.calls) > 0; w.looking {
		time.AfterFunc(watchEvery, w.look)
	}
}

// tooSlow says whether a body comes too slowly.
func (w *watch) tooSlow(p *pace, now time.Time) bool {
	return p.now(now) > w.stall || p.lags(now) && w.contended()
}

// thin stops those who take their answers most slowly, if they are too many.
func (w *watch) thin(slow []*call, now time.Time) {
	if len(slow) == 0 || !w.contended() {
		return
	}
	extra := len(slow) - w.slowOnes()
	if extra <= 0 {
		return
	}
	slices.SortFunc(slow, func(a, b *call) int { return cmp.Compare(b.taking.now(now), a.taking.now(now)) })
	for _, c := range slow[:extra] {
		c.stopAnswer()
	}
}
