package pool

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// LoadingError says that no worker has loaded the function yet, or that the one
// that had is being replaced. It lasts for the time that a start may take at
// most: after that, the reason is another.
type LoadingError struct{ Reason string }

func (e *LoadingError) Error() string { return "loading: " + e.Reason }

// Health returns nil if a worker has loaded the function and answers, and
// otherwise an error with the reason: a *LoadingError, an *UnavailableError if
// starts fail, ErrClosed, or another if workers do not answer.
func (p *Pool) Health(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	for {
		w, lease, err := p.candidate()
		if err != nil || w == nil {
			return err
		}
		if p.answers(ctx, w, lease) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("worker %d does not answer", w.id)
		}
	}
}

// candidate returns a worker to ask, with a lease if it takes one call at
// once. It returns none if there is nobody to ask and nothing is wrong: all
// are at work, which the time-out of calls bounds.
func (p *Pool) candidate() (*worker, *Lease, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := &p.state
	if s.closing {
		return nil, nil, ErrClosed
	}
	for _, w := range s.workers {
		switch {
		case !w.phase.serving() || w.phase == silent || w.phase == mute:
		case w.capacity > 1:
			return w, nil, nil
		case w.calls == 0:
			l := &Lease{pool: p}
			l.call.lease = l
			p.feed(event{kind: probed, call: &l.call, worker: w})
			return w, l, nil
		}
	}
	serving := s.serving()
	switch {
	case serving > 0 && s.capacity == 1:
		return nil, nil, nil
	case serving > 0:
		return nil, nil, fmt.Errorf("no worker answers: %d run calls that block it", serving)
	case s.crashes.streak > 0 && s.unavailable() != "":
		return nil, nil, &UnavailableError{s.unavailable()}
	case s.crashes.loaded:
		return nil, nil, &LoadingError{"a worker is being replaced"}
	default:
		return nil, nil, &LoadingError{fmt.Sprintf("no worker is ready after %s", time.Since(s.opened).Round(time.Millisecond))}
	}
}

// answers asks a worker whether it is there. One that takes a single call and
// is silent without having one is broken.
func (p *Pool) answers(ctx context.Context, w *worker, lease *Lease) bool {
	if lease == nil {
		ok := p.ping(ctx, w)
		p.tell(event{kind: heard, worker: w, agree: ok})
		return ok
	}
	conn, err := lease.Conn(answerWithin)
	if err != nil {
		lease.Unreachable(err)
		return false
	}
	var keep Kept = conn
	if p.opt.HealthPath != "" {
		var answer upstream.Answer
		answer, keep, err = inquire(ctx, conn, &upstream.Request{Method: http.MethodGet, URI: p.opt.HealthPath, Host: "worker"})
		if err != nil || answer.Status/100 != 2 {
			closeConn(keep)
			lease.Unreachable(fmt.Errorf("the worker is not healthy%s", because(answer, err)))
			return false
		}
	}
	lease.end(event{kind: returned}, keep)
	return true
}
