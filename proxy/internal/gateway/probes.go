package gateway

import (
	"errors"
	"net/http"

	"github.com/rtbuild/rtbuild/proxy/internal/pool"
)

// Paths that the proxy answers itself.
const (
	healthPath  = "/healthz"
	readyPath   = "/readyz"
	metricsPath = "/metrics"
)

// own says whether the proxy answers a path itself.
func own(path string) bool { return path == healthPath || path == readyPath || path == metricsPath }

// Own lists the paths that the proxy answers itself.
func Own() []string { return []string{healthPath, readyPath, metricsPath} }

// Leave says that the server is about to shut down: it is not ready any more.
func (g *Gateway) Leave() { g.leaving.Store(true) }

// Admin serves the paths of the proxy alone, for a port that clients of the
// function do not reach: it tells why the function cannot be loaded.
func (g *Gateway) Admin() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if own(r.URL.Path) {
			g.probe(w, r, true)
		} else {
			http.NotFound(w, r)
		}
	})
}

// probe answers a path of the proxy's own. Without detail, nothing is told of
// what the function printed.
func (g *Gateway) probe(w http.ResponseWriter, r *http.Request, detail bool) outcome {
	if r.URL.Path == metricsPath {
		counted := &recorder{ResponseWriter: w, status: http.StatusOK}
		g.metrics.ServeHTTP(counted, r)
		return outcome{status: counted.status, bytes: counted.bytes}
	}
	err := g.opt.Pool.Health(r.Context())
	if errors.Is(err, pool.ErrClosed) || g.leaving.Load() {
		err = errLeaving
	}
	if err == nil {
		return answer(w, r, http.StatusOK, "OK\n")
	}
	text := err.Error()
	if failing := (*pool.UnavailableError)(nil); errors.As(err, &failing) && !detail {
		text = "crash-looping: the function cannot be loaded; the log tells why"
	}
	status := http.StatusServiceUnavailable
	if r.URL.Path == healthPath && alive(err) {
		status = http.StatusOK
	}
	return answer(w, r, status, text+"\n")
}

var errLeaving = errors.New("shutting down")

// alive says whether a server that is not ready is as it should be: a new start
// would not be better. Loading is bounded, and crash-looping after that.
func alive(err error) bool {
	var loading *pool.LoadingError
	return errors.As(err, &loading) || errors.Is(err, errLeaving)
}

// recorder notes status and size of an answer.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(status int) {
	r.status = status
	r.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (r *recorder) Write(p []byte) (int, error) {
	n, err := r.ResponseWriter.Write(p)
	r.bytes += int64(n)
	return n, err
}
