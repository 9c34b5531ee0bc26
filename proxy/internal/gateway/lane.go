package gateway

import (
	"container/list"
	"context"
	"sync"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
)

// lane lets calls take a worker before all of their body has come, as many at
// once as half of the workers can take. So slow clients leave the other half to
// those who are not, whatever they do.
type lane struct {
	slots  func() int // calls at once of all workers
	queue  int        // how many may wait
	within time.Duration

	mu      sync.Mutex
	used    int
	waiting list.List // of chan struct{}
}

func (l *lane) limit() int { return max(1, l.slots()/2) }

// enter waits for a slot. Its errors are those of Pool.Acquire.
func (l *lane) enter(ctx context.Context) error {
	l.mu.Lock()
	if l.used < l.limit() {
		l.used++
		l.mu.Unlock()
		return nil
	}
	if l.waiting.Len() >= l.queue {
		l.mu.Unlock()
		return pool.ErrQueueFull
	}
	entered := make(chan struct{})
	entry := l.waiting.PushBack(entered)
	l.mu.Unlock()
	timer := time.NewTimer(l.within)
	defer timer.Stop()
	var err error
	select {
	case <-entered:
		return nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = pool.ErrQueueTimeout
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-entered: // in between
		l.pass()
	default:
		l.waiting.Remove(entry)
	}
	return err
}

// leave gives a slot back.
func (l *lane) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass()
}

// pass gives a free slot to those who wait. There may be more slots
// than before, or fewer.
func (l *lane) pass() {
	for l.used--; l.waiting.Len() > 0 && l.used < l.limit(); l.used++ {
		close(l.waiting.Remove(l.waiting.Front()).(chan struct{}))
	}
}

// waits says whether somebody waits for a slot.
func (l *lane) waits() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting.Len() > 0
}
