package gateway

import (
	"sync/atomic"
	"time"
)

// Limits on clients whose body, or whose taking of the answer, holds a worker
// up. Besides these, nothing may stall for Options.BodyWithin.
const (
	// leastBytes is what must come of a body in leastWithin of waiting for it,
	// while other calls wait.
	leastBytes  = 1 << 10
	leastWithin = time.Second
	// slowAfter is how long a part of an answer, SmallBody at most, waits for
	// its client before that counts as slow. Slow ones may hold a half of the
	// workers while other calls wait.
	slowAfter = time.Second
)

// pace is how fast a client sends or takes bytes. Time that is not spent on
// waiting for the client does not count: the worker may be the slow one.
type pace struct {
	began  atomic.Int64 // when the wait at hand began, in ns of Unix time; 0 if there is none
	waited atomic.Int64 // ns of waits that are over
	bytes  atomic.Int64

	markWaited, markBytes int64 // of the watch alone
}

// wait says that a wait for the client begins, end that it is over.
func (p *pace) wait() { p.began.Store(time.Now().UnixNano()) }

func (p *pace) end(n int) {
	p.waited.Add(time.Now().UnixNano() - p.began.Swap(0))
	p.bytes.Add(int64(n))
}

// now is how long the wait at hand has taken.
func (p *pace) now(now time.Time) time.Duration {
	began := p.began.Load()
	if began == 0 {
		return 0
	}
	return time.Duration(now.UnixNano() - began)
}

// lags says whether less than leastBytes came in the last leastWithin.
func (p *pace) lags(now time.Time) bool {
	waited, bytes := p.waited.Load()+int64(p.now(now)), p.bytes.Load()
	if bytes-p.markBytes >= leastBytes {
		p.markWaited, p.markBytes = waited, bytes
	}
	return waited-p.markWaited >= int64(leastWithin)
}
