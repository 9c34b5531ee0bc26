// Package output carries lines to the container's stdout and stderr: those of
// the proxy itself, which never wait, and those that workers print, which
// wait, so that a flood slows down its author and nobody else.
package output

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// workerRoom is how much unwritten output makes workers wait, and
	// lineRoom how much makes the proxy drop its own lines. The space
	// between them is kept for the proxy during a flood.
	workerRoom = 256 << 10
	lineRoom   = 1 << 20

	// pause between two writes: lines of a busy moment share a system call.
	pause = 5 * time.Millisecond
)

// Sink writes lines to one destination in the background.
type Sink struct {
	format  Format
	dropped atomic.Uint64

	mu      sync.Mutex
	changed *sync.Cond
	pending []byte
	closed  bool
	done    chan struct{}
}

// NewSink starts a sink; errors of dst are ignored, as there is nowhere left
// to report them.
func NewSink(dst io.Writer, format Format) *Sink {
	s := &Sink{format: format, done: make(chan struct{})}
	s.changed = sync.NewCond(&s.mu)
	go s.flush(dst)
	return s
}

// Write takes whole lines and never blocks: it drops them, counted, while the
// destination is stuck. The error is always nil.
func (s *Sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.pending)+len(p) > lineRoom || s.closed {
		s.dropped.Add(1)
		return len(p), nil
	}
	s.append(p)
	return len(p), nil
}

// Print takes a text of a worker, such as a trace, as Write does.
func (s *Sink) Print(text string) { _, _ = s.Write(s.format.text(text)) } // which never fails

// writeWorker takes whole lines of a worker and waits for room.
func (s *Sink) writeWorker(p []byte) {
	p = s.format.lines(p)
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.pending) > workerRoom && !s.closed {
		s.changed.Wait()
	}
	if !s.closed {
		s.append(p)
	}
}

func (s *Sink) append(p []byte) {
	if len(s.pending) == 0 {
		s.changed.Broadcast()
	}
	s.pending = append(s.pending, p...)
}

func (s *Sink) flush(dst io.Writer) {
	defer close(s.done)
	var batch []byte
	for {
		s.mu.Lock()
		for len(s.pending) == 0 && !s.closed {
			s.changed.Wait()
		}
		batch, s.pending = s.pending, batch[:0]
		closed := s.closed
		s.changed.Broadcast()
		s.mu.Unlock()
		_, _ = dst.Write(batch)
		if closed {
			return
		}
		time.Sleep(pause)
	}
}

// Dropped returns how many writes of the proxy's own lines were dropped.
func (s *Sink) Dropped() uint64 { return s.dropped.Load() }

// Close writes what is left, for at most the given time.
func (s *Sink) Close(limit time.Duration) {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	select {
	case <-s.done:
	case <-time.After(limit):
	}
}
