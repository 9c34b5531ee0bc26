package worker

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// errEnded is what writing to the response of a call that has ended returns:
// net/http may have given the connection to the next one.
var errEnded = errors.New("the response has ended")

// response is the ResponseWriter that functions get. It knows whether an
// answer has begun, and sends nothing that would break it.
type response struct {
	to     http.ResponseWriter
	header http.Header
	mu     sync.Mutex
	begun  bool
	ended  bool
}

func newResponse(w http.ResponseWriter) *response {
	return &response{to: w, header: w.Header()}
}

// Header is the answer's; functions may keep it, as long as they want.
func (r *response) Header() http.Header { return r.header }

// WriteHeader begins the answer, unless the status is an informational one. It
// panics if the status or a header cannot be sent.
func (r *response) WriteHeader(status int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeHeader(status)
}

func (r *response) writeHeader(status int) {
	if r.begun || r.ended {
		return
	}
	informational := status == http.StatusProcessing || status == http.StatusEarlyHints
	if !informational && (status < 200 || status > 599) {
		panic(fmt.Errorf("the response's status is %d, not from 200 to 599", status))
	}
	clean(r.header)
	r.begun = !informational
	r.to.WriteHeader(status)
}

// Write writes a part of the answer.
func (r *response) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return 0, errEnded
	}
	r.writeHeader(http.StatusOK)
	return r.to.Write(p)
}

// Flush sends what has been written.
func (r *response) Flush() { _ = r.FlushError() }

// FlushError sends what has been written.
func (r *response) FlushError() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ended {
		return errEnded
	}
	r.writeHeader(http.StatusOK)
	return http.NewResponseController(r.to).Flush()
}

// end keeps the function's goroutines from what becomes of the connection. It
// says whether an answer has begun.
func (r *response) end() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ended = true
	return r.begun
}

// settle makes the head of an answer that has not begun ready for a body of
// that length. It panics if a header cannot be sent.
func (r *response) settle(length int) {
	clean(r.header)
	if _, set := r.header["Content-Type"]; !set {
		r.header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	r.header.Set("Content-Length", strconv.Itoa(length))
}

// clean removes headers that say what the connection does, or what the worker
// tells the proxy: a function's own, passed on from another server, say, are
// left out. It panics if one of the others cannot be sent.
func clean(h http.Header) {
	for name, values := range h {
		switch lower := strings.ToLower(name); {
		case lower == "connection", lower == "content-length", lower == "date", lower == "keep-alive", lower == "proxy-connection",
			lower == "trailer", lower == "transfer-encoding", lower == "upgrade", strings.HasPrefix(lower, "x-func-"):
			delete(h, name)
			continue
		}
		if !isToken(strings.TrimPrefix(name, http.TrailerPrefix)) {
			panic(fmt.Errorf("response header %q has a name that is none", name))
		}
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r > '~' }) {
				panic(fmt.Errorf("response header %q is not one line of ASCII: %q", name, value))
			}
		}
	}
}

// isToken says whether a header may have this name (RFC 9110, 5.6.2).
func isToken(name string) bool {
	return name != "" && !strings.ContainsFunc(name, func(r rune) bool {
		letter := 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
		return !letter && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}
