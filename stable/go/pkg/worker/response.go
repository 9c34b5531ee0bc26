package worker

import (
	"io"
	"net/http"
	"strconv"
)

// response is the ResponseWriter that functions get. It knows whether an
// answer has begun.
type response struct {
	http.ResponseWriter
	begun bool
}

// WriteHeader begins the answer, unless the status is an informational one.
func (r *response) WriteHeader(status int) {
	r.begun = r.begun || status >= http.StatusOK
	r.ResponseWriter.WriteHeader(status)
}

// Write writes a part of the answer.
func (r *response) Write(p []byte) (int, error) {
	r.begun = true
	return r.ResponseWriter.Write(p)
}

// Flush sends what has been written.
func (r *response) Flush() {
	r.begun = true
	if f, ok := r.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// Unwrap gives http.ResponseController the server's own writer.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// finish writes what the function returned, after what it wrote itself.
func (r *response) finish(result string) {
	if !r.begun {
		h := r.Header()
		if _, set := h["Content-Type"]; !set {
			h.Set("Content-Type", "text/plain; charset=utf-8")
		}
		h.Set("Content-Length", strconv.Itoa(len(result)))
	}
	// That the caller has left is the proxy's to log.
	_, _ = io.WriteString(r.ResponseWriter, result)
}
