package pool

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

const (
	// watchEvery and answerWithin bound how long a worker that takes several
	// calls, one of which loops, still gets new ones.
	watchEvery   = 500 * time.Millisecond
	answerWithin = time.Second
)

// Health returns nil if a worker has loaded the function and answers, and
// otherwise an error with the reason.
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
	if p.closing {
		return nil, nil, ErrClosed
	}
	loaded := false
	for _, w := range p.workers {
		if w.state != ready {
			continue
		}
		loaded = true
		if w.capacity > 1 {
			if !w.stuck {
				return w, nil, nil
			}
		} else if w.calls == 0 {
			return w, p.lease(w), nil
		}
	}
	switch {
	case loaded && p.capacity == 1:
		return nil, nil, nil
	case loaded:
		return nil, nil, fmt.Errorf("no worker answers: %d run calls that block it", p.count(ready))
	case p.health.streak > 0 && p.hopeless() != "":
		return nil, nil, &UnavailableError{p.hopeless()}
	case p.health.loaded:
		return nil, nil, fmt.Errorf("loading: a worker is being replaced")
	default:
		return nil, nil, fmt.Errorf("loading: no worker is ready after %s", time.Since(p.since).Round(time.Millisecond))
	}
}

// answers asks a worker whether it is there. One that takes a single call and
// is silent without having one is broken.
func (p *Pool) answers(ctx context.Context, w *worker, lease *Lease) bool {
	if lease == nil {
		ok := p.ping(ctx, w)
		p.mu.Lock()
		defer p.mu.Unlock()
		p.setStuck(w, !ok)
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
			if keep != nil {
				keep.Close()
			}
			lease.Unreachable(fmt.Errorf("the worker is not healthy%s", because(answer, err)))
			return false
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.giveBack(w, keep)
	return true
}

func (p *Pool) ping(ctx context.Context, w *worker) bool {
	answer, conn, err := p.ask(ctx, w, http.MethodGet, p.opt.HealthPath, "")
	if conn != nil {
		conn.Close()
	}
	return err == nil && answer.Status/100 == 2
}

// watch asks a worker that takes several calls, while it has some, whether it
// still answers; if not, new calls go elsewhere until it does again.
func (p *Pool) watch(w *worker) {
	p.mu.Lock()
	needed := w.state == ready && w.capacity > 1 && (w.calls > 0 || w.stuck) && p.opt.HealthPath != ""
	p.closeStale(w)
	p.mu.Unlock()
	if needed {
		p.look(w)
	}
}

// look asks a worker that takes several calls whether it answers.
func (p *Pool) look(w *worker) {
	ctx, cancel := context.WithTimeout(context.Background(), answerWithin)
	defer cancel()
	ok := p.ping(ctx, w)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.setStuck(w, !ok)
}

func (p *Pool) setStuck(w *worker, stuck bool) {
	if w.stuck == stuck || w.state != ready {
		return
	}
	w.stuck = stuck
	p.opt.Log.Warn("worker answers", "worker", w.id, "answers", !stuck)
	if stuck {
		p.ensure()
	} else {
		p.dispatch()
	}
}

// closeStale closes the connections of an idle classic server before it does.
func (p *Pool) closeStale(w *worker) {
	if p.opt.Network == "unix" || len(w.idle) == 0 || time.Since(w.lastCall) < idleLimit {
		return
	}
	w.closeIdle()
}

func (w *worker) closeIdle() {
	for _, k := range w.idle {
		k.conn.Close()
	}
	w.idle = nil
}
