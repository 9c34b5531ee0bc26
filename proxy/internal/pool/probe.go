package pool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/reaper"
	"github.com/rtbuild/rtbuild/proxy/internal/upstream"
)

// CancelPath is asked to stop one call; see WORKERS.md.
const CancelPath = "/_cancel"

// Headers of the protocol between proxy and worker.
const (
	CallHeader  = "X-Func-Call-Id"
	takesHeader = "X-Func-Concurrency"
	stopsHeader = "X-Func-Cancel"
)

const (
	// answerWithin bounds, with watchEvery, how long a worker that takes several
	// calls, one of which loops, still gets new ones.
	answerWithin = time.Second

	// cancelGrace is how long a worker may take to stop a single call.
	cancelGrace = time.Second
)

// request sends a request of the pool's own on a new connection, which is
// returned if it can be used again. Without a path, a connection is enough.
func (p *Pool) request(ctx context.Context, w *worker, method, path, call string) (upstream.Answer, Kept, error) {
	conn, err := upstream.Dial(ctx, p.opt.Network, w.process.address)
	if err != nil {
		return upstream.Answer{}, nil, err
	}
	if path == "" {
		conn.Close()
		return upstream.Answer{Status: http.StatusOK}, nil, nil
	}
	r := &upstream.Request{Method: method, URI: path, Host: "worker"}
	if call != "" {
		r.Extra = [][2]string{{CallHeader, call}}
	}
	return inquire(ctx, conn, r)
}

// inquire sends a request and returns the connection if it can be used again.
func inquire(ctx context.Context, conn *upstream.Conn, r *upstream.Request) (upstream.Answer, Kept, error) {
	answer, err := conn.Ask(ctx, r)
	if err != nil || !answer.Reuse {
		conn.Close()
		return answer, nil, err
	}
	return answer, conn, nil
}

func closeConn(conn Kept) {
	if conn != nil {
		conn.Close()
	}
}

// load asks until the worker answers that it has loaded the function.
func (p *Pool) load(w *worker, running *reaper.Process) {
	ctx, cancel := context.WithTimeout(context.Background(), p.opt.LoadTimeout)
	defer cancel()
	pause := time.Millisecond
	for {
		answer, conn, err := p.request(ctx, w, http.MethodGet, p.opt.HealthPath, "")
		if err == nil && answer.Status/100 == 2 {
			p.loaded(w, answer, conn)
			return
		}
		closeConn(conn)
		select {
		case <-running.Done():
			return
		case <-ctx.Done():
			p.tell(event{kind: unfit, worker: w,
				reason: fmt.Sprintf("the worker was not ready within %s%s", p.opt.LoadTimeout, because(answer, err))})
			return
		case <-time.After(pause):
		}
		pause = min(2*pause, 50*time.Millisecond)
	}
}

func because(answer upstream.Answer, err error) string {
	switch {
	case err == nil:
		return fmt.Sprintf(": it answers %d %s", answer.Status, strings.TrimSpace(string(answer.Body)))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return ": it does not listen"
	default:
		return ": " + err.Error()
	}
}

// loaded takes in the first good answer of a worker.
func (p *Pool) loaded(w *worker, answer upstream.Answer, conn Kept) {
	e := event{kind: loaded, worker: w, capacity: p.opt.Concurrency, cancels: answer.Header.Get(stopsHeader) != ""}
	if v := answer.Header.Get(takesHeader); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			closeConn(conn)
			p.tell(event{kind: unfit, worker: w,
				reason: fmt.Sprintf("the worker says %s: %q, which is not a whole number from 1", takesHeader, v)})
			return
		}
		e.capacity = n
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case conn == nil:
	case w.phase == loading:
		w.process.keep(conn)
	default:
		conn.Close()
	}
	p.feed(e)
}

// ping says whether a worker answers within answerWithin.
func (p *Pool) ping(ctx context.Context, w *worker) bool {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, conn, err := p.request(ctx, w, http.MethodGet, p.opt.HealthPath, "")
	closeConn(conn)
	return err == nil && answer.Status/100 == 2
}

// look asks a worker that takes several calls whether it answers.
func (p *Pool) look(w *worker) {
	p.tell(event{kind: answered, worker: w, agree: p.ping(context.Background(), w)})
}

// askFree asks a worker that takes one call at once whether it is done with one
// that nobody waits for.
func (p *Pool) askFree(l *Lease, deadline time.Time) {
	ctx, cancel := context.WithDeadline(context.Background(), deadline)
	defer cancel()
	_, conn, err := p.request(ctx, l.call.worker, http.MethodGet, p.opt.HealthPath, "")
	e := event{kind: freed}
	switch {
	case err == nil:
	case ctx.Err() != nil:
		e.kind = overdue
	default:
		e.kind, e.reason = unreachable, err.Error()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(l, e, conn)
}

// cancel tells a worker to stop a call that ran over time.
func (p *Pool) cancel(l *Lease) {
	ctx, cancel := context.WithTimeout(context.Background(), cancelGrace)
	defer cancel()
	answer, conn, err := p.request(ctx, l.call.worker, http.MethodPost, CancelPath, l.id)
	e := event{kind: cancelled}
	if err != nil || answer.Status/100 != 2 {
		closeConn(conn)
		conn, e.kind = nil, notCancelled
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.settle(l, e, conn)
}
