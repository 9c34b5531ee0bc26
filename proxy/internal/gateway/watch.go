package gateway

import (
	"sync"
	"time"
)

// watchEvery is how late a call over time, or one whose caller has left, may
// be stopped.
const watchEvery = 10 * time.Millisecond

// watch stops calls that run over time or whose caller has left. It looks at
// all of them from time to time: a timer and a callback for each call cost
// more, and nearly all calls have ended before the first look.
type watch struct {
	mu      sync.Mutex
	calls   map[*call]struct{}
	looking bool // a look is due
}

func newWatch() *watch { return &watch{calls: map[*call]struct{}{}} }

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
// It says whether the call was interrupted since its caller has left.
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
	for c := range w.calls {
		c.gone = c.r.Context().Err() != nil
		if c.gone || !now.Before(c.deadline) {
			c.conn.Interrupt()
			delete(w.calls, c)
		}
	}
	if w.looking = len(w.calls) > 0; w.looking {
		time.AfterFunc(watchEvery, w.look)
	}
}
