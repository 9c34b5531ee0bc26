// Package gateway is the HTTP side of the proxy: it answers /healthz, /readyz,
// /metrics and CORS preflights, and passes every other request to a worker, within the
// limits on time and size.
package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rtbuild/rtbuild/proxy/internal/accesslog"
	"github.com/rtbuild/rtbuild/proxy/internal/metrics"
	"github.com/rtbuild/rtbuild/proxy/internal/pool"
)

// Options say how to serve.
type Options struct {
	Pool       *pool.Pool
	Metrics    *metrics.Metrics
	Access     *accesslog.Log
	Log        *slog.Logger
	Traces     Printer       // gets the traces of failed functions
	Timeout    time.Duration // of a call
	BodyWithin time.Duration // to read a small body, or the next part of a large one
	Queue      int           // large bodies that may wait for their turn
	QueueFor   time.Duration // how long
	MaxBody    int64         // bytes; 0 is no limit
	MaxHeader  int64         // bytes of a request's head, as a worker gets it
	Retry      Retry
	LogProbes  bool
	Debug      bool     // whether clients see why a call failed
	Admin      bool     // whether /healthz, /readyz and /metrics have a port of their own
	Reserved   []string // paths of the worker protocol, hidden from clients
	Origins    []string // that CORS allows
}

// Printer takes texts of one line or more for a log.
type Printer interface{ Print(text string) }

// Gateway is an http.Handler.
type Gateway struct {
	opt     Options
	metrics http.Handler
	cors    cors
	buffers sync.Pool // of *[]byte with SmallBody bytes
	heads   sync.Pool // of *[]byte, for heads of requests
	lane    lane      // of bodies that are streamed
	watch   watch
	leaving atomic.Bool
}

// SmallBody is the largest body that is read before a worker is taken, and the
// size of copy buffers, in bytes.
const SmallBody = 32 << 10

// New makes a gateway.
func New(opt Options) *Gateway {
	g := &Gateway{
		opt: opt, metrics: opt.Metrics.Handler(), cors: newCORS(opt.Origins),
		buffers: sync.Pool{New: func() any { b := make([]byte, SmallBody); return &b }},
		heads:   sync.Pool{New: func() any { return new([]byte) }},
		lane:    lane{slots: opt.Pool.Slots, queue: opt.Queue, within: opt.QueueFor},
	}
	g.watch = watch{stall: opt.BodyWithin, contended: g.contended, slowOnes: g.lane.limit, calls: map[*call]struct{}{}}
	return g
}

// contended says whether calls wait for a worker.
func (g *Gateway) contended() bool { return g.lane.waits() || g.opt.Pool.Stats().Queue > 0 }

// outcome is how a request ended.
type outcome struct {
	status int
	bytes  int64  // of the answer's body
	note   string // why the proxy answered or cut the call
	called bool   // whether the function was reached
	failed bool
	abort  bool // the answer is cut short: the connection must not look fine
}

// statusGone is logged where the client went away before the answer.
const statusGone = 499

// ServeHTTP serves one request and prints its line of the access log.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := started(r.Context())
	probe := false
	var o outcome
	switch path := r.URL.Path; {
	case r.Method == http.MethodConnect:
		o = g.refuse(w, r, http.StatusMethodNotAllowed, errTunnel)
	case !strings.HasPrefix(target(r), "/"):
		o = g.refuse(w, r, http.StatusBadRequest, errTarget)
	case own(path) && !g.opt.Admin:
		probe = true
		o = g.probe(w, r, g.opt.Debug)
	case own(path), g.reserved(path):
		o = g.fail(w, r, http.StatusNotFound, "this path is the proxy's own", "")
	case g.cors.preflight(w, r):
		w.WriteHeader(http.StatusNoContent)
		o = outcome{status: http.StatusNoContent}
	default:
		o = g.function(w, r)
	}
	g.account(r, start, probe, o)
	if o.abort {
		panic(http.ErrAbortHandler)
	}
}

// Errors of requests that are for no server of this kind.
var (
	errTunnel = errors.New("this server is no tunnel")
	errTarget = errors.New("the target is not a path")
)

// Refuse answers a request that another part of the proxy refuses, and ends
// its connection.
func (g *Gateway) Refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	start := time.Now()
	g.account(r, start, false, g.refuse(w, r, status, errors.New(text)))
}

// account counts and logs a request.
func (g *Gateway) account(r *http.Request, start time.Time, probe bool, o outcome) {
	if !o.called && o.status >= 400 && !probe {
		g.opt.Metrics.Refuse(strconv.Itoa(o.status))
	}
	if !probe || g.opt.LogProbes {
		g.record(start, r.Method, r.URL.EscapedPath(), o)
	}
}

// record counts a call of the function and logs a request.
func (g *Gateway) record(start time.Time, method, path string, o outcome) {
	duration := time.Since(start)
	if o.called {
		g.opt.Metrics.Call(method, o.failed, duration)
	}
	g.opt.Access.Add(accesslog.Entry{Time: start, Method: method, Path: path,
		Status: o.status, Duration: duration, Bytes: o.bytes, Note: o.note})
}

// Called counts and logs a call of the function that was answered elsewhere.
func (g *Gateway) Called(start time.Time, method, path string, status, bytes int) {
	g.record(start, method, path, outcome{status: status, bytes: int64(bytes), called: true, failed: status >= 500})
}

func (g *Gateway) reserved(path string) bool { return slices.Contains(g.opt.Reserved, path) }

// refused answers a request that got no worker.
func (g *Gateway) refused(w http.ResponseWriter, r *http.Request, err error) outcome {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return outcome{status: statusGone, note: "the client left the queue"}
	}
	w.Header().Set("Retry-After", "1")
	var unavailable *pool.UnavailableError
	if errors.As(err, &unavailable) {
		return g.fail(w, r, http.StatusServiceUnavailable, "the function is not available", unavailable.Reason)
	}
	return g.fail(w, r, http.StatusServiceUnavailable, err.Error(), "")
}

// fail answers with a short text of the proxy's own; detail is shown only to
// clients that debug.
func (g *Gateway) fail(w http.ResponseWriter, r *http.Request, status int, text, detail string) outcome {
	g.cors.allow(w.Header(), r)
	o := answer(w, r, status, g.shown(text, detail))
	o.note = text
	return o
}

func (g *Gateway) shown(text, detail string) string {
	if g.opt.Debug && detail != "" {
		text += "\n" + strings.TrimRight(detail, "\n")
	}
	return text + "\n"
}

func answer(w http.ResponseWriter, r *http.Request, status int, text string) outcome {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return outcome{status: status}
	}
	n, _ := io.WriteString(w, text) // a client that has gone needs no answer
	return outcome{status: status, bytes: int64(n)}
}
