package engine

import (
	"context"
	"regexp"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"
)

// concurrentBuilds are the step records of all builds of one Builder. Engines run
// a step that several builds have in common once, and Docker engines 20.10
// report it to only one of them: when it fails, the others learn from the
// error's text that some step failed, but neither which nor its log.
type concurrentBuilds struct {
	mu      sync.Mutex
	records []*stepRecord
	// running are the builds that may still be told something.
	running map[*stepRecord]bool
	// changed is closed, and replaced, when something in the records changes.
	changed chan struct{}
}

func newConcurrentBuilds() *concurrentBuilds {
	return &concurrentBuilds{running: map[*stepRecord]bool{}, changed: make(chan struct{})}
}

// follow adds a build and records its statuses until there are no more. Each
// is passed on to show.
func (s *concurrentBuilds) follow(steps *stepRecord, statuses <-chan *client.SolveStatus, show func(*client.SolveStatus)) {
	s.change(func() {
		s.records = append(s.records, steps)
		s.running[steps] = true
	})
	for status := range statuses {
		s.change(func() { steps.add(status) })
		show(status)
	}
	s.change(func() { delete(s.running, steps) })
}

func (s *concurrentBuilds) change(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	close(s.changed)
	s.changed = make(chan struct{})
}

// stepFailure matches how engines say that a step's process failed: Docker
// engines 20.10, and newer BuildKits.
var stepFailure = regexp.MustCompile(`executor failed running |did not complete successfully`)

// failed returns the step that made a build fail with err, and its log. Where
// the engine told it to another build it may come a moment later than err, so
// failed waits for what those builds are told that run at the time of the
// call. It returns nil where no step is to blame.
func (s *concurrentBuilds) failed(ctx context.Context, own *stepRecord, err error) (*client.Vertex, []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if v, log := own.failed(); v != nil || !stepFailure.MatchString(err.Error()) {
		return v, log
	}
	var awaited []*stepRecord
	for record := range s.running {
		awaited = append(awaited, record)
	}
	for {
		for _, record := range s.records {
			if v, log := record.failed(); v != nil && strings.Contains(err.Error(), v.Error) {
				return v, log
			}
		}
		over := true
		for _, record := range awaited {
			over = over && !s.running[record]
		}
		if over || ctx.Err() != nil {
			return nil, nil
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
		s.mu.Lock()
	}
}
